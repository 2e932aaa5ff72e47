/**
 * What can go wrong, in three kinds that must never be mixed up:
 *
 *     Refused   the bundle is not what was signed           the check fails
 *     NotHere   something that a check needs is not here    the check is not made
 *     anything else                                         a fault of this verifier, reported as such
 */

export class Refused extends Error {
  /** `remedy`: what to do next; empty where the check's own advice fits. */
  constructor(text, remedy = "") {
    super(text);
    this.remedy = remedy;
  }
}

export class NotHere extends Error {}

/** Refuse the bundle: one clear sentence without its full stop, and what to do if that is special. */
export function refuse(text, remedy) {
  throw new Refused(text, remedy);
}

/** Refuse unless `condition` holds. */
export function demand(condition, text, remedy) {
  if (!condition) throw new Refused(typeof text === "function" ? text() : text, remedy);
}

/**
 * What can go wrong, in three kinds that must never be mixed up:
 *
 *     Refused   the bundle is not what was signed           the check fails
 *     NotHere   something that a check needs is not here    the check is not made
 *     anything else                                         a fault of this verifier, reported as such
 */

export class Refused extends Error {}

export class NotHere extends Error {}

/** Refuse the bundle: one clear sentence without its full stop. */
export function refuse(text) {
  throw new Refused(text);
}

/** Refuse unless `condition` holds. */
export function demand(condition, text) {
  if (!condition) throw new Refused(typeof text === "function" ? text() : text);
}

/** The report: the numbered checks of SPEC section 13, what each found, and what they add up to. */

import { NotHere, Refused } from "./problem.js";
import { printable } from "./bytes.js";

const FORMAT = "airgap-bundle/report/1";

export const PASSED = "passed";
export const FAILED = "failed";
export const NOT_CHECKED = "not checked";

/** Number, name, what it stands on, and what it asks. */
export const CHECKS = [
  [1, "medium", [], "The files there are exactly those that belong there"],
  [2, "root", [1], "From the trusted root, a chain without a hole, each version signed by enough"],
  [3, "timestamp", [2], "Signed by enough, and not expired"],
  [4, "snapshot", [3], "The one that timestamp names, signed by enough, not expired"],
  [5, "targets", [4], "The one that snapshot names, signed by enough, not expired, and no stray files"],
  [6, "release", [5], "The one that targets names, of the metadata's sequence"],
  [7, "content", [6], "The one that targets names, every rule kept, sums as in the release"],
  [8, "vouched", [7], "The attestations that the site demands are there"],
  [9, "order", [6], "It follows what was accepted before"],
  [10, "framing", [7], "Every byte between the contents is as predicted, and no byte is too many"],
  [11, "blobs", [7], "The SHA-256 of every blob is the signed one"],
  [12, "contents", [11], "What is unpacked has the signed SHA-256 and size"],
];
const AGAIN = "Somebody changed it, or it was put together wrongly: ask the release engineer for it again.";
const CARRY = "What was signed is not what arrived: carry it again, or repair the medium with its parity.";
/** What to do when a check failed and the refusal has no advice of its own. */
const REMEDIES = {
  1: "If it is harmless and yours, take it away, or choose the bundle's files one by one.",
  2: "It may be from someone else: compare the root's fingerprint with the release engineer's sheet.",
  3: AGAIN,
  4: AGAIN,
  5: AGAIN,
  6: AGAIN,
  7: AGAIN,
  10: CARRY,
  11: CARRY,
  12: "It was built wrongly: tell the release engineer, and do not use it.",
};
const NEEDED = new Set([1, 2, 3, 4, 5, 6, 7, 8, 10, 11]);

export class Report {
  bundle = null;
  sequence = null;
  title = null;
  release = null;
  root = { fingerprint: null, version: null };
  signers = []; // {role, key, name}
  notes = [];
  #made = new Map(); // number -> [result, text, remedy]

  passed(number, text) {
    this.#made.set(number, [PASSED, text]);
  }

  failed(number, text, remedy = "") {
    this.#made.set(number, [FAILED, text, remedy || (REMEDIES[number] ?? "")]);
  }

  skipped(number, text) {
    this.#made.set(number, [NOT_CHECKED, text]);
  }

  /**
   * Make check `number`: `work` gives what it found. True when it passed.
   *
   * A fault that is neither Refused nor NotHere is ours, and goes on: no verdict is made of it.
   */
  async check(number, work) {
    try {
      this.passed(number, await work());
      return true;
    } catch (problem) {
      if (problem instanceof Refused) this.failed(number, problem.message, problem.remedy);
      else if (problem instanceof NotHere) this.skipped(number, problem.message);
      else throw problem;
      return false;
    }
  }

  result(number) {
    return this.#made.get(number)?.[0] ?? NOT_CHECKED;
  }

  /** All checks in order: {number, name, asks, result, text, remedy}. */
  get checks() {
    return CHECKS.map(([number, name, , asks]) => {
      const [result, text, remedy = ""] = this.#made.get(number) ?? [NOT_CHECKED, this.#whyUnmade(number)];
      return { number, name, asks, result, text: printable(text), remedy };
    });
  }

  get verdict() {
    const results = CHECKS.map(([number]) => this.result(number));
    if (results.includes(FAILED)) return "refused";
    return [...NEEDED].every((number) => this.result(number) === PASSED) ? "accepted" : "incomplete";
  }

  /** The verdict and why, one sentence. */
  get sentence() {
    const { checks, verdict } = this;
    if (verdict === "accepted") {
      const left = checks.filter(({ result }) => result !== PASSED).map(({ number }) => number);
      const but = left.length ? ` Check ${left.join(" and ")} could not be made; see why below.` : "";
      return `What is here is what was signed.${but}`;
    }
    const refused = verdict === "refused";
    const is = ({ number, result }) => (refused ? result === FAILED : NEEDED.has(number) && result !== PASSED);
    const { number, name, text } = checks.find(is);
    return `${refused ? "Refused" : "Incomplete"} at check ${number} (${name}): ${text}.`;
  }

  /** What to do about the first failed check, or what is missing; empty when there is nothing to advise. */
  get remedy() {
    if (this.verdict === "incomplete") return "Bring what is missing, and verify all of it again.";
    return this.checks.find(({ result }) => result === FAILED)?.remedy ?? "";
  }

  /** The report as SPEC section 13 gives it. */
  get value() {
    const { bundle, sequence, release, root, verdict } = this;
    const checks = this.checks.map(({ name, number, result, text, remedy }) =>
      remedy ? { name, number, remedy, result, text } : { name, number, result, text },
    );
    const signers = this.signers.map(({ key, name, role }) => ({ key, name, role }));
    return { bundle, checks, format: FORMAT, notes: this.notes, release, root, sequence, signers, verdict };
  }

  #whyUnmade(number) {
    const waiting = [...CHECKS[number - 1][2]];
    while (waiting.length) {
      const below = waiting.pop();
      const [, name, standsOn] = CHECKS[below - 1];
      if (this.result(below) === FAILED) return `it stands on check ${below} (${name}), which failed`;
      waiting.push(...standsOn);
    }
    const failed = CHECKS.find(([other]) => this.result(other) === FAILED);
    return failed ? `the work ended at check ${failed[0]} (${failed[1]}), which failed` : "the work ended before it";
  }
}

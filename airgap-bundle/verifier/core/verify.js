/**
 * Verify what was carried: the numbered checks of SPEC section 13, in order.
 *
 *     const {report, verified} = await verify(items, {root}, Date.now(), progress)
 *
 * `items` as `openMedium` takes them. `trusted`: {root} as `readTrustedRoot` gives it, or {fingerprint}. `now`: ms
 * since 1970. `progress(done, all)` is told bytes. `verified` is null when the metadata did not pass.
 *
 * Throws NoBundle; and whatever is a fault of ours, so that no verdict is made of it.
 */

import { checkBytes } from "./blobs.js";
import { openMedium } from "./medium.js";
import { demand } from "./problem.js";
import { Report } from "./report.js";
import { openBundle } from "./trust.js";

export async function verify(items, trusted, now, progress = () => {}) {
  const report = new Report();
  let medium = null;
  await report.check(1, async () => {
    medium = await openMedium(items);
    return medium.text;
  });
  if (!medium) return { report, verified: null };
  const verified = await openBundle(medium.source, trusted, now, report);
  if (!verified) return { report, verified: null };
  const exact = await report.check(1, () => exactBlobs(medium, verified.content));
  if (exact) await checkBytes(medium, verified, report, progress);
  return { report, verified };
}

/** Check 1, the end of it: the blobs of the folder form are those that the content names. */
function exactBlobs({ blobs, text }, content) {
  if (blobs) {
    for (const blob of blobs.keys()) {
      demand(content.blobs.has(blob), `blobs/${blob} does not belong: nothing signed names it`);
    }
    for (const blob of content.blobs.keys()) demand(blobs.has(blob), `blobs/${blob} is not there`);
  }
  return text;
}

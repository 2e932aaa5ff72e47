/** release.json: which bundle of its stream this is, and what it stands on (SPEC section 4). */

import * as fields from "./fields.js";
import { isObject, readCanonical } from "./json.js";
import { demand } from "./problem.js";

const FORMAT = "airgap-bundle/release/1";
const FIELDS =
  "base bundle content created format minimum_root next_expected parts previous sequence title".split(" ");
export const MOST_BYTES = 1_000_000;

export function readRelease(data) {
  const value = fields.object(readCanonical(data, "release.json"), FIELDS, "release.json");
  demand(value.format === FORMAT, `release.json is not of the format ${FORMAT}`);
  const sums = fields.object(value.content, ["bytes", "carried", "entries"], "content of release.json");
  const sequence = fields.count(value.sequence, "the sequence", 1);
  const release = {
    bundle: fields.match(value.bundle, fields.STREAM, "the name of the bundle"),
    sequence,
    previous: value.previous === null ? null : fields.digest(value.previous, "previous"),
    base: value.base === null ? null : baseOf(value.base, sequence),
    created: fields.moment(value.created, "created"),
    nextExpected: fields.moment(value.next_expected, "next_expected"),
    minimumRoot: fields.count(value.minimum_root, "minimum_root", 1),
    title: fields.line(value.title, "the title"),
    entries: fields.count(sums.entries, "the number of entries"),
    bytes: fields.count(sums.bytes, "the sum of sizes"),
    carried: fields.count(sums.carried, "the sum of what is carried"),
    parts: partsOf(value.parts),
  };
  demand((release.previous === null) === (sequence === 1), "previous is null in sequence 1, and only there");
  demand(release.nextExpected > release.created, "next_expected is not after created");
  return release;
}

/** Check 7, the end of it: the release's sums and parts are those of its content. */
export function compareSums(release, content) {
  demand(release.entries === content.entries.length, "the number of entries is not that of release.json");
  demand(release.bytes === content.bytes, "the sum of sizes is not that of release.json");
  demand(release.carried === content.carried, "the sum of what is carried is not that of release.json");
  demand(release.parts.size === content.parts.size, "the parts are not those of release.json");
  for (const [name, { entries, bytes, sha256 }] of content.parts) {
    const said = release.parts.get(name);
    const same = said && said.entries === entries && said.bytes === bytes && said.sha256 === sha256;
    demand(same, `part ${name} is not what release.json says`);
  }
  const needy = content.entries.find(({ way }) => way === "held" || way === "delta");
  demand(release.base !== null || !needy, () => `${needy.path} needs a base, and release.json names none`);
}

function baseOf(value, sequence) {
  fields.object(value, ["receipt", "sequence"], "base");
  const base = {
    receipt: fields.digest(value.receipt, "the receipt of the base"),
    sequence: fields.count(value.sequence, "the sequence of the base", 1),
  };
  demand(base.sequence < sequence, "the base is not older than the bundle itself");
  return base;
}

function partsOf(value) {
  demand(isObject(value), "parts of release.json is not an object");
  const parts = new Map();
  for (const [name, part] of Object.entries(value)) {
    fields.match(name, fields.PART, "the name of a part");
    fields.object(part, ["bytes", "entries", "sha256"], `part ${name}`);
    parts.set(name, {
      entries: fields.count(part.entries, `the entries of part ${name}`),
      bytes: fields.count(part.bytes, `the bytes of part ${name}`),
      sha256: fields.digest(part.sha256, `the digest of part ${name}`),
    });
  }
  return parts;
}

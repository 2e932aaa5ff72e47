/**
 * Checks 10, 11 and 12: every byte of the medium, in one pass for each volume.
 *
 * What lies between contents is compared with what is predicted, contents are hashed; then what travels compressed is
 * unpacked and hashed again.
 */

import { joined, sameBytes } from "./bytes.js";
import { checkCuts, layout, renderVolumeJson } from "./container.js";
import { NotHere, Refused, demand, refuse } from "./problem.js";
import { Reader } from "./reader.js";
import { Sha256 } from "./sha256.js";
import { counted, few } from "./words.js";
import { unzstd } from "./zstd.js";

const MOST_NAMED = 3;

/**
 * Make checks 10, 11 and 12. `medium` as `openMedium` gives it, `verified` as `openBundle` does;
 * `progress(done, all)` is told bytes.
 */
export async function checkBytes(medium, verified, report, progress) {
  const { content } = verified;
  const told = teller(medium, content, progress);
  const found = medium.blobs ? await readFolder(medium, content, told) : await readVolumes(medium, verified, told);
  await report.check(10, () => judgeFraming(found));
  await report.check(11, () => judgeBlobs(found, content));
  if (report.result(11) === "failed") return;
  if (found.missing.length) report.skipped(12, "it waits for the volumes that are not here");
  else await report.check(12, () => checkContents(found, content, told));
}

/** Counts bytes that were read, against all that will be. */
function teller({ volumes, blobs }, content, progress) {
  let all = 0;
  for (const { file } of volumes) all += file.size;
  for (const file of blobs?.values() ?? []) all += file.size;
  for (const { way, blobSize } of content.entries) if (way === "zstd") all += blobSize;
  let done = 0;
  return (bytes) => progress((done += bytes), all);
}

/** What was found: blobs whose bytes are as signed or not, where they lie, and what is wrong between them. */
class Found {
  places = new Map(); // digest -> [{file, at, size}] in order
  good = new Set();
  bad = new Map(); // digest -> why
  framing = []; // why
  missing = []; // numbers of volumes
  text = "";

  judge(blob, digest) {
    if (digest === blob) this.good.add(blob);
    else this.spoil(blob, "its bytes are not those that were signed");
  }

  spoil(blob, why) {
    this.good.delete(blob);
    if (!this.bad.has(blob)) this.bad.set(blob, why);
  }
}

async function readFolder({ blobs }, content, told) {
  const found = new Found();
  found.text = "a folder has no framing";
  for (const [blob, size] of content.blobs) {
    const file = blobs.get(blob);
    if (file.size !== size) {
      found.spoil(blob, `it has ${file.size} bytes where ${size} are signed`);
      continue;
    }
    found.places.set(blob, [{ file, at: 0, size }]);
    await unlessRefused(
      async () => found.judge(blob, await new Reader(file, told).digest(size)),
      (why) => found.spoil(blob, why),
    );
  }
  return found;
}

async function readVolumes({ volumes }, { release, content, metadata }, told) {
  const found = new Found();
  const blobs = [...content.blobs];
  const { cuts } = volumes[0].about;
  const names = [...metadata].map(([name, bytes]) => [name, bytes.length]);
  const predictable = await unlessRefused(
    async () => {
      checkCuts(cuts, blobs);
      for (const { name, about } of volumes) {
        const predicted = renderVolumeJson({ ...release, metadata: names, cuts, volume: about.volume });
        demand(sameBytes(renderVolumeJson(about), predicted), `VOLUME.json of ${name} is not as signed`);
      }
    },
    (why) => found.framing.push(why),
  );
  if (!predictable) {
    for (const blob of content.blobs.keys()) found.spoil(blob, "its place is not known");
    return found;
  }
  const unfinished = new Map(); // digest -> {hash, next} of blobs that go on in another member
  for (const volume of volumes) await readVolume(volume, metadata, content, unfinished, found, told);
  const here = new Set(volumes.map(({ about }) => about.volume));
  found.missing = cuts.map((_, i) => i + 1).filter((number) => !here.has(number));
  found.text = "every byte beside the contents is as predicted, to the end of the file";
  return found;
}

/** One volume, from its first byte to its last. */
async function readVolume({ name, about, file }, metadata, content, unfinished, found, told) {
  const reader = new Reader(file, told);
  let end = 0;
  for (const { at, bytes, size, blob, offset } of layout(about, metadata, [...content.blobs])) {
    end = at + (bytes ? bytes.length : size);
    reader.at = at;
    if (bytes) {
      await unlessRefused(
        async () => {
          const differs = await reader.differs(bytes);
          demand(differs < 0, `${name} is not as predicted at byte ${at + differs}`);
        },
        (why) => found.framing.push(why),
      );
      continue;
    }
    if (!found.places.has(blob)) found.places.set(blob, []);
    found.places.get(blob).push({ file, at, size });
    await unlessRefused(
      () => readPiece({ blob, offset, size, whole: content.blobs.get(blob) }, reader, unfinished, found),
      (why) => found.spoil(blob, `${name}: ${why}`),
    );
  }
  if (file.size !== end) found.framing.unshift(`${name} has ${file.size} bytes where ${end} are predicted`);
}

/** A whole blob, or a piece of one that is cut by a volume's end or a member's largest size. */
async function readPiece({ blob, offset, size, whole }, reader, unfinished, found) {
  if (size === whole) {
    found.judge(blob, await reader.digest(size));
    return;
  }
  const state = offset === 0 ? { hash: new Sha256(), next: 0 } : unfinished.get(blob);
  unfinished.delete(blob);
  if (!state || state.next !== offset) return; // the piece before is in a volume that is not here
  for await (const bytes of reader.pieces(size)) state.hash.update(bytes);
  state.next += size;
  if (state.next === whole) found.judge(blob, state.hash.hex());
  else unfinished.set(blob, state);
}

function judgeFraming({ framing, missing, text }) {
  if (framing.length) refuse(few(framing));
  if (missing.length) throw new NotHere(`${notHere(missing)}; in the others ${text}`);
  return text;
}

function judgeBlobs({ good, bad, missing }, content) {
  const all = content.blobs.size;
  if (bad.size) {
    const pathOf = (blob) => content.entries.find((entry) => entry.blob === blob).path;
    const named = [...bad].map(([blob, why], i) => (i < MOST_NAMED ? `${pathOf(blob)}: ${why}` : ""));
    refuse(`damaged: ${bad.size} of ${counted(all, "blob")}: ${few(named, MOST_NAMED)}`);
  }
  if (good.size < all) {
    throw new NotHere(`${notHere(missing)}; as signed: ${good.size} of ${counted(all, "blob")}`);
  }
  return `${counted(all, "blob")} of ${counted(content.carried, "byte")}, each as signed`;
}

function notHere(missing) {
  return `${missing.length === 1 ? "volume" : "volumes"} ${missing.join(", ")} not here`;
}

/** Check 12: unpack what travels compressed. Deltas are not for this verifier, and their bases are not here. */
async function checkContents({ places }, content, told) {
  const seen = new Set();
  const left = { held: 0, deltas: 0 };
  const bases = new Set();
  let unpacked = 0;
  for (const { path, sha256, size, way, blob, bases: of } of content.entries) {
    if (way === "held") left.held++;
    if (way === "delta") {
      left.deltas++;
      of.forEach((base) => bases.add(base));
    }
    if (way !== "zstd" || seen.has(sha256)) continue;
    seen.add(sha256);
    await unlessRefused(
      async () => {
        const hash = new Sha256();
        for await (const piece of unzstd(inOrder(places.get(blob), told), size)) hash.update(piece);
        demand(hash.hex() === sha256, "it unpacks to something else than was signed");
      },
      (why) => refuse(`${path}: ${why}`),
    );
    unpacked++;
  }
  const notes = [];
  if (left.deltas) notes.push(`${counted(left.deltas, "delta")} not rebuilt by this verifier: ${basesText(bases)}`);
  if (left.held) notes.push(`${counted(left.held, "content")} that did not travel: who accepted the base holds them`);
  const plain = "what travels as it is was compared in check 11";
  const done = unpacked ? `${counted(unpacked, "content")} unpacked and as signed; ${plain}` : plain;
  if (notes.length) throw new NotHere(`${notes.join("; ")}; ${done}`);
  return done;
}

function basesText(bases) {
  const [first] = bases;
  return bases.size === 1 ? `the base is ${first}` : `there are ${bases.size} bases, such as ${first}`;
}

/** A function that reads the pieces of a blob as one: the next `count` bytes, fewer only at the end. */
function inOrder(places, told) {
  const readers = places.map(({ file, at, size }) => {
    const reader = new Reader(file, told);
    reader.at = at;
    return { reader, end: at + size };
  });
  return async (count) => {
    const parts = [];
    while (count && readers.length) {
      const [{ reader, end }] = readers;
      const size = Math.min(count, end - reader.at);
      if (size) parts.push((await reader.take(size)).slice());
      count -= size;
      if (reader.at === end) readers.shift();
    }
    return parts.length === 1 ? parts[0] : joined(parts);
  };
}

/** Do `work`; a refusal goes to `refused(why)`. True when there was none. */
async function unlessRefused(work, refused) {
  try {
    await work();
    return true;
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    refused(problem.message);
    return false;
  }
}

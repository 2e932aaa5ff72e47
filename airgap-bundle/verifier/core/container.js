/**
 * The container, predicted: which byte stands where (SPEC section 6).
 *
 *     for (const part of layout(about, metadata, blobs)) ...
 *
 *     {at, bytes}                        framing: exactly these bytes
 *     {at, size, blob, offset}           a piece of that blob, beginning at `offset` in it
 *
 * Parts follow each other without a gap from the first byte of the file to its last. Nothing of a medium is parsed
 * here: what comes in is verified, what goes out is compared.
 */

import { joined, sameBytes, toUtf8 } from "./bytes.js";
import * as fields from "./fields.js";
import { canonical, readCanonical } from "./json.js";
import { MOST_BYTES, inOrder, metadataName } from "./names.js";
import { demand, refuse } from "./problem.js";

export const BLOCK = 512;
export const MOST_VOLUME_JSON = 262_144;
const PAGE = 4096;
const ALIGNED_FROM = 65_536;
const LARGEST_MEMBER = 2 ** 32;
const LONGEST_NAME = 100;
const FORMAT = "airgap-bundle/volume/1";
const MOST_VOLUMES = 999;

/** A header whose size field is this, to begin with: of VOLUME.json, when nothing is known yet. */
export function readFirstHeader(bytes) {
  const digits = /^([0-7]{11})\0/.exec(String.fromCharCode(...bytes.subarray(124, 136)));
  const size = digits ? parseInt(digits[1], 8) : 0;
  const same = digits && sameBytes(bytes, header("VOLUME.json", size));
  demand(same && size <= MOST_VOLUME_JSON, "it does not begin with a VOLUME.json: it is no container");
  return size;
}

/** VOLUME.json: {bundle, sequence, metadata: [[name, size]], cuts: [[blob, offset]], volume, volumes}. */
export function readVolumeJson(bytes) {
  const what = "VOLUME.json";
  const names = ["bundle", "cuts", "format", "metadata", "sequence", "volume"];
  const value = fields.object(readCanonical(bytes, what), names, what);
  demand(value.format === FORMAT, `${what} is not of the format ${FORMAT}`);
  const pairs = (list) => Array.isArray(list) && list.every((one) => Array.isArray(one) && one.length === 2);
  demand(pairs(value.cuts) && pairs(value.metadata), `the lists of ${what} are not lists of pairs`);
  for (const [blob, offset] of value.cuts) {
    fields.count(blob, "the blob of a cut");
    fields.count(offset, "the byte of a cut");
  }
  demand(value.cuts.length >= 1 && value.cuts.length <= MOST_VOLUMES, `${what} has no cuts, or too many`);
  demand(goForward(value.cuts), `the cuts of ${what} do not begin at 0 and go forward`);
  for (const [name, size] of value.metadata) {
    const known = typeof name === "string" ? metadataName(name) : null;
    demand(known, `${what} names a metadata file that no bundle has`);
    demand(fields.count(size, "the size of a member") <= MOST_BYTES[known.kind], `${what} names a member too large`);
  }
  demand(inOrder(value.metadata.map(([name]) => name)), `the metadata of ${what} is not in order`);
  const volume = fields.count(value.volume, `the volume of ${what}`, 1);
  demand(volume <= value.cuts.length, `${what} is of a volume beyond the last`);
  return {
    bundle: fields.match(value.bundle, fields.STREAM, `the bundle of ${what}`),
    sequence: fields.count(value.sequence, `the sequence of ${what}`, 1),
    metadata: value.metadata,
    cuts: value.cuts,
    volume,
    volumes: value.cuts.length,
  };
}

export function renderVolumeJson({ bundle, sequence, metadata, cuts, volume }) {
  return canonical({ bundle, cuts, format: FORMAT, metadata, sequence, volume }, "VOLUME.json");
}

export function fileName({ bundle, sequence, volume, volumes }) {
  const three = (number) => String(number).padStart(3, "0");
  const of = volumes === 1 ? "" : `.${three(volume)}-of-${three(volumes)}`;
  return `${bundle}-${sequence}${of}.bundle`;
}

/** Where each metadata member's content lies, as VOLUME.json of `length` bytes says: Map of name to {at, size}. */
export function metadataPlaces(length, metadata) {
  const places = new Map();
  let at = BLOCK + padded(length, BLOCK);
  for (const [name, size] of metadata) {
    at += before(name).length + BLOCK;
    places.set(name, { at, size });
    at += padded(size, BLOCK);
  }
  return places;
}

/** Refuse cuts that are no places in these blobs: [digest, size] in the order of the container. */
export function checkCuts(cuts, blobs) {
  for (const [blob, offset] of cuts.slice(1)) {
    const there = blob < blobs.length && offset < Math.max(blobs[blob][1], 1);
    if (!there) refuse("VOLUME.json cuts the bundle where no byte is");
  }
}

/**
 * The parts of one volume in order; see the head of this file.
 *
 * `about`: VOLUME.json as a value, verified. `metadata`: Map of name to bytes. `blobs`: [digest, size] in order.
 */
export function* layout(about, metadata, blobs) {
  let at = 0;
  let framing = [];
  const frame = (bytes) => {
    framing.push(bytes);
    at += bytes.length;
  };
  const flush = () => {
    const bytes = joined(framing);
    framing = [];
    return { at: at - bytes.length, bytes };
  };
  const volumeJson = renderVolumeJson(about);
  for (const [name, bytes] of [["VOLUME.json", volumeJson], ...metadata]) {
    frame(before(name));
    frame(header(name, bytes.length));
    frame(bytes);
    frame(zerosTo(BLOCK, at));
    yield flush();
  }
  for (const { blob, offset, size } of pieces(about, blobs)) {
    frame(padBefore(at, size));
    frame(header(offset ? `blobs/${blob}.${String(offset).padStart(16, "0")}` : `blobs/${blob}`, size));
    yield flush();
    yield { at, size, blob, offset };
    at += size;
    frame(zerosTo(BLOCK, at));
  }
  frame(new Uint8Array(2 * BLOCK));
  frame(zerosTo(PAGE, at));
  yield flush();
}

/** The pieces of blobs in one volume, each as large as can be. */
export function* pieces({ cuts, volume }, blobs) {
  const [first, firstOffset] = cuts[volume - 1];
  const [last, lastOffset] = cuts[volume] ?? [blobs.length, 0];
  for (let number = first; number < blobs.length && number <= last; number++) {
    const [blob, whole] = blobs[number];
    const end = number === last ? lastOffset : whole;
    let offset = number === first ? firstOffset : 0;
    if (number === last && end === 0) return;
    do {
      const size = Math.min(end - offset, LARGEST_MEMBER);
      yield { blob, offset, size };
      offset += size;
    } while (offset < end);
  }
}

/** The 512 bytes before a member's content. */
export function header(name, size, typeflag = "0") {
  const bytes = new Uint8Array(BLOCK);
  const put = (at, text) => bytes.set(toUtf8(text), at);
  put(0, name.slice(0, LONGEST_NAME));
  put(100, "0000644\0" + "0000000\0" + "0000000\0");
  put(124, `${size.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(148, "        ");
  put(156, typeflag);
  put(257, "ustar\x0000");
  put(329, "0000000\0" + "0000000\0");
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  return bytes;
}

/** What comes before the header of a member whose name no header holds: its name in a pax record. */
function before(name) {
  if (name.length <= LONGEST_NAME) return new Uint8Array(0);
  let length = name.length + " path=\n".length;
  while (length !== String(length).length + name.length + " path=\n".length) length++;
  const record = new Uint8Array(padded(length, BLOCK));
  record.set(toUtf8(`${length} path=${name}\n`));
  return joined([header("path", length, "x"), record]);
}

/** The pad before a blob's member, so that its content is aligned. */
function padBefore(at, size) {
  const short = (PAGE - ((at + BLOCK) % PAGE)) % PAGE;
  if (size < ALIGNED_FROM || short === 0) return new Uint8Array(0);
  const length = short === BLOCK ? short + PAGE : short;
  const begin = `${length - BLOCK} comment=`;
  const record = `${begin.padEnd(length - BLOCK - 1, " ")}\n`;
  return joined([header("pad", length - BLOCK, "x"), toUtf8(record)]);
}

function zerosTo(multiple, at) {
  return new Uint8Array(padded(at, multiple) - at);
}

function padded(size, to) {
  return Math.ceil(size / to) * to;
}

function goForward(cuts) {
  if (cuts[0][0] !== 0 || cuts[0][1] !== 0) return false;
  return cuts.every(([blob, offset], i) => {
    if (i === 0) return true;
    const [blobBefore, offsetBefore] = cuts[i - 1];
    return blobBefore < blob || (blobBefore === blob && offsetBefore < offset);
  });
}

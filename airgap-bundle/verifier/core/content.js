/**
 * content.ndjson: the entries, how each travels, and every rule of SPEC section 5.
 *
 * A line is parsed by the engine's JSON, its fields are checked one by one, and then the line is written from them
 * again: only equal bytes pass. The file is decoded piece by piece, because engines limit the length of a string.
 */

import { SHA256_HEX, compareText, toUtf8, utf8 } from "./bytes.js";
import { Tree, whyNotAPath } from "./paths.js";
import { demand, refuse } from "./problem.js";
import { Sha256 } from "./sha256.js";

const MOST_BYTES = 512 * 1024 * 1024;
const MOST_ENTRIES = 2_000_000;
const MOST_BASES = 8;
const PIECE = 1024 * 1024;
const TYPE = /^[a-z0-9.+-]+\/[a-z0-9.+-]+$/;
const NEWLINE = 10;
const NONE = Object.freeze([]);

/**
 * Read content.ndjson.
 *
 * Gives `entries` in order of their paths; `blobs`, the distinct ones in the order of the container, as Map of
 * digest to size; `parts`, Map of name to {entries, bytes, sha256}; and the sums `bytes` and `carried`.
 */
export function readContent(data) {
  demand(data.length <= MOST_BYTES, "content.ndjson is larger than 512 MiB");
  const entries = [];
  for (const line of lines(data)) {
    entries.push(entryOf(line, entries.length + 1));
    demand(entries.length <= MOST_ENTRIES, "content.ndjson has more than 2,000,000 entries");
  }
  checkPaths(entries);
  const blobs = checkDigests(entries);
  let carried = 0;
  for (const size of blobs.values()) carried += size;
  const parts = partsOf(entries);
  let bytes = 0;
  for (const part of parts.values()) bytes += part.bytes;
  return { entries, blobs, parts, bytes, carried };
}

function* lines(data) {
  let from = 0;
  while (from < data.length) {
    let end = Math.min(from + PIECE, data.length);
    while (end < data.length && data[end - 1] !== NEWLINE) end++;
    demand(data[end - 1] === NEWLINE, "content.ndjson does not end in a line end");
    yield* utf8(data.subarray(from, end), "content.ndjson").slice(0, -1).split("\n");
    from = end;
  }
}

function entryOf(line, number) {
  const bad = (why) => refuse(`line ${number} of content.ndjson ${why}`);
  let value;
  try {
    value = JSON.parse(line);
  } catch {
    bad("is not JSON");
  }
  if (typeof value !== "object" || value === null) bad("is not an object");
  const { path, sha256, size, type, as: way = "raw", blob, blob_size: blobSize, bases } = value;
  if (typeof path !== "string" || typeof type !== "string") bad("lacks a path or a type");
  const why = whyNotAPath(path);
  if (why) bad(`has a path that ${why}`);
  if (!isDigest(sha256) || !isSize(size) || !TYPE.test(type)) bad("has a wrong digest, size or type");
  const travels = way === "zstd" || way === "delta";
  if (travels && !(isDigest(blob) && isSize(blobSize))) bad("names no blob");
  if (way === "delta") {
    const named = Array.isArray(bases) && bases.length >= 1 && bases.length <= MOST_BASES && bases.every(isDigest);
    if (!named) bad("names no bases, or too many");
    if (new Set(bases).size !== bases.length || bases.includes(sha256)) bad("names a base twice, or itself");
  }
  const identity = `"path":"${path}","sha256":"${sha256}","size":${size},"type":"${type}"}`;
  if (`{${howItTravels(way, blob, blobSize, bases)}${identity}` !== line) bad("is not canonical");
  const entry = { path, sha256, size, type, way, blob: null, blobSize: 0, bases: NONE };
  if (way === "raw") Object.assign(entry, { blob: sha256, blobSize: size });
  if (travels) Object.assign(entry, { blob, blobSize });
  if (way === "delta") entry.bases = bases;
  return entry;
}

/** The beginning of a line; no line begins as it does for a way that there is not. */
function howItTravels(way, blob, blobSize, bases) {
  if (way === "raw") return "";
  if (way === "held") return '"as":"held",';
  if (way === "zstd") return `"as":"zstd","blob":"${blob}","blob_size":${blobSize},`;
  if (way === "delta") {
    return `"as":"delta","bases":${JSON.stringify(bases)},"blob":"${blob}","blob_size":${blobSize},`;
  }
  return "?";
}

function isDigest(value) {
  return typeof value === "string" && SHA256_HEX.test(value);
}

function isSize(value) {
  return Number.isSafeInteger(value) && value >= 0;
}

function checkPaths(entries) {
  const tree = new Tree();
  let before = null;
  for (const { path } of entries) {
    const sorted = before === null || compareText(before, path) < 0;
    demand(sorted, `the paths of content.ndjson are not strictly sorted at ${path}`);
    tree.add(path);
    before = path;
  }
}

/** One way to travel for each content, one size for each blob; gives the blobs. */
function checkDigests(entries) {
  const ways = new Map();
  const blobs = new Map();
  for (const entry of entries) {
    const { path, sha256, blob, blobSize } = entry;
    const first = ways.get(sha256);
    if (!first) ways.set(sha256, entry);
    else demand(travelAlike(first, entry), () => `one content has two sizes or two ways to travel: ${path}`);
    if (blob === null) continue;
    demand((blobs.get(blob) ?? blobSize) === blobSize, () => `one blob has two sizes: ${path}`);
    blobs.set(blob, blobSize);
  }
  return blobs;
}

function travelAlike(one, other) {
  const alike = ["size", "way", "blob", "blobSize"].every((field) => one[field] === other[field]);
  return alike && one.bases.join() === other.bases.join();
}

function partsOf(entries) {
  const parts = new Map();
  for (const { path, sha256, size, type } of entries) {
    const name = path.slice(0, path.indexOf("/"));
    if (!parts.has(name)) parts.set(name, { entries: 0, bytes: 0, hash: new Sha256() });
    const part = parts.get(name);
    part.entries++;
    part.bytes += size;
    part.hash.update(toUtf8(`{"path":"${path}","sha256":"${sha256}","size":${size},"type":"${type}"}\n`));
  }
  for (const [name, { entries, bytes, hash }] of parts) parts.set(name, { entries, bytes, sha256: hash.hex() });
  return parts;
}

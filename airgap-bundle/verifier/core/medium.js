/**
 * What was carried here: the folder form of a bundle, one container, or some of its volumes (check 1).
 *
 *     const medium = await openMedium([{path: "usb/zone-updates-7.bundle", file}, ...]);
 *     medium.source.names, await medium.source.read(name, limit)
 *
 * `path` begins with the folder that was chosen; a file that was chosen alone has no slash in it. Only bounded
 * beginnings of volumes are read here, and all that they say is compared later with what is signed.
 */

import { BLOCK, fileName, metadataPlaces, readFirstHeader, readVolumeJson } from "./container.js";
import { SHA256_HEX } from "./bytes.js";
import { metadataName } from "./names.js";
import { Refused, demand, refuse } from "./problem.js";
import { counted } from "./words.js";

const FOLDERS = ["metadata", "targets", "blobs"];
const BESIDE = new Set(["carry-sheet.html", "carry-sheet.txt", "SHA256SUMS", "SHA256SUMS.sig"]);
const VOLUME = /^[a-z0-9][a-z0-9-]{0,62}-[1-9][0-9]*(?:\.[0-9]{3}-of-[0-9]{3})?\.bundle$/;
const PARITY = /^[a-z0-9][a-z0-9-]{0,62}-[1-9][0-9]*(?:\.[0-9]{3}-of-[0-9]{3})?\.parity$/;

/** No bundle is there at all: nothing is refused, something else was chosen. */
export class NoBundle extends Error {}

/**
 * Look at what was chosen.
 *
 * Gives {source, volumes, blobs, text}: `volumes` [{about, file}] by number, empty in the folder form; `blobs` Map of
 * digest to file in the folder form, else null; `text` what is here, for the report.
 */
export async function openMedium(items) {
  const chosen = items.map(({ path, file }) => ({ name: path.slice(path.indexOf("/") + 1), path, file }));
  const inFolders = chosen.filter(({ path }) => path.includes("/"));
  if (inFolders.some(({ name }) => FOLDERS.includes(name.split("/")[0]) && name.includes("/"))) {
    return folderForm(chosen);
  }
  for (const { name } of inFolders) demand(belongsBeside(name) || VOLUME.test(name), () => stray(name));
  const files = chosen.filter(({ name }) => !belongsBeside(name) && !name.endsWith(".parity"));
  if (!files.length) throw new NoBundle("No bundle is among the files that were chosen.");
  return volumesOf(files);
}

function belongsBeside(name) {
  return BESIDE.has(name) || PARITY.test(name);
}

function stray(name) {
  return `${name} does not belong on the medium`;
}

function folderForm(chosen) {
  const files = new Map();
  for (const { name, path, file } of chosen) {
    demand(path.includes("/"), () => `${name} was chosen beside a bundle in a folder, which stands alone`);
    const [folder, ...rest] = name.split("/");
    const blob = folder === "blobs" && rest.length === 1 && SHA256_HEX.test(rest[0]);
    demand(blob || metadataName(name), () => stray(name));
    demand(!files.has(name), () => `${name} is there twice: choose one folder only`);
    files.set(name, file);
  }
  const metadata = new Map();
  const blobs = new Map();
  for (const [name, file] of files) {
    if (name.startsWith("blobs/")) blobs.set(name.slice("blobs/".length), file);
    else metadata.set(name, { file, at: 0, size: file.size });
  }
  return { source: new Source(metadata), volumes: [], blobs, text: `a folder of ${counted(files.size, "file")}` };
}

async function volumesOf(files) {
  const volumes = new Map();
  for (const { name, path, file } of files) {
    const about = await readAbout(name, file);
    const proper = fileName(about);
    demand(!path.includes("/") || name === proper, () => `${name} holds what is named ${proper}`);
    const other = volumes.get(about.volume);
    demand(!other, () => `${name} and ${other.name} are both volume ${about.volume}`);
    const [first] = volumes.values();
    if (first) compareVolumes(first, { name, about });
    volumes.set(about.volume, { name, about, file });
  }
  const ordered = [...volumes.values()].sort((a, b) => a.about.volume - b.about.volume);
  const [{ about, file }] = ordered;
  const places = new Map();
  for (const [name, place] of metadataPlaces(about.length, about.metadata)) places.set(name, { file, ...place });
  return { source: new Source(places), volumes: ordered, blobs: null, text: volumesText(ordered) };
}

/** The beginning of a volume: a header and VOLUME.json. */
async function readAbout(name, file) {
  try {
    const length = readFirstHeader(await readExactly(file, 0, BLOCK));
    return { ...readVolumeJson(await readExactly(file, BLOCK, length)), length };
  } catch (problem) {
    if (problem instanceof Refused) refuse(`${name}: ${problem.message}`);
    throw problem;
  }
}

function compareVolumes(one, other) {
  const apart = (field) => JSON.stringify(one.about[field]) !== JSON.stringify(other.about[field]);
  for (const field of ["bundle", "sequence", "cuts", "metadata"]) {
    demand(!apart(field), () => `${one.name} and ${other.name} are not of one bundle: their ${field} differs`);
  }
}

function volumesText(volumes) {
  const { volumes: count } = volumes[0].about;
  if (count === 1) return `one container of ${counted(volumes[0].file.size, "byte")}`;
  const here = new Set(volumes.map(({ about }) => about.volume));
  const missing = Array.from({ length: count }, (_, i) => i + 1).filter((number) => !here.has(number));
  if (!missing.length) return `all ${count} volumes`;
  return `${here.size} of ${count} volumes: ${missing.join(", ")} not here`;
}

/** Metadata at its places; every read is bounded by what the reader allows. */
class Source {
  #places;

  constructor(places) {
    this.#places = places;
    this.names = new Set(places.keys());
  }

  async read(name, limit) {
    const { file, at, size } = this.#places.get(name);
    demand(size <= limit, `${name} is longer than it may be`);
    return readExactly(file, at, size);
  }
}

/** `size` bytes of a file from offset `at`. */
export async function readExactly(file, at, size) {
  let bytes;
  try {
    bytes = new Uint8Array(await file.slice(at, at + size).arrayBuffer());
  } catch {
    refuse(`${file.name} cannot be read`);
  }
  demand(bytes.length === size, `${file.name} ends before it should`);
  return bytes;
}

/** Which paths may stand in a bundle, and which two are one on some file system (SPEC section 5). */

import { toUtf8 } from "./bytes.js";
import { PART } from "./fields.js";
import { demand, refuse } from "./problem.js";
import { casefold, isPrintable } from "./unicode.js";

const FORBIDDEN = /["*:<>?\\|]/;
const ASCII = /^[\x20-\x7e]*$/;

/** Why `path` may not stand in a bundle, or null. */
export function whyNotAPath(path) {
  const length = ASCII.test(path) ? (text) => text.length : (text) => toUtf8(text).length;
  if (length(path) > 1024) return "is longer than 1,024 bytes";
  const segments = path.split("/");
  if (segments.length < 2) return "has no part before its first slash";
  if (!PART.test(segments[0])) return "begins with a part that is not of a-z, 0-9 and -";
  for (const segment of segments) {
    if (segment === "" || segment === "." || segment === "..") return "has an empty segment, . or ..";
    if (segment.startsWith(" ") || segment.endsWith(" ") || segment.endsWith(".")) {
      return "has a segment that begins or ends with a space, or ends with a dot";
    }
    if (FORBIDDEN.test(segment)) return "has one of the characters that some file systems forbid";
    if (length(segment) > 200) return "has a segment of more than 200 bytes";
  }
  if (!isPrintable(path)) return "has a character that is not printable";
  if (path.normalize("NFC") !== path) return "is not in Unicode normalization form C";
  return null;
}

/** What a file system that ignores case and the forms of letters makes of `path`. */
export function folded(path) {
  if (ASCII.test(path)) return path.toLowerCase();
  return casefold(path.normalize("NFKC")).normalize("NFKC");
}

/** Watches for paths that are one on some file systems, and for paths that are folders of others. */
export class Tree {
  #paths = new Map(); // folded -> path
  #folders = new Map();
  #last = "";

  add(path) {
    const name = folded(path);
    if (this.#paths.has(name)) refuse(`two paths are one on some file systems: ${path}`);
    if (this.#folders.has(name)) refuse(`a path is also a folder: ${path}`);
    this.#paths.set(name, path);
    const parent = path.slice(0, path.lastIndexOf("/"));
    if (parent === this.#last) return;
    this.#last = parent;
    for (let end = parent.length; end > 0; end = parent.lastIndexOf("/", end - 1)) {
      const folder = parent.slice(0, end);
      const other = this.#folders.get(folded(folder));
      if (other === folder) return;
      demand(other === undefined, `two folders are one on some file systems: ${folder}`);
      demand(!this.#paths.has(folded(folder)), `a path is also a folder: ${folder}`);
      this.#folders.set(folded(folder), folder);
    }
  }
}

/** Reads a file from its beginning to its end in pieces of a fixed size; memory does not grow with the file. */

import { readExactly } from "./medium.js";
import { demand } from "./problem.js";
import { Sha256, sha256 } from "./sha256.js";

const PIECE = 4 * 1024 * 1024;
const AT_ONCE = 64 * 1024 * 1024; // contents up to this size are hashed by WebCrypto, which wants them whole
const TINY = 2048; // below, asking WebCrypto costs more than hashing here

export class Reader {
  #buffer = new Uint8Array(0);
  #from = 0; // offset of #buffer in the file
  #told;

  /** `told(bytes)` hears of every byte that was read. */
  constructor(file, told = () => {}) {
    this.file = file;
    this.at = 0;
    this.#told = told;
  }

  /** The next `size` bytes, piece by piece. Refuses a file that ends before. */
  async *pieces(size) {
    const end = this.at + size;
    demand(end <= this.file.size, `it ends at byte ${this.file.size}, and ${end} are predicted`);
    while (this.at < end) {
      const behind = this.at - this.#from;
      if (behind < 0 || behind >= this.#buffer.length) await this.#load();
      const from = this.at - this.#from;
      const piece = this.#buffer.subarray(from, from + end - this.at);
      this.at += piece.length;
      yield piece;
    }
  }

  /** The next `size` bytes at once. */
  async take(size) {
    const behind = this.at - this.#from;
    if (behind >= 0 && behind + size <= this.#buffer.length) {
      this.at += size;
      return this.#buffer.subarray(behind, behind + size);
    }
    const whole = new Uint8Array(size);
    let filled = 0;
    for await (const piece of this.pieces(size)) {
      whole.set(piece, filled);
      filled += piece.length;
    }
    return whole;
  }

  /** Offset of the first byte that differs from `expected`, or -1. */
  async differs(expected) {
    const found = await this.take(expected.length);
    return expected.findIndex((byte, i) => byte !== found[i]);
  }

  /** The SHA-256 of the next `size` bytes. */
  async digest(size) {
    if (size > AT_ONCE) {
      const hash = new Sha256();
      for await (const piece of this.pieces(size)) hash.update(piece);
      return hash.hex();
    }
    const bytes = await this.take(size);
    return size <= TINY ? new Sha256().update(bytes).hex() : sha256(bytes);
  }

  async #load() {
    const size = Math.min(PIECE, this.file.size - this.at);
    this.#buffer = await readExactly(this.file, this.at, size);
    this.#from = this.at;
    this.#told(size);
  }
}

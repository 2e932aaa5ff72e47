/**
 * SHA-256 (FIPS 180-4), piece by piece: WebCrypto's digest wants the whole message in memory at once.
 *
 * Eight rounds stand behind each other, so that the eight variables change their roles and never their places;
 * all are 32-bit integers, which engines compile to machine words. Blobs that fit into memory go to WebCrypto,
 * which is faster by far.
 */

import { hex } from "./bytes.js";

const K = new Int32Array(64);
const START = new Int32Array(8);

// The constants are the fractional parts of the cube and square roots of the first primes. 80 bits of BigInt
// arithmetic give them exactly, and leave no table to mistype.
{
  const root = (value, power) => {
    let low = 0n;
    let high = 1n << 80n;
    while (low + 1n < high) {
      const middle = (low + high) >> 1n;
      if (middle ** power <= value) low = middle;
      else high = middle;
    }
    return low;
  };
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  primes.forEach((prime, i) => {
    K[i] = Number(root(BigInt(prime) << 96n, 3n) & 0xffffffffn);
    if (i < 8) START[i] = Number(root(BigInt(prime) << 64n, 2n) & 0xffffffffn);
  });
}

/** The digest of a message at hand, as hexadecimal. */
export async function sha256(bytes) {
  return hex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

export class Sha256 {
  #state = START.slice();
  #words = new Int32Array(64);
  #held = new Uint8Array(64);
  #count = 0; // of bytes in #held
  #length = 0; // of the whole message; exact up to 2^53

  update(bytes) {
    this.#length += bytes.length;
    let at = 0;
    if (this.#count) {
      at = Math.min(64 - this.#count, bytes.length);
      this.#held.set(bytes.subarray(0, at), this.#count);
      this.#count += at;
      if (this.#count < 64) return this;
      this.#blocks(this.#held, 0, 64);
      this.#count = 0;
    }
    const end = bytes.length - ((bytes.length - at) & 63);
    this.#blocks(bytes, at, end);
    this.#held.set(bytes.subarray(end));
    this.#count = bytes.length - end;
    return this;
  }

  /** The digest as hexadecimal; nothing may follow. */
  hex() {
    const length = this.#length;
    const padding = new Uint8Array(((119 - (length & 63)) & 63) + 9);
    padding[0] = 0x80;
    const view = new DataView(padding.buffer);
    view.setUint32(padding.length - 8, Math.floor(length / 0x20000000));
    view.setUint32(padding.length - 4, (length << 3) >>> 0);
    this.update(padding);
    return Array.from(this.#state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #blocks(bytes, from, end) {
    const state = this.#state;
    const w = this.#words;
    let h0 = state[0], h1 = state[1], h2 = state[2], h3 = state[3];
    let h4 = state[4], h5 = state[5], h6 = state[6], h7 = state[7];
    for (let at = from; at < end; at += 64) {
      for (let i = 0, j = at; i < 16; i++, j += 4) {
        w[i] = (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3];
      }
      for (let i = 16; i < 64; i++) {
        const x = w[i - 15], y = w[i - 2];
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
      }
      let a = h0, b = h1, c = h2, d = h3, e = h4, f = h5, g = h6, h = h7;
      for (let t = 0; t < 64; t += 8) {
        h = (h + sigma1(e) + (g ^ (e & (f ^ g))) + K[t] + w[t]) | 0;
        d = (d + h) | 0;
        h = (h + sigma0(a) + ((a & b) | (c & (a | b)))) | 0;
        g = (g + sigma1(d) + (f ^ (d & (e ^ f))) + K[t + 1] + w[t + 1]) | 0;
        c = (c + g) | 0;
        g = (g + sigma0(h) + ((h & a) | (b & (h | a)))) | 0;
        f = (f + sigma1(c) + (e ^ (c & (d ^ e))) + K[t + 2] + w[t + 2]) | 0;
        b = (b + f) | 0;
        f = (f + sigma0(g) + ((g & h) | (a & (g | h)))) | 0;
        e = (e + sigma1(b) + (d ^ (b & (c ^ d))) + K[t + 3] + w[t + 3]) | 0;
        a = (a + e) | 0;
        e = (e + sigma0(f) + ((f & g) | (h & (f | g)))) | 0;
        d = (d + sigma1(a) + (c ^ (a & (b ^ c))) + K[t + 4] + w[t + 4]) | 0;
        h = (h + d) | 0;
        d = (d + sigma0(e) + ((e & f) | (g & (e | f)))) | 0;
        c = (c + sigma1(h) + (b ^ (h & (a ^ b))) + K[t + 5] + w[t + 5]) | 0;
        g = (g + c) | 0;
        c = (c + sigma0(d) + ((d & e) | (f & (d | e)))) | 0;
        b = (b + sigma1(g) + (a ^ (g & (h ^ a))) + K[t + 6] + w[t + 6]) | 0;
        f = (f + b) | 0;
        b = (b + sigma0(c) + ((c & d) | (e & (c | d)))) | 0;
        a = (a + sigma1(f) + (h ^ (f & (g ^ h))) + K[t + 7] + w[t + 7]) | 0;
        e = (e + a) | 0;
        a = (a + sigma0(b) + ((b & c) | (d & (b | c)))) | 0;
      }
      h0 = (h0 + a) | 0;
      h1 = (h1 + b) | 0;
      h2 = (h2 + c) | 0;
      h3 = (h3 + d) | 0;
      h4 = (h4 + e) | 0;
      h5 = (h5 + f) | 0;
      h6 = (h6 + g) | 0;
      h7 = (h7 + h) | 0;
    }
    state.set([h0, h1, h2, h3, h4, h5, h6, h7]);
  }
}

function sigma0(a) {
  return ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
}

function sigma1(e) {
  return ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
}

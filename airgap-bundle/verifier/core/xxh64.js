/** XXH64 with seed 0 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md): the checksum of zstd frames. */

const MASK = (1n << 64n) - 1n;
const PRIME = [
  0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn, 0x165667b19e3779f9n, 0x85ebca77c2b2ae63n, 0x27d4eb2f165667c5n,
];
const halves = (value) => [Number(value >> 32n) | 0, Number(value & 0xffffffffn) | 0];
const [P1H, P1L] = halves(PRIME[0]);
const [P2H, P2L] = halves(PRIME[1]);
const STRIPE = 32;

export class Xxh64 {
  // Four lanes of 64 bits, high and low halves in turn.
  #lanes = new Int32Array([(PRIME[0] + PRIME[1]) & MASK, PRIME[1], 0n, -PRIME[0] & MASK].flatMap(halves));
  #held = new Uint8Array(STRIPE);
  #count = 0;
  #length = 0;

  update(bytes) {
    this.#length += bytes.length;
    let at = 0;
    if (this.#count) {
      at = Math.min(STRIPE - this.#count, bytes.length);
      this.#held.set(bytes.subarray(0, at), this.#count);
      this.#count += at;
      if (this.#count < STRIPE) return;
      this.#stripes(this.#held, 0, STRIPE);
    }
    const end = bytes.length - ((bytes.length - at) % STRIPE);
    this.#stripes(bytes, at, end);
    this.#held.set(bytes.subarray(end));
    this.#count = bytes.length - end;
  }

  /** The low 32 bits of the hash, which is what a frame carries. */
  low32() {
    const lane = (i) => (BigInt(this.#lanes[2 * i] >>> 0) << 32n) | BigInt(this.#lanes[2 * i + 1] >>> 0);
    let hash = PRIME[4];
    if (this.#length >= STRIPE) {
      const lanes = [0, 1, 2, 3].map(lane);
      hash = rotated(lanes[0], 1n) + rotated(lanes[1], 7n) + rotated(lanes[2], 12n) + rotated(lanes[3], 18n);
      for (const one of lanes) hash = ((hash & MASK) ^ round(0n, one)) * PRIME[0] + PRIME[3];
    }
    hash = (hash + BigInt(this.#length)) & MASK;
    const view = new DataView(this.#held.buffer);
    let at = 0;
    for (; at + 8 <= this.#count; at += 8) {
      hash = rotated(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * PRIME[0] + PRIME[3];
    }
    if (at + 4 <= this.#count) {
      hash = (hash ^ (BigInt(view.getUint32(at, true)) * PRIME[0])) & MASK;
      hash = rotated(hash, 23n) * PRIME[1] + PRIME[2];
      at += 4;
    }
    for (; at < this.#count; at++) {
      hash = (hash ^ (BigInt(this.#held[at]) * PRIME[4])) & MASK;
      hash = rotated(hash, 11n) * PRIME[0];
    }
    hash &= MASK;
    hash = ((hash ^ (hash >> 33n)) * PRIME[1]) & MASK;
    hash = ((hash ^ (hash >> 29n)) * PRIME[2]) & MASK;
    return Number((hash ^ (hash >> 32n)) & 0xffffffffn);
  }

  #stripes(bytes, from, end) {
    const lanes = this.#lanes;
    for (let at = from; at < end; ) {
      for (let i = 0; i < 8; i += 2, at += 8) {
        const low = bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
        const high = bytes[at + 4] | (bytes[at + 5] << 8) | (bytes[at + 6] << 16) | (bytes[at + 7] << 24);
        // lane = rotate(lane + word * P2, 31) * P1, in halves of 32 bits
        const word = upper(low, P2L) + Math.imul(low, P2H) + Math.imul(high, P2L);
        const sum = (lanes[i + 1] >>> 0) + (Math.imul(low, P2L) >>> 0);
        const h = (lanes[i] + word + (sum > 0xffffffff ? 1 : 0)) | 0;
        const l = sum | 0;
        const rotatedH = (h << 31) | (l >>> 1);
        const rotatedL = (l << 31) | (h >>> 1);
        lanes[i] = (upper(rotatedL, P1L) + Math.imul(rotatedL, P1H) + Math.imul(rotatedH, P1L)) | 0;
        lanes[i + 1] = Math.imul(rotatedL, P1L);
      }
    }
  }
}

/** The upper 32 bits of the product of two unsigned 32-bit numbers. */
function upper(a, b) {
  const aLow = a & 0xffff, aHigh = a >>> 16, bLow = b & 0xffff, bHigh = b >>> 16;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16);
  const other = aLow * bHigh + (middle & 0xffff);
  return (aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(other / 65536)) | 0;
}

function round(lane, word) {
  return (rotated((lane + word * PRIME[1]) & MASK, 31n) * PRIME[0]) & MASK;
}

function rotated(value, by) {
  value &= MASK;
  return ((value << by) | (value >> (64n - by))) & MASK;
}

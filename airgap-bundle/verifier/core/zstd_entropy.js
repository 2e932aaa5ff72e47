/**
 * The entropy coders of Zstandard (RFC 8878 section 4): FSE and Huffman tables, and bits that are read backwards.
 *
 * Every table is checked when it is built, so that decoding cannot leave it.
 */

import { demand, refuse } from "./problem.js";

export function damaged(why) {
  refuse(`the zstd frame is damaged: ${why}`);
}

/** Bits from the last byte to the first; the highest set bit of the last byte marks the beginning (4.1). */
export class BackwardBits {
  constructor(bytes) {
    if (!bytes.length || !bytes.at(-1)) damaged("a bit stream has no end mark");
    this.bytes = bytes;
    /** Bits that are left. It goes below zero when more is read than there is; those bits are zeros. */
    this.left = bytes.length * 8 - 1 - Math.clz32(bytes.at(-1)) + 24;
  }

  /** The next `count` bits, 0 to 25. */
  read(count) {
    const value = this.peek(count);
    this.left -= count;
    return value;
  }

  peek(count) {
    if (!count) return 0;
    const from = this.left - count;
    if (from < 0) return this.left > 0 ? (this.#word(0) & ((1 << this.left) - 1)) << -from : 0;
    return (this.#word(from >> 3) >>> (from & 7)) & ((1 << count) - 1);
  }

  #word(at) {
    const { bytes } = this;
    return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
  }
}

/**
 * The distribution of an FSE table (4.1.1).
 *
 * Gives the `table`, and how many `bytes` its description took.
 */
export function readFse(bytes, mostSymbols, mostLog) {
  let at = 0; // in bits, forwards
  const peek = (count) => {
    let word = 0;
    for (let i = 3; i >= 0; i--) word = (word << 8) | (bytes[(at >> 3) + i] ?? 0);
    return (word >>> (at & 7)) & ((1 << count) - 1);
  };
  const log = peek(4) + 5;
  at += 4;
  demand(log <= mostLog, "the zstd frame is damaged: a table is too large");
  const counts = [];
  let left = (1 << log) + 1;
  while (left > 1) {
    if (counts.length >= mostSymbols || at > bytes.length * 8) damaged("a table has too many symbols");
    const width = 32 - Math.clz32(left);
    const spare = (1 << width) - 1 - left; // as many values take one bit less
    let value = peek(width - 1);
    if (value < spare) {
      at += width - 1;
    } else {
      value = peek(width);
      at += width;
      if (value >= 1 << (width - 1)) value -= spare;
    }
    const count = value - 1;
    left -= Math.abs(count);
    counts.push(count);
    if (count === 0) {
      for (let more = 3; more === 3; ) {
        more = peek(2);
        at += 2;
        for (let i = 0; i < more; i++) counts.push(0);
      }
    }
  }
  if (left !== 1 || counts.length > mostSymbols || at > bytes.length * 8) damaged("a table does not add up");
  return { table: fseTable(counts, log), bytes: (at + 7) >> 3 };
}

/** A decoding table: for each state its symbol, the bits to read, and what to add to them (4.1.1). */
export function fseTable(counts, log) {
  const size = 1 << log;
  const symbols = new Uint8Array(size);
  const widths = new Uint8Array(size);
  const bases = new Uint16Array(size);
  let high = size;
  counts.forEach((count, symbol) => {
    if (count === -1) symbols[--high] = symbol;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let at = 0;
  counts.forEach((count, symbol) => {
    for (let i = 0; i < count; i++) {
      symbols[at] = symbol;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
  });
  const next = counts.map((count) => (count === -1 ? 1 : count));
  for (let state = 0; state < size; state++) {
    const of = next[symbols[state]]++;
    widths[state] = log - (31 - Math.clz32(of));
    bases[state] = (of << widths[state]) - size;
  }
  return { log, symbols, widths, bases };
}

/** A table with one symbol, which takes no bits. */
export function oneSymbol(symbol) {
  return { log: 0, symbols: Uint8Array.of(symbol), widths: new Uint8Array(1), bases: new Uint16Array(1) };
}

/** The Huffman tree of literals (4.2.1). Gives `{log, symbols, widths}`, and how many `bytes` it took. */
export function readHuffman(bytes) {
  if (!bytes.length) damaged("a Huffman tree is missing");
  const head = bytes[0];
  let weights = [];
  let took = 1;
  if (head >= 128) {
    const count = head - 127;
    took += (count + 1) >> 1;
    if (took > bytes.length) damaged("a Huffman tree is cut");
    for (let i = 0; i < count; i++) weights.push(i & 1 ? bytes[1 + (i >> 1)] & 15 : bytes[1 + (i >> 1)] >> 4);
  } else {
    took += head;
    if (took > bytes.length) damaged("a Huffman tree is cut");
    weights = compressedWeights(bytes.subarray(1, took));
  }
  let sum = 0;
  for (const weight of weights) {
    if (weight > 11) damaged("a Huffman code is too long");
    if (weight) sum += 1 << (weight - 1);
  }
  if (!sum) damaged("a Huffman tree is empty");
  const log = 32 - Math.clz32(sum);
  const rest = (1 << log) - sum;
  if (log > 11 || rest & (rest - 1)) damaged("a Huffman tree does not add up");
  weights.push(32 - Math.clz32(rest));
  // The rarest symbols come first; a symbol of weight w fills 2^(w-1) places of the table.
  const symbols = new Uint8Array(1 << log);
  const widths = new Uint8Array(1 << log);
  let place = 0;
  for (let weight = 1; weight <= log; weight++) {
    weights.forEach((of, symbol) => {
      if (of !== weight) return;
      const end = place + (1 << (weight - 1));
      symbols.fill(symbol, place, end);
      widths.fill(log + 1 - weight, place, end);
      place = end;
    });
  }
  return { table: { log, symbols, widths }, bytes: took };
}

/** Weights that are FSE coded, two states in turn until the bits end (4.2.1.2). */
function compressedWeights(bytes) {
  const { table, bytes: took } = readFse(bytes, 13, 6);
  const bits = new BackwardBits(bytes.subarray(took));
  const weights = [];
  const states = [bits.read(table.log), bits.read(table.log)];
  if (bits.left < 0) damaged("Huffman weights are cut");
  for (let turn = 0; ; turn ^= 1) {
    const state = states[turn];
    weights.push(table.symbols[state]);
    if (weights.length > 254) damaged("there are too many Huffman weights");
    states[turn] = table.bases[state] + bits.read(table.widths[state]);
    if (bits.left < 0) {
      weights.push(table.symbols[states[turn ^ 1]]);
      if (weights.length > 255) damaged("there are too many Huffman weights");
      return weights;
    }
  }
}

/**
 * A Zstandard decoder (RFC 8878) for what SPEC section 5 lets travel: exactly one frame, with its content's size,
 * a window of at most 8 MiB, no dictionary, nothing behind it.
 *
 *     for await (const piece of unzstd(read)) hash.update(piece);
 *
 * `read(count)` gives the next bytes, fewer only at the end. What is given out is at most 128 KiB at a time and
 * is good until the next piece is asked for. Memory: the window, and twice a block.
 */

import { joined } from "./bytes.js";
import { Xxh64 } from "./xxh64.js";
import { BackwardBits, damaged, fseTable, oneSymbol, readFse, readHuffman } from "./zstd_entropy.js";

const MAGIC = 0xfd2fb528;
const MOST_WINDOW = 8 * 1024 * 1024;
const MOST_BLOCK = 128 * 1024;

const LITERALS_BASE = codes(16, [1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 0);
const MATCH_BASE = codes(32, [1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], 3);
const PREDEFINED = {
  literals: fseTable(
    [4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1],
    6,
  ),
  offsets: fseTable(
    [1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1],
    5,
  ),
  matches: fseTable(
    [1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]
      .concat([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1]),
    6,
  ),
};

/** Lengths by code (3.1.1.3.2.1.1): the first `plain` codes are themselves, then come ranges of 2^bits. */
function codes(plain, bits, least) {
  const bases = [];
  for (let i = 0; i < plain; i++) bases.push(i + least);
  let at = plain + least;
  for (const width of bits) {
    bases.push(at);
    at += 1 << width;
  }
  return { bases, bits: [...new Array(plain).fill(0), ...bits] };
}

/** Decode one frame; see the head of this file. `size`: what the content must have. Refuses what is damaged. */
export async function* unzstd(read, size) {
  const frame = await readHeader(read, size);
  const decoder = new BlockDecoder(Math.min(frame.window, size), size);
  const checksum = frame.checksum ? new Xxh64() : null;
  const mostBlock = Math.min(MOST_BLOCK, frame.window);
  let made = 0;
  for (let last = false; !last; ) {
    const head = number(await exactly(read, 3));
    last = Boolean(head & 1);
    const kind = (head >> 1) & 3;
    const length = head >> 3;
    if (length > mostBlock || kind === 3) damaged("a block is too large or of an unknown kind");
    const bytes = await exactly(read, kind === 1 ? 1 : length);
    const piece =
      kind === 2
        ? decoder.compressed(bytes, mostBlock)
        : decoder.plain(kind === 0 ? bytes : new Uint8Array(length).fill(bytes[0]));
    made += piece.length;
    if (made > size) damaged("it is larger than it says");
    checksum?.update(piece);
    if (piece.length) yield piece;
  }
  if (made !== size) damaged("it is smaller than it says");
  if (checksum && checksum.low32() !== number(await exactly(read, 4)) >>> 0) damaged("its checksum differs");
  if ((await read(1)).length) damaged("something follows it");
}

async function readHeader(read, size) {
  if (number(await exactly(read, 4)) >>> 0 !== MAGIC) damaged("it does not begin as one");
  const [flags] = await exactly(read, 1);
  const single = Boolean(flags & 32);
  if (flags & 8) damaged("a reserved bit is set");
  if (flags & 3) damaged("it wants a dictionary");
  let window = 0;
  if (!single) {
    const [descriptor] = await exactly(read, 1);
    const base = 2 ** (10 + (descriptor >> 3));
    window = base + (base / 8) * (descriptor & 7);
  }
  const width = [single ? 1 : 0, 2, 4, 8][flags >> 6];
  if (!width) damaged("it does not say its content's size");
  const bytes = await exactly(read, width);
  let said = 0;
  for (let i = width - 1; i >= 0; i--) said = said * 256 + bytes[i];
  if (width === 2) said += 256;
  if (said !== size) damaged("its content's size is not the signed one");
  if (single) window = said;
  if (window > MOST_WINDOW) damaged("its window is larger than 8 MiB");
  return { window, checksum: Boolean(flags & 4) };
}

async function exactly(read, count) {
  const bytes = await read(count);
  if (bytes.length !== count) damaged("it ends too early");
  return bytes;
}

function number(bytes) {
  let value = 0;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8) | bytes[i];
  return value;
}

/** Decodes blocks; keeps the window, the last tables and the last three offsets between them. */
class BlockDecoder {
  constructor(window, size) {
    this.window = window;
    // What was decoded slides down when the end is near: matches never wrap around.
    this.history = new Uint8Array(Math.min(window + 8 * MOST_BLOCK, size + MOST_BLOCK));
    this.end = 0;
    this.tables = { literals: null, offsets: null, matches: null };
    this.huffman = null;
    this.recent = [1, 4, 8];
  }

  plain(bytes) {
    const from = this.room();
    this.history.set(bytes, from);
    this.end += bytes.length;
    return this.history.subarray(from, this.end);
  }

  compressed(bytes, mostBlock) {
    const from = this.room();
    const { literals, rest } = this.readLiterals(bytes);
    this.sequences(literals, rest, from + mostBlock);
    return this.history.subarray(from, this.end);
  }

  /** Make room for a block; gives where it begins. */
  room() {
    if (this.end + MOST_BLOCK > this.history.length) {
      this.history.copyWithin(0, this.end - this.window, this.end);
      this.end = this.window;
    }
    return this.end;
  }

  /** The literals section (3.1.1.3.1). Gives the literals and what follows. */
  readLiterals(bytes) {
    if (!bytes.length) damaged("a block is empty");
    const kind = bytes[0] & 3;
    const format = (bytes[0] >> 2) & 3;
    const compressed = kind >= 2;
    const headLength = compressed ? [3, 3, 4, 5][format] : [1, 2, 1, 3][format];
    if (bytes.length < headLength) damaged("a block is cut");
    let head = 0;
    for (let i = headLength - 1; i >= 0; i--) head = head * 256 + bytes[i];
    if (!compressed) {
      const size = Math.floor(head / (format & 1 ? 16 : 8));
      if (size > MOST_BLOCK) damaged("a block has too many literals");
      const took = headLength + (kind === 0 ? size : 1);
      if (bytes.length < took) damaged("a block is cut");
      const literals =
        kind === 0 ? bytes.subarray(headLength, took) : new Uint8Array(size).fill(bytes[headLength]);
      return { literals, rest: bytes.subarray(took) };
    }
    const width = [10, 10, 14, 18][format];
    const size = Math.floor(head / 16) % 2 ** width;
    const length = Math.floor(head / 2 ** (4 + width));
    const took = headLength + length;
    if (size > MOST_BLOCK || bytes.length < took) damaged("a block is cut, or has too many literals");
    let coded = bytes.subarray(headLength, took);
    if (kind === 2) {
      const tree = readHuffman(coded);
      this.huffman = tree.table;
      coded = coded.subarray(tree.bytes);
    } else if (!this.huffman) {
      damaged("a block wants a Huffman tree that was never there");
    }
    const literals = format ? this.fourStreams(coded, size) : this.oneStream(coded, new Uint8Array(size));
    return { literals, rest: bytes.subarray(took) };
  }

  fourStreams(coded, size) {
    if (coded.length < 10 || size < 6) damaged("four streams are cut");
    const lengths = [0, 2, 4].map((at) => coded[at] | (coded[at + 1] << 8));
    const each = (size + 3) >> 2;
    const literals = new Uint8Array(size);
    let at = 6;
    for (let i = 0; i < 4; i++) {
      const end = i < 3 ? at + lengths[i] : coded.length;
      if (end > coded.length || each * 3 > size) damaged("four streams are cut");
      this.oneStream(coded.subarray(at, end), literals.subarray(each * i, i < 3 ? each * (i + 1) : size));
      at = end;
    }
    return literals;
  }

  oneStream(coded, into) {
    const bits = new BackwardBits(coded);
    const { log, symbols, widths } = this.huffman;
    for (let i = 0; i < into.length; i++) {
      const place = bits.peek(log);
      into[i] = symbols[place];
      bits.left -= widths[place];
    }
    if (bits.left !== 0) damaged("literals do not end where they should");
    return into;
  }

  /** The sequences section (3.1.1.3.2), carried out at once: copy literals, copy a match, and again. */
  sequences(literals, bytes, limit) {
    if (!bytes.length) damaged("a block has no sequences section");
    let at = 1;
    let count = bytes[0];
    if (count >= 128) {
      const long = count === 255;
      if (bytes.length < (long ? 3 : 2)) damaged("a block is cut");
      count = long ? bytes[1] + (bytes[2] << 8) + 0x7f00 : ((count - 128) << 8) + bytes[1];
      at = long ? 3 : 2;
    }
    let used = 0;
    if (count) {
      at = this.readTables(bytes, at);
      used = this.execute(count, literals, new BackwardBits(bytes.subarray(at)), limit);
    } else if (bytes.length !== at) {
      damaged("something follows a block without sequences");
    }
    const left = literals.subarray(used);
    if (this.end + left.length > limit) damaged("a block is larger than it may be");
    this.history.set(left, this.end);
    this.end += left.length;
  }

  readTables(bytes, at) {
    if (bytes.length <= at) damaged("a block is cut");
    const modes = bytes[at++];
    if (modes & 3) damaged("a reserved bit is set");
    for (const [name, shift, mostSymbols, mostLog] of [
      ["literals", 6, 36, 9],
      ["offsets", 4, 32, 8],
      ["matches", 2, 53, 9],
    ]) {
      const mode = (modes >> shift) & 3;
      if (mode === 0) {
        this.tables[name] = PREDEFINED[name];
      } else if (mode === 1) {
        if (!(bytes[at] < mostSymbols)) damaged("a table has an unknown symbol");
        this.tables[name] = oneSymbol(bytes[at++]);
      } else if (mode === 2) {
        const { table, bytes: took } = readFse(bytes.subarray(at), mostSymbols, mostLog);
        this.tables[name] = table;
        at += took;
      } else if (!this.tables[name]) {
        damaged("a block wants a table that was never there");
      }
    }
    return at;
  }

  execute(count, literals, bits, limit) {
    const { literals: L, offsets: O, matches: M } = this.tables;
    const history = this.history;
    let stateL = bits.read(L.log);
    let stateO = bits.read(O.log);
    let stateM = bits.read(M.log);
    let used = 0;
    let end = this.end;
    for (let i = 0; i < count; i++) {
      const codeO = O.symbols[stateO];
      const codeM = M.symbols[stateM];
      const codeL = L.symbols[stateL];
      const high = codeO > 16 ? bits.read(codeO - 16) * 65536 : 0;
      const value = 2 ** codeO + high + bits.read(Math.min(codeO, 16));
      const match = MATCH_BASE.bases[codeM] + bits.read(MATCH_BASE.bits[codeM]);
      const plain = LITERALS_BASE.bases[codeL] + bits.read(LITERALS_BASE.bits[codeL]);
      const offset = this.offset(value, plain);
      if (i + 1 < count) {
        stateL = L.bases[stateL] + bits.read(L.widths[stateL]);
        stateM = M.bases[stateM] + bits.read(M.widths[stateM]);
        stateO = O.bases[stateO] + bits.read(O.widths[stateO]);
      }
      if (bits.left < 0) damaged("sequences are cut");
      if (used + plain > literals.length || end + plain + match > limit) damaged("a sequence runs over");
      for (const stop = used + plain; used < stop; ) history[end++] = literals[used++];
      if (offset > end || offset > this.window) damaged("a match begins before the window");
      if (match > 48 && offset >= match) {
        history.copyWithin(end, end - offset, end - offset + match);
        end += match;
      } else {
        for (const stop = end + match; end < stop; end++) history[end] = history[end - offset];
      }
    }
    this.end = end;
    if (bits.left !== 0) damaged("sequences do not end where they should");
    return used;
  }

  /** What a coded offset means: three values repeat recent offsets (3.1.1.5). */
  offset(value, literals) {
    const { recent } = this;
    const which = value > 3 ? 3 : literals ? value - 1 : value;
    if (which === 0) return recent[0];
    const offset = value > 3 ? value - 3 : which === 3 ? recent[0] - 1 : recent[which];
    if (!offset) damaged("an offset is zero");
    if (which > 1) recent[2] = recent[1];
    recent[1] = recent[0];
    recent[0] = offset;
    return offset;
  }
}

/** A reader of bytes at hand, for what is small. */
export function readerOf(bytes) {
  let at = 0;
  return async (count) => bytes.subarray(at, (at = Math.min(at + count, bytes.length)));
}

/** The whole content of a small frame. */
export async function unzstdAll(bytes, size) {
  const pieces = [];
  for await (const piece of unzstd(readerOf(bytes), size)) pieces.push(piece.slice());
  return joined(pieces);
}

/** Bytes and text: hexadecimal, base64, UTF-8, order and comparison; each strict, each with one form only. */

import { refuse } from "./problem.js";

const DIGITS = "0123456789abcdef";
const PAIRS = Array.from({ length: 256 }, (_, byte) => DIGITS[byte >> 4] + DIGITS[byte & 15]);
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export const SHA256_HEX = /^[0-9a-f]{64}$/;

export function hex(bytes) {
  let text = "";
  for (const byte of bytes) text += PAIRS[byte];
  return text;
}

/** The bytes of lower-case hexadecimal digits; null when it is anything else. */
export function unhex(text) {
  if (typeof text !== "string" || text.length % 2 || !/^[0-9a-f]*$/.test(text)) return null;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

export function base64(bytes, padded = true) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const word = (bytes[i] << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const chars = [word >> 18, word >> 12, word >> 6, word].map((bits) => BASE64[bits & 63]).join("");
    const left = bytes.length - i;
    text += left >= 3 ? chars : chars.slice(0, left + 1) + (padded ? "=".repeat(3 - left) : "");
  }
  return text;
}

/** The bytes of padded base64 in its one canonical form; null when it is anything else. */
export function unbase64(text) {
  if (typeof text !== "string" || text.length % 4 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const body = text.replace(/=+$/, "");
  const bytes = new Uint8Array(Math.floor((body.length * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const char of body) {
    bits = ((bits << 6) | BASE64.indexOf(char)) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      bytes[at++] = (bits >> held) & 255;
    }
  }
  return base64(bytes) === text ? bytes : null;
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of UTF-8 bytes; a byte order mark stays and is thus refused by whoever reads on. */
export function utf8(bytes, what) {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return refuse(`${what} is not UTF-8`);
  }
}

const encoder = new TextEncoder();

export function toUtf8(text) {
  return encoder.encode(text);
}

export function sameBytes(a, b) {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Negative, zero or positive: the order of the UTF-8 bytes, which is that of the code points. */
export function compareText(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // In UTF-16 a pair of surrogates (D800-DFFF) sorts before E000-FFFF, in UTF-8 behind.
    const pairX = x >= 0xd800 && x < 0xe000;
    const pairY = y >= 0xd800 && y < 0xe000;
    return pairX === pairY ? x - y : pairX ? 1 : -1;
  }
  return a.length - b.length;
}

/** `text` for a person to read, with control and format characters escaped: data cannot forge lines. */
export function printable(text) {
  return String(text).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${char.codePointAt(0).toString(16)}}`);
}

export function joined(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

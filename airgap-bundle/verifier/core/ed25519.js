/**
 * Ed25519 (RFC 8032), verified twice: by strict arithmetic here, and by the browser's WebCrypto where it has it.
 *
 * Implementations differ on signatures that only a forger makes: points of small order, S beyond the group order,
 * encodings that are not reduced. What is asked here leaves nothing to differ about (SPEC section 2):
 *
 *     A  the key, the canonical encoding of a point of the prime-order group, and not its neutral element
 *     R  no point of small order; compared as bytes, hence canonical
 *     S  below the group order
 *     encode([S]B - [k]A) = R, the equation without a cofactor
 *
 * A signature counts only when both say yes. Numbers are BigInts and nothing here is secret, so time may leak.
 */

import { hex, joined, unhex } from "./bytes.js";

const P = 2n ** 255n - 19n;
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = mod(-121665n * inverse(121666n));
const ROOT_OF_MINUS_ONE = power(2n, (P - 1n) / 4n);
const NEUTRAL = [0n, 1n, 1n, 0n]; // extended coordinates: x = X/Z, y = Y/Z, T = XY/Z
const BASE = decode(unhex("58" + "66".repeat(31)));

const verdicts = new Map();

/** Whether these 32 bytes can be somebody's public key. */
export function isKey(raw) {
  return key(raw) !== null;
}

/** Whether `signature` (64 bytes) over `message` was made with the private half of `raw` (32 bytes). */
export async function verify(raw, message, signature) {
  const A = key(raw);
  if (A === null || signature.length !== 64) return false;
  const encodedR = signature.slice(0, 32);
  const S = number(signature.slice(32));
  const R = decode(encodedR);
  if (S >= ORDER || R === null || isNeutral(timesEight(R))) return false;
  const digest = await crypto.subtle.digest("SHA-512", joined([encodedR, raw, message]));
  const k = number(new Uint8Array(digest)) % ORDER;
  if (!isSame(sum(R, times(k, A)), times(S, BASE))) return false;
  return (await browserSays(raw, message, signature)) !== false;
}

/** What WebCrypto says: true, false, or null when this browser has no Ed25519. */
export async function browserSays(raw, message, signature) {
  try {
    const imported = await crypto.subtle.importKey("raw", raw, { name: "Ed25519" }, false, ["verify"]);
    return await crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
  } catch {
    return null;
  }
}

/** The point of a valid key, else null; remembered, because few keys sign much. */
function key(raw) {
  const name = hex(raw);
  if (!verdicts.has(name)) {
    const A = raw.length === 32 ? decode(raw) : null;
    const valid = A !== null && !isNeutral(A) && isNeutral(times(ORDER, A));
    verdicts.set(name, valid ? A : null);
  }
  return verdicts.get(name);
}

/** The point of a canonical encoding (RFC 8032 section 5.1.3), else null. */
function decode(raw) {
  const encoded = number(raw);
  const y = encoded & (2n ** 255n - 1n);
  const odd = encoded >> 255n;
  if (y >= P) return null;
  const u = mod(y * y - 1n);
  const v = mod(D * y * y + 1n);
  let x = mod(u * v ** 3n * power(mod(u * v ** 7n), (P - 5n) / 8n));
  const square = mod(v * x * x);
  if (square === mod(-u)) x = mod(x * ROOT_OF_MINUS_ONE);
  else if (square !== u) return null;
  if (x === 0n && odd) return null;
  if ((x & 1n) !== odd) x = P - x;
  return [x, y, 1n, mod(x * y)];
}

/** RFC 8032 section 5.1.4; complete, so it doubles and adds the neutral element as well. */
function sum([X1, Y1, Z1, T1], [X2, Y2, Z2, T2]) {
  const A = mod((Y1 - X1) * (Y2 - X2));
  const B = mod((Y1 + X1) * (Y2 + X2));
  const C = mod(2n * D * T1 * T2);
  const E = B - A;
  const F = 2n * Z1 * Z2 - C;
  const G = 2n * Z1 * Z2 + C;
  const H = B + A;
  return [mod(E * F), mod(G * H), mod(F * G), mod(E * H)];
}

function times(factor, point) {
  let made = NEUTRAL;
  for (; factor; factor >>= 1n, point = sum(point, point)) if (factor & 1n) made = sum(made, point);
  return made;
}

function timesEight(point) {
  const two = sum(point, point);
  const four = sum(two, two);
  return sum(four, four);
}

function isSame([X1, Y1, Z1], [X2, Y2, Z2]) {
  return mod(X1 * Z2 - X2 * Z1) === 0n && mod(Y1 * Z2 - Y2 * Z1) === 0n;
}

function isNeutral(point) {
  return isSame(point, NEUTRAL);
}

function number(littleEndian) {
  return BigInt(`0x${hex(littleEndian.slice().reverse()) || "0"}`);
}

function mod(value) {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base, exponent) {
  let made = 1n;
  for (; exponent; exponent >>= 1n, base = mod(base * base)) if (exponent & 1n) made = mod(made * base);
  return made;
}

function inverse(value) {
  return power(value, P - 2n);
}

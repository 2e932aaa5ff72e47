/** Fingerprints of roots as people type, scan and read them: digits, the sheet's code, or words. */

import { SHA256_HEX, hex } from "./bytes.js";
import { unwords } from "./spoken_words.js";

const DIGITS = 64;
const WORDS = 32;

/** The 64 digits that somebody typed, in groups of any size or in words; null when it is neither. */
export function readFingerprint(given) {
  const plain = given.trim().replace(/^SHA256:/i, "");
  const compact = plain.replace(/[\s:-]/g, "").toLowerCase();
  if (SHA256_HEX.test(compact)) return compact;
  const spoken = wordsOf(plain);
  const bytes = spoken.length === WORDS ? unwords(spoken) : null;
  return bytes && hex(bytes);
}

/** How far somebody has come, for who types. */
export function typedSoFar(given) {
  const plain = given.trim().replace(/^SHA256:/i, "");
  const compact = plain.replace(/[\s:-]/g, "");
  if (/^[0-9a-f]*$/i.test(compact)) return `${compact.length} of ${DIGITS} digits`;
  return `${wordsOf(plain).length} of ${WORDS} words`;
}

function wordsOf(text) {
  return text.split(/[\s,]+/).filter(Boolean);
}

/**
 * JSON in one form only (SPEC section 3): RFC 8785 of values without fractions.
 *
 *     readCanonical(bytes, what)   the value of exactly those bytes that `canonical` would write
 *     canonical(value, what)       those bytes
 *
 * A reader of our own says why it refuses, and is strict by itself: no key twice, no fraction, no lone surrogate, no
 * depth. Then the value is written again, and only equal bytes pass.
 * Objects are made without a prototype, so that a key such as `__proto__` is only a key.
 */

import { compareText, sameBytes, toUtf8, utf8 } from "./bytes.js";
import { refuse } from "./problem.js";

const DEEPEST = 16;
const KEY = /^[A-Za-z0-9_.-]+$/;
const SHORT = { 8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\" };
const UNESCAPED = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

export function readCanonical(bytes, what) {
  const value = new Reader(utf8(bytes, what), what).whole();
  if (!sameBytes(canonical(value, what), bytes)) refuse(`${what} is not in canonical form`);
  return value;
}

export function canonical(value, what) {
  return toUtf8(written(value, what));
}

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function escaped(char) {
  const code = char.charCodeAt(0);
  return SHORT[code] ?? `\\u${code.toString(16).padStart(4, "0")}`;
}

function string(text) {
  return `"${text.replace(/[\u0000-\u001f"\\]/g, escaped)}"`;
}

function written(value, what) {
  if (typeof value === "string") return string(value);
  if (Array.isArray(value)) return `[${value.map((one) => written(one, what)).join(",")}]`;
  if (!isObject(value)) return String(value); // null, true, false and safe integers
  const pairs = Object.keys(value)
    .sort(compareText)
    .map((key) => {
      if (!KEY.test(key)) refuse(`${what} has a key with other characters than A-Z, a-z, 0-9, _, . and -`);
      return `${string(key)}:${written(value[key], what)}`;
    });
  return `{${pairs.join(",")}}`;
}

class Reader {
  constructor(text, what) {
    this.text = text;
    this.what = what;
    this.at = 0;
  }

  whole() {
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) this.bad("something follows the value");
    return value;
  }

  bad(why) {
    refuse(`${this.what} is not the JSON that is read here: ${why}`);
  }

  space() {
    while (this.at < this.text.length && " \t\n\r".includes(this.text[this.at])) this.at++;
  }

  value(depth) {
    if (depth > DEEPEST) this.bad("it is nested too deep");
    this.space();
    const first = this.text[this.at];
    if (first === "{") return this.object(depth);
    if (first === "[") return this.array(depth);
    if (first === '"') return this.string();
    for (const [word, value] of [["true", true], ["false", false], ["null", null]]) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.integer();
  }

  object(depth) {
    const made = Object.create(null);
    this.at++;
    this.space();
    if (this.text[this.at] === "}") {
      this.at++;
      return made;
    }
    for (;;) {
      this.space();
      if (this.text[this.at] !== '"') this.bad("a key is missing");
      const key = this.string();
      if (key in made) this.bad("a key is there twice");
      this.space();
      if (this.text[this.at++] !== ":") this.bad("a colon is missing");
      made[key] = this.value(depth + 1);
      if (this.more("}")) return made;
    }
  }

  array(depth) {
    const made = [];
    this.at++;
    this.space();
    if (this.text[this.at] === "]") {
      this.at++;
      return made;
    }
    for (;;) {
      made.push(this.value(depth + 1));
      if (this.more("]")) return made;
    }
  }

  /** Behind an element: true at the end, false at a comma. */
  more(end) {
    this.space();
    const char = this.text[this.at++];
    if (char !== end && char !== ",") this.bad("a comma or an end is missing");
    return char === end;
  }

  string() {
    let made = "";
    let from = ++this.at;
    for (;;) {
      const code = this.text.charCodeAt(this.at);
      if (Number.isNaN(code) || code < 0x20) this.bad("a string has no end or holds a control character");
      if (code !== 0x22 && code !== 0x5c) {
        this.at++;
        continue;
      }
      made += this.text.slice(from, this.at++);
      if (code === 0x22) break;
      made += this.escape();
      from = this.at;
    }
    if (/\p{Surrogate}/u.test(made)) this.bad("a string holds half of a surrogate pair");
    return made;
  }

  escape() {
    const kind = this.text[this.at++];
    if (kind === "u") {
      const digits = this.text.slice(this.at, this.at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.bad("an escape is not four digits");
      this.at += 4;
      return String.fromCharCode(parseInt(digits, 16));
    }
    if (!Object.hasOwn(UNESCAPED, kind ?? "")) this.bad("an escape is unknown");
    return UNESCAPED[kind];
  }

  integer() {
    const found = /-?(?:0|[1-9][0-9]*)/y;
    found.lastIndex = this.at;
    const digits = found.exec(this.text)?.[0];
    if (digits === undefined) this.bad("a value is missing");
    this.at += digits.length;
    if (/[.eE0-9]/.test(this.text[this.at] ?? "")) this.bad("a number is not an integer");
    const value = Number(digits);
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) this.bad("a number is -0 or beyond 2^53 - 1");
    return value;
  }
}

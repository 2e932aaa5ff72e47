/** Read the fields of an object that was parsed: the names exactly, the values in their forms. */

import { SHA256_HEX } from "./bytes.js";
import { isObject } from "./json.js";
import { demand, refuse } from "./problem.js";
import { isPrintable } from "./unicode.js";

export const PART = /^[a-z0-9-]+$/;
export const STREAM = /^[a-z0-9][a-z0-9-]{0,62}$/;
const MOMENT = /^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;

/** `value` as an object with exactly these fields; those that end in `?` may be absent. */
export function object(value, names, what) {
  demand(isObject(value), `${what} is not an object`);
  const known = new Set(names.map((name) => name.replace("?", "")));
  for (const name of names) {
    if (!name.endsWith("?")) demand(name in value, `${what} lacks the field ${name}`);
  }
  for (const name of Object.keys(value)) demand(known.has(name), `${what} has a field that is not known`);
  return value;
}

export function count(value, what, least = 0) {
  demand(Number.isSafeInteger(value) && value >= least, `${what} is not a whole number from ${least}`);
  return value;
}

export function digest(value, what) {
  return match(value, SHA256_HEX, what);
}

export function match(value, pattern, what) {
  demand(typeof value === "string" && pattern.test(value), `${what} is not of the form ${pattern.source}`);
  return value;
}

/** One printable line of at most 200 characters. */
export function line(value, what) {
  const fits = typeof value === "string" && [...value].length <= 200 && isPrintable(value);
  demand(fits, `${what} is not one printable line of at most 200 characters`);
  return value;
}

/** Milliseconds since 1970 of a time as the formats write it, such as 2026-11-23T10:00:00Z. */
export function moment(value, what) {
  match(value, MOMENT, what);
  const time = Date.parse(value);
  // Date.parse takes 30 February for 2 March; writing it again tells.
  if (Number.isNaN(time) || writtenMoment(time) !== value) refuse(`${what} is not a date of the calendar`);
  return time;
}

export function writtenMoment(time) {
  return `${new Date(time).toISOString().slice(0, 19)}Z`;
}

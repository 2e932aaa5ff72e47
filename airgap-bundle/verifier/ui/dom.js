/** Make elements. Text goes in as text only: nothing from a bundle can become markup. */

import { printable, unhex } from "../core/bytes.js";
import { words } from "../core/spoken_words.js";
import { counted, grouped } from "../core/words.js";

export function byId(id) {
  return document.getElementById(id);
}

/** An element with these properties, and children that are elements or text. */
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "data") Object.assign(made.dataset, value);
    else if (key.includes("-") || key === "scope" || key === "role") made.setAttribute(key, value);
    else made[key] = value;
  }
  for (const child of children) made.append(child instanceof Node ? child : printable(child));
  return made;
}

/** A table with headings; `rows` are lists of cells: text, numbers, or elements. */
export function table(caption, headings, rows) {
  const numbers = new Set(rows[0]?.flatMap((value, column) => (typeof value === "number" ? [column] : [])));
  const head = headings.map((text, column) =>
    element("th", { scope: "col", className: numbers.has(column) ? "number" : "" }, text),
  );
  const body = rows.map((cells) => element("tr", {}, ...cells.map(cell)));
  return element(
    "div",
    { className: "scroll", tabIndex: 0, role: "region", "aria-label": caption },
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...body)),
  );
}

function cell(value) {
  if (value instanceof HTMLTableCellElement) return value;
  if (typeof value === "number") return element("td", { className: "number" }, grouped(value));
  return element("td", {}, value);
}

/** Bytes for people: 1,234 bytes, 56.7 MB. */
export function sized(bytes) {
  if (bytes < 10_000) return counted(bytes, "byte");
  const units = ["kB", "MB", "GB", "TB", "PB"];
  let value = bytes;
  let unit = -1;
  do {
    value /= 1000;
    unit++;
  } while (value >= 1000 && unit < units.length - 1);
  return `${value.toFixed(value < 100 ? 1 : 0)} ${units[unit]}`;
}

/** A digest as it is read aloud, laid out as on the fingerprint sheet: digits, and the same in words. */
export function fingerprint(digits) {
  const spans = (texts) => texts.map((text) => element("span", {}, text));
  const groups = element("span", { className: "digits mono" }, ...spans(digits.match(/.{4}/g)));
  const spoken = element("span", { className: "words" }, ...spans(words(unhex(digits))));
  return element("span", { className: "fingerprint" }, groups, spoken);
}

/** Show the report: the verdict, the checks, who signed, and what is in the bundle. */

import { counted, grouped } from "../core/words.js";
import { byId, element, sized, table } from "./dom.js";

const MARKS = { passed: "✓", failed: "✕", "not checked": "–", accepted: "✓", refused: "✕", incomplete: "–" };
const MOST_ROWS = 500;

/** Fill the page with what the worker found; `find(text, most)` gives rows of the contents. */
export function showResult({ report, facts }, find) {
  const place = byId("result");
  const { value, sentence, remedy, checks } = report;
  place.replaceChildren(
    verdictOf(value.verdict, sentence, remedy),
    toolsOf(report),
    ...value.notes.map((note) => element("p", { className: "alert" }, note)),
    summaryOf(report, facts),
    element("h2", {}, "Checks"),
    checksOf(checks),
    ...signersOf(value.signers),
    ...(facts ? [...attestationsOf(facts), ...partsOf(facts), ...contentsOf(facts, find)] : []),
  );
  place.hidden = false;
  byId("verdict").focus();
}

function verdictOf(verdict, sentence, remedy) {
  const heading = element("h2", { id: "verdict", tabIndex: -1, data: { verdict } });
  heading.append(element("span", { "aria-hidden": "true" }, MARKS[verdict]), verdict.toUpperCase());
  const said = [sentence, remedy].filter(Boolean).map((text) => element("p", {}, text));
  return element("div", { className: `verdict ${verdict}`, role: "status" }, heading, ...said);
}

function toolsOf({ value, text }) {
  const save = element("button", { type: "button", id: "save" }, "Save the report (JSON)");
  save.addEventListener("click", () => {
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const name = value.bundle ? `${value.bundle}-${value.sequence}.report.json` : "bundle.report.json";
    element("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  });
  const print = element("button", { type: "button", className: "quiet" }, "Print");
  print.addEventListener("click", () => window.print());
  return element("div", { className: "row tools noprint" }, save, print);
}

function summaryOf({ value, title }, facts) {
  const rows = [];
  if (value.bundle) rows.push(["Bundle", `${value.bundle} ${value.sequence}${title ? ` · ${title}` : ""}`]);
  if (value.release) rows.push(["Release", mono(value.release)]);
  if (value.root.version) rows.push(["Root", `version ${value.root.version} in the bundle`]);
  if (value.root.fingerprint) rows.push(["Trusted root", mono(value.root.fingerprint)]);
  if (facts) {
    rows.push(["Made", facts.created], ["Next one due", facts.nextExpected]);
    rows.push(["Judged as of", facts.referenceTime]);
    const stands = facts.base === null ? "" : `; stands on sequence ${facts.base}`;
    const entries = counted(facts.entries, "entry", "entries");
    rows.push(["Content", `${entries}, ${sized(facts.bytes)}; ${sized(facts.carried)} travel${stands}`]);
  }
  return element("dl", {}, ...rows.flatMap(([name, text]) => [element("dt", {}, name), element("dd", {}, text)]));
}

function checksOf(checks) {
  const rows = checks.map(({ number, name, asks, result, text }) => {
    const state = element("td", { className: "state", data: { number, result } });
    state.append(element("span", { "aria-hidden": "true" }, `${MARKS[result]} `), result);
    return [number, element("td", {}, element("strong", {}, name), element("small", {}, asks)), state, text];
  });
  const made = table("Checks", ["No.", "Check", "Result", "What was found"], rows);
  made.querySelectorAll('[data-result="failed"]').forEach((state) => state.parentElement.classList.add("failed"));
  made.querySelectorAll("td.state + td").forEach((found) => found.classList.add("path"));
  made.classList.add("checks");
  return made;
}

function signersOf(signers) {
  if (!signers.length) return [];
  const byKey = new Map();
  for (const { role, key, name } of signers) {
    if (!byKey.has(key)) byKey.set(key, { name, roles: [] });
    byKey.get(key).roles.push(role);
  }
  const rows = [...byKey].map(([key, { name, roles }]) => [name || "not named", mono(key), roles.join(", ")]);
  return [element("h2", {}, "Signed by"), table("Signed by", ["Name in the root", "Key", "Signed"], rows)];
}

function attestationsOf({ attestations }) {
  if (!attestations.length) return [];
  const rows = attestations.map(({ name, said }) => {
    const file = element("td", { className: "path" }, name);
    if (!said) return ["", "", "It is not in a form that this page reads", file];
    const part = said.current ? said.part : `${said.part}, as it was in another bundle`;
    return [part, said.team, said.text, file];
  });
  return [
    element("h2", {}, "Attestations"),
    element("p", {}, "Covered by the signatures above. Their own signatures are for a site’s policy to judge."),
    table("Attestations", ["Part", "Team", "It says", "File"], rows),
  ];
}

function partsOf({ parts }) {
  const rows = parts.map(({ name, entries, bytes, sha256 }) => [name, entries, bytes, mono(sha256)]);
  return [element("h2", {}, "Parts"), table("Parts", ["Part", "Entries", "Bytes", "Digest of its lines"], rows)];
}

function contentsOf({ entries }, find) {
  const filter = element("input", { type: "search", id: "filter", placeholder: "Part of a path, type or digest" });
  const count = element("p", { className: "says", id: "shown", "aria-live": "polite" });
  const place = element("div");
  const label = element("label", { htmlFor: "filter", className: "noprint" }, "Filter");
  filter.className = "noprint";
  let asked = 0;
  const show = async () => {
    const turn = ++asked;
    const { rows, count: all } = await find(filter.value, MOST_ROWS);
    if (turn !== asked) return; // somebody typed on
    const more = all > rows.length ? `; the first ${MOST_ROWS} are shown` : "";
    count.textContent = `${grouped(all)} of ${grouped(entries)} entries${more}`;
    place.replaceChildren(table("Contents", ["Path", "Bytes", "Type", "Travels", "SHA-256"], rows.map(contentRow)));
  };
  filter.addEventListener("input", show);
  show();
  return [element("h2", {}, "Contents"), label, element("div", { className: "row tools" }, filter, count), place];
}

function contentRow({ path, size, type, way, sha256 }) {
  const how = { raw: "as it is", zstd: "compressed", delta: "as a delta", held: "not: it is there" }[way];
  return [
    element("td", { className: "path" }, path),
    size,
    element("td", { className: "nowrap" }, type),
    how,
    element("td", { className: "digest mono" }, sha256),
  ];
}

function mono(text) {
  return element("span", { className: "mono" }, text);
}

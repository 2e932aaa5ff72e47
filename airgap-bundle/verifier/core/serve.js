/**
 * The verifier behind a message port: what the page asks, and what it is told. Runs in a worker.
 *
 *     -> {verify: {items, root, fingerprint, now}}    <- {progress: [done, all]} ... {report, facts}
 *     -> {find: text, most}                           <- {rows, count}
 *                                                     <- {sorry: sentence} when no verdict can be made
 *
 * Each question has a `number`, which its answers bear too. The list of contents stays here; the page asks for the
 * rows that it shows.
 */

import { readAttestation } from "./attestation.js";
import { printable } from "./bytes.js";
import { writtenMoment } from "./fields.js";
import { canonical } from "./json.js";
import { NoBundle } from "./medium.js";
import { Refused } from "./problem.js";
import { readTrustedRoot, referenceTime } from "./trust.js";
import { verify } from "./verify.js";

const TELL_EVERY = 100; // ms

export function serve(port) {
  let entries = [];
  port.onmessage = async ({ data }) => {
    const reply = (answer) => port.postMessage({ ...answer, number: data.number });
    if (data.find !== undefined) {
      reply(find(entries, data.find, data.most));
      return;
    }
    try {
      const { report, verified } = await verdictOf(data.verify, reply);
      entries = verified?.content.entries ?? [];
      reply({ report: reportOf(report), facts: factsOf(verified, data.verify) });
    } catch (problem) {
      reply({ sorry: sorryFor(problem) });
    }
  };
}

async function verdictOf({ items, root, fingerprint, now }, reply) {
  const trusted = root ? { root: await readTrustedRoot(root) } : { fingerprint };
  let told = 0;
  const progress = (done, all) => {
    const time = performance.now();
    if (time - told < TELL_EVERY && done < all) return;
    told = time;
    reply({ progress: [done, all] });
  };
  return verify(items, trusted, now, progress);
}

function reportOf(report) {
  const { value, sentence, remedy, title, checks } = report;
  const text = `${new TextDecoder().decode(canonical(value, "report"))}\n`;
  return { value, sentence, remedy, title, checks, text };
}

/** What the page shows besides the report; null when the metadata did not pass. */
function factsOf(verified, { now }) {
  if (!verified) return null;
  const { release, content, attestations } = verified;
  return {
    referenceTime: writtenMoment(referenceTime(now)),
    created: writtenMoment(release.created),
    nextExpected: writtenMoment(release.nextExpected),
    base: release.base?.sequence ?? null,
    bytes: content.bytes,
    carried: content.carried,
    entries: content.entries.length,
    parts: [...content.parts].map(([name, part]) => ({ name, ...part })),
    attestations: [...attestations].map(([name, bytes]) => ({ name, said: readAttestation(bytes, content.parts) })),
  };
}

/** Rows whose path, type, way or digest contains `text`, at most `most` of them, and how many there are. */
function find(entries, text, most) {
  const wanted = text.trim().toLowerCase();
  const rows = [];
  let count = 0;
  for (const { path, size, type, way, sha256 } of entries) {
    if (wanted && !`${path}\n${type}\n${way}\n${sha256}`.toLowerCase().includes(wanted)) continue;
    if (count++ < most) rows.push({ path: printable(path), size, type, way, sha256 });
  }
  return { rows, count };
}

function sorryFor(problem) {
  if (problem instanceof NoBundle) return problem.message;
  if (problem instanceof Refused) return `No check was made: ${problem.message}.`;
  return `This verifier failed, so there is no verdict: ${printable(problem?.stack ?? problem)}`;
}

/**
 * Checks 2 to 8: from the trusted root to the list of contents (SPEC sections 2 to 5, 13).
 *
 * What is read is bounded, and interpreted only after the check that vouches for it.
 */

import { sameBytes } from "./bytes.js";
import { readContent } from "./content.js";
import { verify } from "./ed25519.js";
import { writtenMoment } from "./fields.js";
import { MOST_BYTES, metadataName, targetKind } from "./names.js";
import { NotHere, demand, refuse } from "./problem.js";
import { compareSums, readRelease } from "./release.js";
import { sha256 } from "./sha256.js";
import * as tuf from "./tuf.js";
import { counted } from "./words.js";

/** This verifier was made then, so it is not earlier, whatever a clock says. */
const BUILD_DATE = Date.UTC(2026, 10, 23);

/** The time that expiry is judged by: it is that late at least. */
export function referenceTime(now) {
  return Math.max(now, BUILD_DATE);
}

/**
 * Make checks 2 to 8.
 *
 * `source`: {names: Set, read(name, limit)}. `trusted`: {root} as `readTrustedRoot` gives it, or {fingerprint}, the
 * SHA-256 of a root file that the bundle holds itself. `now`: ms since 1970. Gives {release, content, metadata,
 * attestations}, or null when a check failed.
 */
export async function openBundle(source, trusted, now, report) {
  const opening = new Opening(source, trusted, referenceTime(now), report);
  const steps = [
    [2, () => opening.root()],
    [3, () => opening.timestamp()],
    [4, () => opening.snapshot()],
    [5, () => opening.targets()],
    [6, () => opening.release()],
    [7, () => opening.content()],
    [8, () => opening.vouched()],
  ];
  for (const [number, step] of steps) if (!(await report.check(number, step))) return null;
  report.skipped(9, "there is no trust state here, so nothing is known of what was accepted before");
  return opening.verified;
}

/** A root file as somebody hands it over: read strictly, and signed by its own threshold. */
export async function readTrustedRoot(bytes) {
  const what = "the trusted root";
  demand(bytes.length <= MOST_BYTES.root, `${what} is larger than a root can be`);
  const root = await tuf.readRoot(bytes, what);
  const own = root.roles.root;
  let have = 0;
  for (const id of own.keyids) {
    const signature = root.signatures.get(id);
    if (signature && (await verify(root.keys.get(id).raw, root.signedBytes, signature))) have++;
  }
  demand(have >= own.threshold, `${what} is not signed by its own threshold`);
  return { ...root, fingerprint: await sha256(bytes) };
}

class Opening {
  constructor(source, trusted, now, report) {
    Object.assign(this, { source, trusted, now, report });
    this.files = new Map(); // every verified file by name
    this.expires = Infinity;
  }

  get verified() {
    const { releaseValue: release, contentValue: content, attestations } = this;
    const metadata = new Map(this.order.map((name) => [name, this.files.get(name)]));
    return { release, content, attestations, metadata };
  }

  async read(name, limit) {
    demand(this.source.names.has(name), `${name} is not there`);
    const bytes = await this.source.read(name, limit);
    this.files.set(name, bytes);
    return bytes;
  }

  // Check 2: each version of the root is signed by its own threshold and by that of the version before it.
  async root() {
    const versions = [...this.source.names]
      .map(metadataName)
      .filter((one) => one?.kind === "root")
      .map(({ version }) => version)
      .sort((a, b) => a - b);
    demand(versions.length > 0, "the root chain is not there: metadata/1.root.json is missing");
    versions.forEach((version, i) => {
      if (version !== i + 1) refuse(`the root chain has a hole: metadata/${i + 1}.root.json is not there`);
    });
    const anchor = await this.anchor(versions.length);
    let before = null;
    for (const version of versions) {
      const name = rootName(version);
      const root = await tuf.readRoot(this.files.get(name) ?? (await this.read(name, MOST_BYTES.root)), name);
      demand(root.version === version, `${name} says that it is version ${root.version}`);
      if (version === anchor.version) {
        demand(sameBytes(root.signedBytes, anchor.signedBytes), `${name} is not the root that is trusted`);
      }
      const rules = [before, root].filter(Boolean).map((one) => ({ root: one, role: "root" }));
      this.rootSigners = await tuf.verifySignatures(root, rules);
      this.rootBefore = before;
      before = root;
    }
    this.trustedRoot = before;
    await this.sign("root", this.rootSigners);
    this.report.root = { fingerprint: anchor.fingerprint, version: before.version };
    if (before.version === 1) return "version 1, which is trusted";
    return `versions 1 to ${before.version}, each signed by its own and the previous threshold`;
  }

  /** The trusted root: as a file, or the one in the bundle whose fingerprint is trusted. */
  async anchor(newest) {
    const { root, fingerprint } = this.trusted;
    if (root) {
      demand(root.version <= newest, `the root went backwards: ${root.version} is trusted, ${newest} offered`);
      return root;
    }
    if (!fingerprint) throw new NotHere("no trusted root was given, so nothing can be trusted");
    for (let version = 1; version <= newest; version++) {
      const name = rootName(version);
      const bytes = await this.read(name, MOST_BYTES.root);
      if ((await sha256(bytes)) === fingerprint) return { ...(await tuf.readRoot(bytes, name)), fingerprint };
    }
    return refuse("no root in the bundle has the fingerprint that is trusted");
  }

  // Check 3
  async timestamp() {
    this.judgeExpiry(this.trustedRoot);
    const file = await this.signedFile("timestamp", "metadata/timestamp.json");
    this.sequence = file.version;
    this.snapshotBinding = tuf.bindingOf(file, "snapshot.json");
    const same = this.snapshotBinding.version === file.version;
    demand(same, "timestamp.json names a snapshot of another version than its own");
    return `version ${file.version}, ${this.signedBy("timestamp")}`;
  }

  // Check 4
  async snapshot() {
    const file = await this.signedFile("snapshot", `metadata/${this.sequence}.snapshot.json`);
    await tuf.compareBinding(file, this.snapshotBinding, "timestamp");
    this.targetsBinding = tuf.bindingOf(file, "targets.json");
    const same = this.targetsBinding.version === file.version;
    demand(same, "snapshot.json names targets of another version than its own");
    return `version ${file.version}, the one that timestamp names, ${this.signedBy("snapshot")}`;
  }

  // Check 5
  async targets() {
    const file = await this.signedFile("targets", `metadata/${this.sequence}.targets.json`);
    await tuf.compareBinding(file, this.targetsBinding, "snapshot");
    this.named = tuf.targetsOf(file);
    const others = [...this.named.keys()].filter((name) => targetKind(name) === "attestation").sort();
    this.order = [
      ...Array.from({ length: this.trustedRoot.version }, (_, i) => rootName(i + 1)),
      "metadata/timestamp.json",
      `metadata/${this.sequence}.snapshot.json`,
      `metadata/${this.sequence}.targets.json`,
      ...["release.json", "content.ndjson", ...others].map((name) => this.targetName(name)),
    ];
    const known = new Set(this.order);
    for (const name of this.source.names) {
      demand(known.has(name), `${name} does not belong: nothing signed names it`);
    }
    for (const name of known) demand(this.source.names.has(name), `${name} is not there`);
    return `version ${file.version}, the one that snapshot names, ${this.signedBy("targets")}`;
  }

  // Check 6
  async release() {
    const release = readRelease(await this.target("release.json"));
    const { sequence, created, minimumRoot } = release;
    const apart = `the release is number ${sequence} under metadata of version ${this.sequence}`;
    demand(sequence === this.sequence, apart);
    demand(created < this.expires, "the metadata expired before the release was made");
    const have = this.trustedRoot.version;
    demand(minimumRoot <= have, `the root chain ends at version ${have}, and the release asks for ${minimumRoot}`);
    this.releaseValue = release;
    const { bundle, title } = release;
    Object.assign(this.report, { bundle, sequence, title, release: this.named.get("release.json").sha256 });
    if (Math.max(this.now, created) > release.nextExpected) {
      this.report.notes.push(
        `The next bundle was due on ${writtenMoment(release.nextExpected)}: newer ones may be held back.`,
      );
    }
    return `${bundle} ${sequence}, made on ${writtenMoment(created)}`;
  }

  // Check 7
  async content() {
    const content = readContent(await this.target("content.ndjson"));
    compareSums(this.releaseValue, content);
    this.contentValue = content;
    const { entries, parts, bytes } = content;
    const of = `${counted(entries.length, "entry", "entries")} of ${counted(bytes, "byte")}`;
    return `${of} in ${counted(parts.size, "part")}`;
  }

  // Check 8: this verifier knows no site's policy, so nothing is demanded; what is there was signed by targets.
  async vouched() {
    this.attestations = new Map();
    for (const name of this.named.keys()) {
      if (targetKind(name) === "attestation") this.attestations.set(name, await this.target(name));
    }
    const { size } = this.attestations;
    const listed = size ? `; ${counted(size, "attestation")} listed below and not judged` : "";
    return `this page knows no site's policy, so nothing is demanded${listed}`;
  }

  async signedFile(role, name) {
    const bytes = await this.read(name, MOST_BYTES[role]);
    const file = tuf.readMetadata(bytes, role, name);
    const signers = await tuf.verifySignatures(file, [{ root: this.trustedRoot, role }]);
    await this.sign(role, signers);
    this.judgeExpiry(file);
    return file;
  }

  judgeExpiry({ what, expires }) {
    this.expires = Math.min(this.expires, expires);
    const date = writtenMoment(this.now);
    const text = `${what} expired on ${writtenMoment(expires)}, and it is ${date} at least`;
    demand(this.now < expires, text, "Ask for a newer bundle. If that date is wrong, give the right one.");
  }

  async target(target) {
    const { length, sha256: wanted } = this.named.get(target);
    const name = this.targetName(target);
    const bytes = await this.read(name, length);
    const same = bytes.length === length && (await sha256(bytes)) === wanted;
    demand(same, `${name} is damaged: its bytes are not those that were signed`);
    return bytes;
  }

  targetName(target) {
    return `targets/${this.named.get(target).sha256}.${target}`;
  }

  /** Note who signed, for the report. */
  async sign(role, ids) {
    for (const id of ids) {
      const { raw, owner } = this.trustedRoot.keys.get(id) ?? this.rootBefore.keys.get(id);
      this.report.signers.push({ role, key: await tuf.sshFingerprint(raw), name: owner });
    }
  }

  signedBy(role) {
    const { keyids, threshold } = this.trustedRoot.roles[role];
    const have = this.report.signers.filter((one) => one.role === role).length;
    return `signed by ${have} of ${counted(keyids.length, "key")} (${threshold} needed)`;
  }
}

function rootName(version) {
  return `metadata/${version}.root.json`;
}

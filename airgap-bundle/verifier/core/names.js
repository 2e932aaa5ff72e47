/** The names of metadata and target files, their order and their limits (SPEC sections 1, 2 and 6). */

const NUMBER = "[1-9][0-9]*";
const FORMS = [
  ["root", new RegExp(`^metadata/(${NUMBER})\\.root\\.json$`)],
  ["timestamp", /^metadata\/timestamp\.json$/],
  ["snapshot", new RegExp(`^metadata/(${NUMBER})\\.snapshot\\.json$`)],
  ["targets", new RegExp(`^metadata/(${NUMBER})\\.targets\\.json$`)],
  ["release", /^targets\/([0-9a-f]{64})\.(release\.json)$/],
  ["content", /^targets\/([0-9a-f]{64})\.(content\.ndjson)$/],
  ["attestation", /^targets\/([0-9a-f]{64})\.(attestation-[a-z0-9-]{1,100}\.json)$/],
];
export const MOST_ROOTS = 1024;
export const MOST_ATTESTATIONS = 256;
export const MOST_BYTES = {
  root: 512_000,
  timestamp: 512_000,
  snapshot: 512_000,
  targets: 5_000_000,
  release: 1_000_000,
  content: 512 * 1024 * 1024,
  attestation: 1_000_000,
};
export const TARGET = /^(?:release\.json|content\.ndjson|attestation-[a-z0-9-]{1,100}\.json)$/;

/**
 * What the metadata file `name` is: null when it is none, else {kind, version, digest, target}.
 *
 * `version` of a root, snapshot or targets, `digest` and `target` name of what targets name.
 */
export function metadataName(name) {
  for (const [kind, form] of FORMS) {
    const found = form.exec(name);
    if (!found) continue;
    if (found[2]) return { kind, digest: found[1], target: found[2] };
    const version = found[1] ? Number(found[1]) : null;
    if (version !== null && !Number.isSafeInteger(version)) return null;
    return kind === "root" && version > MOST_ROOTS ? null : { kind, version };
  }
  return null;
}

/** What a target named `release.json`, `content.ndjson` or `attestation-….json` is. */
export function targetKind(target) {
  return target === "release.json" ? "release" : target === "content.ndjson" ? "content" : "attestation";
}

/** Whether these metadata names stand in the order of the container, each once. */
export function inOrder(names) {
  const rank = (name) => {
    const { kind, version = 0, target = "" } = metadataName(name);
    return { kind: FORMS.findIndex(([form]) => form === kind), version, target };
  };
  const ranks = names.map(rank);
  return ranks.every((of, i) => {
    if (i === 0) return true;
    const before = ranks[i - 1];
    if (before.kind !== of.kind) return before.kind < of.kind;
    if (before.version !== of.version) return before.version < of.version;
    return before.target < of.target; // ASCII only: the order of their bytes
  });
}

/**
 * TUF metadata: form, keys, signatures and bindings (SPEC section 2).
 *
 * Nothing here reads a file or a clock. Each function refuses with the reason, or gives what is now verified; the
 * workflow in trust.js says in which order they are used.
 */

import { base64, toUtf8, unhex } from "./bytes.js";
import { isKey, verify } from "./ed25519.js";
import * as fields from "./fields.js";
import { canonical, isObject, readCanonical } from "./json.js";
import { MOST_ATTESTATIONS, MOST_BYTES, TARGET, targetKind } from "./names.js";
import { demand, refuse } from "./problem.js";
import { sha256 } from "./sha256.js";

const ROLES = ["root", "snapshot", "targets", "timestamp"];
const SPEC_VERSION = /^1\.[0-9]+(?:\.[0-9]+)?$/;
const SIGNATURE = /^[0-9a-f]{128}$/;
const MOST_SIGNATURES = 128;
const MOST_KEYS = 64;
const BACKSLASH = 0x5c;

/**
 * Read one metadata file of role `type`; nothing is verified yet.
 *
 * Gives `signed` (its value), `signedBytes` (what signatures are over), `signatures` (Map of key ID to bytes),
 * `version`, `expires` (ms), and the file's `bytes`.
 */
export function readMetadata(bytes, type, what) {
  demand(!bytes.includes(BACKSLASH), `${what} holds a backslash`);
  const file = fields.object(readCanonical(bytes, what), ["signatures", "signed"], what);
  const { signed } = file;
  demand(isObject(signed) && signed._type === type, `${what} is not metadata of the role ${type}`);
  fields.match(signed.spec_version, SPEC_VERSION, `spec_version of ${what}`);
  return {
    what,
    bytes,
    signed,
    signedBytes: canonical(signed, what),
    signatures: signaturesOf(file.signatures, what),
    version: fields.count(signed.version, `the version of ${what}`, 1),
    expires: fields.moment(signed.expires, `expires of ${what}`),
  };
}

/** Read a root: as `readMetadata`, with its `keys` (Map of key ID to {raw, owner}) and `roles`. */
export async function readRoot(bytes, what) {
  const file = readMetadata(bytes, "root", what);
  const { signed } = file;
  demand(signed.consistent_snapshot === true, `${what} does not say consistent_snapshot`);
  demand(isObject(signed.keys) && isObject(signed.roles), `${what} lacks keys or roles`);
  const named = Object.entries(signed.keys);
  demand(named.length <= MOST_KEYS, `${what} has more than ${MOST_KEYS} keys`);
  const keys = new Map();
  for (const [id, key] of named) keys.set(id, await keyOf(id, key, what));
  demand(Object.keys(signed.roles).sort().join() === ROLES.join(), `${what} has other roles than TUF's four`);
  const roles = {};
  for (const name of ROLES) roles[name] = roleOf(signed.roles[name], keys, `role ${name} of ${what}`);
  return { ...file, keys, roles };
}

/**
 * Verify every signature of `file`; each of `rules` is {root, role}, and the threshold of each must be met.
 *
 * Gives the key IDs that signed. A signature by a key of none of the rules, or that does not verify, is refused even
 * where enough others do.
 */
export async function verifySignatures(file, rules) {
  const known = new Map();
  for (const { root, role } of rules) {
    for (const id of root.roles[role].keyids) known.set(id, root.keys.get(id).raw);
  }
  for (const [id, signature] of file.signatures) {
    demand(known.has(id), `${file.what} has a signature by a key that may not sign it`);
    const good = await verify(known.get(id), file.signedBytes, signature);
    demand(good, `a signature of ${file.what} is not by the key that it names, or what it signs was changed`);
  }
  for (const { root, role } of rules) {
    const { keyids, threshold } = root.roles[role];
    const have = keyids.filter((id) => file.signatures.has(id)).length;
    const rule = `role ${role} of ${root.what}`;
    demand(have >= threshold, `${file.what} is signed by ${have} keys of ${rule}, which asks for ${threshold}`);
  }
  return [...file.signatures.keys()];
}

/** The one file that a snapshot or a timestamp names: {version, signedSha256, length, sha256}. */
export function bindingOf(file, name) {
  const { meta } = file.signed;
  const only = isObject(meta) && Object.keys(meta).join() === name && isObject(meta[name]);
  demand(only, `${file.what} does not name just ${name}`);
  const { version, length, hashes } = meta[name];
  const signedSha256 = meta[name]["x-signed-sha256"];
  const bound = { version: fields.count(version, `the version of ${name} in ${file.what}`, 1) };
  if (signedSha256 !== undefined) {
    bound.signedSha256 = fields.digest(signedSha256, `x-signed-sha256 in ${file.what}`);
  }
  if (length !== undefined) bound.length = fields.count(length, `the length in ${file.what}`);
  if (hashes !== undefined) bound.sha256 = onlySha256(hashes, file.what);
  const whole = bound.length !== undefined && bound.sha256 !== undefined;
  demand(bound.signedSha256 !== undefined || whole, `${file.what} names no digest of ${name}`);
  return bound;
}

/** Compare `file` with what the file that names it says. */
export async function compareBinding(file, bound, by) {
  demand(file.version === bound.version, `${file.what} has another version than ${by} says`);
  if (bound.length !== undefined) {
    demand(file.bytes.length === bound.length, `${file.what} has another length than ${by} says`);
  }
  if (bound.sha256 !== undefined) {
    demand((await sha256(file.bytes)) === bound.sha256, `${file.what} has another digest than ${by} says`);
  }
  if (bound.signedSha256 !== undefined) {
    const same = (await sha256(file.signedBytes)) === bound.signedSha256;
    demand(same, `${file.what} has another signed part than ${by} says`);
  }
}

/** The files that targets name: Map of name to {sha256, length}; two are always among them. */
export function targetsOf(file) {
  const { what, signed } = file;
  demand(!("delegations" in signed), `${what} has delegations`);
  demand(isObject(signed.targets), `${what} lacks targets`);
  const targets = new Map();
  for (const [name, target] of Object.entries(signed.targets)) {
    demand(TARGET.test(name), `${what} names a target that no bundle has`);
    demand(isObject(target), `target ${name} is not an object`);
    const length = fields.count(target.length, `the length of ${name}`);
    demand(length <= MOST_BYTES[targetKind(name)], `${name} is longer than it may be`);
    targets.set(name, { length, sha256: onlySha256(target.hashes, what) });
  }
  for (const name of ["release.json", "content.ndjson"]) demand(targets.has(name), `${what} does not name ${name}`);
  demand(targets.size - 2 <= MOST_ATTESTATIONS, `${what} names more than ${MOST_ATTESTATIONS} attestations`);
  return targets;
}

function onlySha256(hashes, what) {
  const only = isObject(hashes) && Object.keys(hashes).join() === "sha256";
  demand(only, `${what} has other digests than SHA-256`);
  return fields.digest(hashes.sha256, `a digest in ${what}`);
}

function signaturesOf(list, what) {
  demand(Array.isArray(list), `${what} has no list of signatures`);
  demand(list.length <= MOST_SIGNATURES, `${what} has more than ${MOST_SIGNATURES} signatures`);
  const signatures = new Map();
  for (const one of list) {
    fields.object(one, ["keyid", "sig"], `a signature of ${what}`);
    fields.digest(one.keyid, `a key ID of ${what}`);
    fields.match(one.sig, SIGNATURE, `a signature of ${what}`);
    if (signatures.has(one.keyid)) refuse(`${what} has two signatures by one key`);
    signatures.set(one.keyid, unhex(one.sig));
  }
  return signatures;
}

async function keyOf(id, key, what) {
  const ed25519 = isObject(key) && key.keytype === "ed25519" && key.scheme === "ed25519";
  demand(ed25519, `${what} has a key that is not Ed25519`);
  fields.object(key.keyval, ["public"], `a key of ${what}`);
  const text = fields.digest(key.keyval.public, `a key of ${what}`); // 64 digits, as a digest has
  const identity = `{"keytype":"ed25519","keyval":{"public":"${text}"},"scheme":"ed25519"}`;
  demand((await sha256(toUtf8(identity))) === id, `${what} has a key whose ID is not its digest`);
  const raw = unhex(text);
  demand(isKey(raw), `${what} has a key that nobody can hold: no point of the prime-order group`);
  const owner = key["x-owner"] === undefined ? "" : fields.line(key["x-owner"], `x-owner in ${what}`);
  return { raw, owner };
}

function roleOf(role, keys, what) {
  demand(isObject(role) && Array.isArray(role.keyids), `${what} has no keys`);
  const { keyids } = role;
  demand(keyids.every((id) => typeof id === "string" && keys.has(id)), `${what} names a key that is not there`);
  demand(new Set(keyids).size === keyids.length, `${what} names a key twice`);
  const threshold = fields.count(role.threshold, `the threshold of ${what}`, 1);
  demand(threshold <= keyids.length, `${what} has fewer keys than its threshold`);
  return { keyids, threshold };
}

/** `SHA256:…` as `ssh-keygen -l` prints it for these 32 bytes of a key. */
export async function sshFingerprint(raw) {
  const name = toUtf8("ssh-ed25519");
  const blob = new Uint8Array(4 + name.length + 4 + raw.length);
  blob.set([0, 0, 0, name.length]);
  blob.set(name, 4);
  blob.set([0, 0, 0, raw.length], 4 + name.length);
  blob.set(raw, 8 + name.length);
  const digest = unhex(await sha256(blob));
  return `SHA256:${base64(digest, false)}`;
}

"""Sign by shares: each signer on their own machine, and the shares are merged (SPEC section 2).

    share = sign_bundle(metadata, root, signer)      one key's signatures over all that it may sign
    signed = merge_bundle(metadata, shares, root)    enough shares, or it says whose are missing

    {"format":"airgap-bundle/share/1",
     "key":"ssh-ed25519 AAAA... anna@release-1",
     "signatures":{"7.targets.json":{"sha256":"9d2e11f0…","sig":"…"},…}}

A share is worth nothing for other bytes than those it was made for, so it may travel in any way. `sha256` is
that of the signed part, to say in plain words that a share belongs to something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]

from airgap_bundle import metadata as tuf
from airgap_bundle.canonical import malformed, parse, render
from airgap_bundle.dsse import Signs
from airgap_bundle.errors import BundleRefused, KeyProblem
from airgap_bundle.keys import BadSignature, PublicKey
from airgap_bundle.quorum import keys_of, people, quorum
from airgap_bundle.release import SHA256, match
from airgap_bundle.signing import key_id

FORMAT = "airgap-bundle/share/1"
WHAT = "the share"
MOST_BYTES = 64 * 1024
BUNDLE_ROLES = ("timestamp", "snapshot", "targets")
NEXT = {"timestamp": "snapshot.json", "snapshot": "targets.json"}


class ForeignShare(BundleRefused):
    """A share that cannot be merged: of other bytes, by another key, or not what it says."""

    exit_code = 41
    message = "the share of {who} cannot be merged: {why}"
    hint = "{remedy}"


class NotASigner(BundleRefused):
    """A key that signs nothing here."""

    exit_code = 41
    message = "{who} may sign nothing of this"
    hint = "The root names who may: {signers}."


class OneSignature(NamedTuple):
    """One signature of a share."""

    sha256: str
    """Of the signed part that it was made over."""
    sig: str
    """128 hexadecimal digits."""


@dataclass(frozen=True)
class Share:
    """One key's signatures, by the names of the files without their folder."""

    key: PublicKey
    signatures: Mapping[str, OneSignature]

    @property
    def who(self) -> str:
        """The signer, for people."""
        return f"{self.key.comment} {self.key.fingerprint}".strip()

    def render(self) -> bytes:
        """The canonical bytes of the file."""
        named = {name: one._asdict() for name, one in self.signatures.items()}
        return render({"format": FORMAT, "key": self.key.line, "signatures": named})

    @classmethod
    def parse(cls, data: bytes, what: str = WHAT) -> Share:
        """Read a share; nothing is verified by that. Raises Malformed."""
        if len(data) > MOST_BYTES:
            malformed(what, f"it is larger than {MOST_BYTES} bytes")
        value: Any = parse(data, what)
        try:
            if value["format"] != FORMAT:
                malformed(what, f"its format is not {FORMAT}")
            made = cls(
                PublicKey.parse(value["key"]),
                {
                    name: OneSignature(match(SHA256, one["sha256"]), match(tuf.SIGNATURE, one["sig"]))
                    for name, one in value["signatures"].items()
                },
            )
        except (KeyError, TypeError, ValueError, AttributeError, KeyProblem):
            malformed(what, "a field is missing or wrong")
        if made.render() != data:
            malformed(what, "it has fields that this version does not know")
        return made


@dataclass(frozen=True)
class Signable:
    """A file to be signed, and whose signatures it takes."""

    name: str
    data: bytes
    role: str
    roots: Sequence[Root]
    """Every one of these must be satisfied: for a new root, the one before and itself."""

    @property
    def short(self) -> str:
        """Its name without the folder."""
        return self.name.rpartition("/")[2]

    @property
    def keys(self) -> dict[str, Any]:
        """The keys that count, by key ID."""
        return {keyid: key for root in self.roots for keyid, key in keys_of(root, self.role).items()}


def sign_bundle(metadata: Mapping[str, bytes], root: bytes, key: Signs) -> Share:
    """The share of `key` of this bundle's metadata, under the newest root.

    Raises NotASigner, Malformed; AgentProblem when an agent does not sign.
    """
    return _sign(_of_bundle(metadata, root), key)


def merge_bundle(metadata: Mapping[str, bytes], shares: Iterable[Share], root: bytes) -> dict[str, bytes]:
    """The signed timestamp, snapshot and targets, by name.

    Signatures that are there already stay, but for those of keys that this root no longer names. One key
    counts once, however many shares it gave. Raises ForeignShare, NotSignedByEnough, Malformed.
    """
    return _merge(_of_bundle(metadata, root), shares)


def sign_root(new: bytes, previous: bytes | None, key: Signs) -> Share:
    """The share of `key` of a new root: as holder under the root before it, under itself, or both."""
    return _sign([_of_root(new, previous)], key)


def merge_root(new: bytes, shares: Iterable[Share], previous: bytes | None) -> bytes:
    """The signed root: by the threshold of the root before it and by its own. Raises as `merge_bundle`."""
    [signed] = _merge([_of_root(new, previous)], shares).values()
    return signed


def standing_of_root(new: bytes, shares: Iterable[Share], previous: bytes | None) -> list[str]:
    """How far the signing of a root is, in lines for people. Raises ForeignShare, Malformed."""
    return _standing([_of_root(new, previous)], shares)


def standing_of_bundle(metadata: Mapping[str, bytes], shares: Iterable[Share], root: bytes) -> list[str]:
    """How far the signing of a bundle is, in lines for people. Raises ForeignShare, Malformed."""
    return _standing(_of_bundle(metadata, root), shares)


def _of_bundle(metadata: Mapping[str, bytes], root: bytes) -> list[Signable]:
    newest = read_root(root, "the root")
    files = []
    bound: dict[str, Any] = {}
    for role in BUNDLE_ROLES:  # each names the next, so nobody signs parts that do not belong together
        names = [name for name in metadata if name.endswith((f"/{role}.json", f".{role}.json"))]
        if len(names) != 1:
            malformed("the metadata", f"there is not exactly one {role}")
        data = metadata[names[0]]
        signed = tuf.check(role, names[0], data)
        if bound.get(tuf.SIGNED_SHA256, tuf.signed_sha256(data)) != tuf.signed_sha256(data):
            malformed(names[0], "it is not the one that the metadata beside it names")
        bound = signed["meta"][NEXT[role]] if role in NEXT else {}
        files.append(Signable(names[0], data, role, [newest]))
    return files


def _of_root(new: bytes, previous: bytes | None) -> Signable:
    this = read_root(new, "the new root")
    before = [read_root(previous, "the root before")] if previous is not None else []
    if this.version != (before[0].version + 1 if before else 1):
        malformed("the new root", f"version {this.version} does not follow what was given")
    return Signable(tuf.file_name("root", this.version), new, "root", [*before, this])


def read_root(data: bytes, name: str) -> Root:
    """The root in `data`, which has the form of SPEC section 2. Raises Malformed."""
    tuf.check("root", name, data)
    signed: Root = Metadata[Root].from_bytes(data).signed
    return signed


def _sign(files: Sequence[Signable], key: Signs) -> Share:
    keyid = key_id(key.public)
    mine = [file for file in files if keyid in file.keys]
    if not mine:
        everyone = {keyid: one for file in files for keyid, one in file.keys.items()}
        raise NotASigner(who=key.public.fingerprint, signers=people(everyone.values()))
    made = {
        file.short: OneSignature(tuf.signed_sha256(file.data), key.sign(tuf.signed_part(file.data)).hex())
        for file in mine
    }
    return Share(key.public, made)


def _merge(files: Sequence[Signable], shares: Iterable[Share]) -> dict[str, bytes]:
    merged = _together(files, shares)
    for file in files:
        quorum(file.role, file.short, merged[file.name], file.roots)
    return merged


def _together(files: Sequence[Signable], shares: Iterable[Share]) -> dict[str, bytes]:
    signatures = {
        file.name: {keyid: sig for keyid, sig in tuf.signatures(file.data).items() if keyid in file.keys}
        for file in files
    }
    for share in shares:
        keyid = key_id(share.key)
        for file in files:
            if keyid in file.keys:
                signatures[file.name][keyid] = _checked(share, file)
        if unknown := set(share.signatures) - {file.short for file in files if keyid in file.keys}:
            known = any(keyid in file.keys for file in files)
            _refuse_share(share, _foreign(min(unknown), known=known))
    return {file.name: tuf.with_signatures(file.data, signatures[file.name]) for file in files}


def _checked(share: Share, file: Signable) -> str:
    one = share.signatures.get(file.short)
    if one is None:
        _refuse_share(share, f"it does not sign {file.short}")
    if one.sha256 != tuf.signed_sha256(file.data):
        _refuse_share(share, f"it signs another {file.short} than this one")
    try:
        share.key.verify(tuf.signed_part(file.data), bytes.fromhex(one.sig))
    except BadSignature:
        _refuse_share(share, f"its signature over {file.short} is not valid")
    return one.sig


def _foreign(name: str, *, known: bool) -> str:
    return f"it signs {name}, which is not here" if known else "the root does not name its key"


def _refuse_share(share: Share, why: str) -> NoReturn:
    remedy = "Have {who} sign again what is here now, with the key that the root names."
    raise ForeignShare(who=share.who, why=why, remedy=remedy.format(who=share.key.comment or "its owner"))


def _standing(files: Sequence[Signable], shares: Iterable[Share]) -> list[str]:
    together = _together(files, shares)
    lines = []
    for file in files:
        present = tuf.signatures(together[file.name])
        for root in file.roots:
            keys, needed = keys_of(root, file.role), root.roles[file.role].threshold
            given = [key for keyid, key in keys.items() if keyid in present]
            by = f" of root version {root.version}" if file.role == "root" else ""
            line = f"{file.short}: {needed} of {len(keys)} keys{by} needed, {len(given)} given"
            if len(given) < needed:
                missing = people(key for keyid, key in keys.items() if keyid not in present)
                line += f"; still missing from: {missing}"
            lines.append(line)
    return lines

"""Who signed a metadata file, and whether that is enough.

TUF asks that enough signatures verify; bundles ask besides that every signature there counts: it is by a key
of the role and verifies. So no byte of a file goes unchecked, and a damaged one is never half accepted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature  # type: ignore[attr-defined]
from tuf.api.metadata import Root  # type: ignore[attr-defined]

from airgap_bundle import metadata
from airgap_bundle.keys import PublicKey
from airgap_bundle.refusals import ForeignSignature, NotSignedByEnough
from airgap_bundle.signing import Ed25519Key


def quorum(role: str, name: str, data: bytes, roots: Sequence[Root]) -> list[PublicKey]:
    """The keys that signed `data`, when they are enough for `role` in each of `roots` and none is foreign.

    `data` has the form that `metadata.check` demands. A key's comment is the owner that the root names.

    Raises NotSignedByEnough, ForeignSignature.
    """
    payload, present = metadata.signed_part(data), metadata.signatures(data)
    counted: dict[str, Key] = {}
    for root in roots:
        keys = keys_of(root, role)
        good = {id_: key for id_, key in keys.items() if _is_by(key, present.get(id_), payload)}
        if len(good) < root.roles[role].threshold:
            raise NotSignedByEnough(
                name=name,
                have=len(good),
                needed=root.roles[role].threshold,
                known=len(keys),
                by=f"root version {root.version}",
                missing=people(key for id_, key in keys.items() if id_ not in good),
            )
        counted |= good
    for id_ in present:
        if id_ not in counted:
            known = any(id_ in root.roles[role].keyids for root in roots)
            why = "that is not valid" if known else "by a key that does not count"
            raise ForeignSignature(name=name, why=f"{why} (key ID {id_[:16]}…)")
    return [public_of(key) for key in counted.values()]


def keys_of(root: Root, role: str) -> Mapping[str, Key]:
    """The keys that count for `role`, by key ID."""
    return {keyid: root.keys[keyid] for keyid in root.roles[role].keyids}


def public_of(key: Key) -> PublicKey:
    """Our key of python-tuf's; its comment is its owner."""
    assert isinstance(key, Ed25519Key)  # `metadata.check` lets no other type pass
    return key.public


def people(keys: Iterable[Key]) -> str:
    """Keys as a list for people: names where the root has them, and fingerprints."""
    return ", ".join(f"{public.comment} {public.fingerprint}".strip() for public in map(public_of, keys))


def _is_by(key: Key, signature: str | None, payload: bytes) -> bool:
    if signature is None:
        return False
    try:
        key.verify_signature(Signature(key.keyid, signature), payload)
    except UnverifiedSignatureError:
        return False
    return True

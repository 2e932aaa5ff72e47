"""Content teams vouch for their part of a bundle (SPEC section 9).

An attestation is an in-toto statement in a DSSE envelope. Its subject is the digest of a part's identity
lines, so it holds for that part however it travels, in the full bundle and in each delta.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airgap_bundle.canonical import malformed, parse, render
from airgap_bundle.content import Part
from airgap_bundle.dsse import Envelope, Signs
from airgap_bundle.errors import BundleRefused
from airgap_bundle.keys import PublicKey
from airgap_bundle.release import SHA256, match

KIND = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
VOUCH = "urn:airgap-bundle:vouch:1"


class NotVouched(BundleRefused):
    """A part lacks the attestation that the policy demands."""

    exit_code = 41
    message = "nobody of team {team} vouches for part {part} as it is in this bundle"
    hint = "Have {team} attest it (`airgap-bundle attest`) before the bundle is signed."


@dataclass(frozen=True)
class Attestation:
    """What a team says of a part."""

    part: str
    sha256: str
    """Digest of the part's identity lines."""
    team: str
    text: str
    """What they did, one line: reviewed, scanned, tested."""
    envelope: Envelope


@dataclass(frozen=True)
class Demand:
    """A rule of the site's policy: part `part` needs `threshold` of the keys of `team`."""

    part: str
    team: str
    keys: tuple[PublicKey, ...]
    threshold: int = 1


def attest(part: str, of: Part, team: str, text: str, key: Signs) -> Envelope:
    """A signed statement that `team` vouches for the part with this digest."""
    statement = {
        "_type": STATEMENT,
        "predicate": {"entries": of.entries, "team": team, "text": text},
        "predicateType": VOUCH,
        "subject": [{"digest": {"sha256": of.sha256}, "name": part}],
    }
    return Envelope(KIND, render(statement), {}).signed(key)


def read(data: bytes, what: str) -> Attestation:
    """Read an attestation; nothing is verified by that. Raises Malformed."""
    envelope = Envelope.parse(data, what)
    if envelope.kind != KIND:
        malformed(what, "its payload is not an in-toto statement")
    value: Any = parse(envelope.payload, what)
    try:
        if (value["_type"], value["predicateType"]) != (STATEMENT, VOUCH):
            malformed(what, "it is another kind of statement")
        [subject] = value["subject"]
        predicate = value["predicate"]
        return Attestation(
            str(subject["name"]),
            match(SHA256, subject["digest"]["sha256"]),
            str(predicate["team"]),
            str(predicate["text"]),
            envelope,
        )
    except (KeyError, TypeError, ValueError):
        malformed(what, "a field is missing or wrong")


def check(
    attestations: Mapping[str, bytes], parts: Mapping[str, Part], demands: Iterable[Demand]
) -> list[str]:
    """Check 8: every demand about a part of this bundle is met. Gives who vouched, one line each.

    Attestations that no demand asks for are not an error: they are listed as not judged. Raises NotVouched,
    Malformed.
    """
    read_ones = [read(data, name) for name, data in sorted(attestations.items())]
    lines = []
    for demand in demands:
        if demand.part not in parts:
            continue
        matching = [
            one for one in read_ones if (one.part, one.sha256) == (demand.part, parts[demand.part].sha256)
        ]
        signers = {signer for one in matching for signer in _signers(one, demand)}
        if len(signers) < demand.threshold:
            raise NotVouched(team=demand.team, part=demand.part)
        names = ", ".join(sorted(signer.comment or signer.fingerprint for signer in signers))
        lines.append(f"{demand.part}: {demand.team} ({names})")
    return lines


def _signers(one: Attestation, demand: Demand) -> list[PublicKey]:
    try:
        return one.envelope.verify(demand.keys, 1, f"the attestation of {one.part}")
    except BundleRefused:
        return []

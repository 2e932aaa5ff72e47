"""Request signatures: what the client signs the plane verifies, and nothing else."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from http_message_signatures import HTTPMessageSigner, HTTPSignatureAlgorithm, HTTPSignatureKeyResolver
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.errors import AccessRefused
from airgap_bundle.keys import PrivateKey
from controlplane.access import refusals
from controlplane.access.roles import ALLOWED, Action, Requester, Role
from controlplane.access.signing import COVERED, LABEL, TAG, Unsigned, signed_headers
from controlplane.access.verification import EnrolledKey, Policy, RawRequest, SignedRequest, verify

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CREATED = int(NOW.timestamp())
NONCE = "0vLhGkXo3jYp0dQ4mWm2vQ"
ANNA, BORIS, STRANGER = (PrivateKey(bytes([n]) * 32) for n in (1, 2, 3))
POLICY = Policy(names=frozenset({"controlplane", "plane.zone:8443"}))
REQUEST = Unsigned("POST", "controlplane", "/v1/tenants?dry=yes", b'{"name": "ministry"}')


class Memory:
    """Operators and nonces in memory."""

    def __init__(self) -> None:
        self.keys = {
            key.public.fingerprint: EnrolledKey(key.public, name, frozenset({Role.OPERATOR}))
            for key, name in ((ANNA, "anna"), (BORIS, "boris"))
        }
        self.nonces: dict[tuple[str, str], datetime] = {}

    def enrolled_key(self, fingerprint: str) -> EnrolledKey | None:
        return self.keys.get(fingerprint)

    def remember(self, fingerprint: str, nonce: str, now: datetime, until: datetime) -> bool:
        if (fingerprint, nonce) in self.nonces:
            return False
        self.nonces[fingerprint, nonce] = until
        return True

    def verify(self, request: RawRequest, now: datetime = NOW, policy: Policy = POLICY) -> SignedRequest:
        return verify(request, policy=policy, operators=self, nonces=self, now=now)


def on_the_wire(request: Unsigned, headers: dict[str, str]) -> RawRequest:
    path, _, query = request.target.partition("?")
    lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return RawRequest(request.method, path.encode(), query.encode(), lines, request.body)


def signed(request: Unsigned = REQUEST, key: PrivateKey = ANNA, created: int = CREATED) -> RawRequest:
    return on_the_wire(request, signed_headers(request, key, created))


def with_header(request: RawRequest, name: str, change: Callable[[str], str]) -> RawRequest:
    """The same request with one header's value changed."""
    lines = [
        (n, change(v.decode()).encode("latin-1") if n == name.encode() else v) for n, v in request.headers
    ]
    assert lines != list(request.headers), "the change must change something"
    return dataclasses.replace(request, headers=lines)


def more(request: RawRequest, *lines: tuple[bytes, bytes]) -> RawRequest:
    return dataclasses.replace(request, headers=[*request.headers, *lines])


def without(request: RawRequest, *names: str) -> RawRequest:
    return dataclasses.replace(
        request, headers=[(n, v) for n, v in request.headers if n.decode() not in names]
    )


def test_a_signed_request_is_recognised() -> None:
    found = Memory().verify(signed())
    assert found.requester == Requester("anna", ANNA.public.fingerprint, frozenset({Role.OPERATOR}))
    assert found.created == NOW


def test_the_kept_evidence_verifies_by_itself() -> None:
    found = Memory().verify(signed())
    ANNA.public.verify(found.base, found.signature)
    assert found.base.decode().splitlines()[:4] == [
        '"@method": POST',
        '"@authority": controlplane',
        '"@path": /v1/tenants',
        '"@query": ?dry=yes',
    ]


path_characters = st.sampled_from("abzAZ09-._~!$&'()*+,;=:@/") | st.just("%2F") | st.just("%c3%a4")
targets = st.builds(
    lambda path, query: "/" + "".join(path) + ("" if query is None else "?" + "".join(query)),
    st.lists(path_characters, max_size=12),
    st.none() | st.lists(path_characters | st.just("?"), max_size=12),
)


class NaclSigner(HTTPSignatureAlgorithm):
    algorithm_id = "ed25519"

    def __init__(self, public_key: None = None, private_key: PrivateKey | None = None) -> None:
        self.key = private_key

    def sign(self, message: bytes) -> bytes:
        assert self.key is not None
        return self.key.sign(message)


class Anna(HTTPSignatureKeyResolver):
    def resolve_private_key(self, key_id: str) -> PrivateKey:
        return ANNA


@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    st.sampled_from(["controlplane", "plane.zone:8443", "plane.zone", "[::1]:8443"]),
    targets,
    st.binary(max_size=50),
    st.integers(0, 2**37),
)
def test_we_sign_byte_for_byte_as_the_library_does(
    method: str, authority: str, target: str, body: bytes, created: int
) -> None:
    ours = signed_headers(Unsigned(method, authority, target, body), ANNA, created, NONCE)

    class Message:
        def __init__(self) -> None:
            self.method, self.url = method, f"https://{authority}{target}"
            self.headers = {"Host": authority}

    theirs: Any = Message()
    HTTPMessageSigner(signature_algorithm=NaclSigner, key_resolver=Anna()).sign(
        theirs,
        key_id=ANNA.public.fingerprint,
        created=datetime.fromtimestamp(created, UTC),
        nonce=NONCE,
        label=LABEL,
        tag=TAG,
        covered_component_ids=COVERED,
        body=body,
    )
    assert ours == theirs.headers


@given(st.sampled_from(["GET", "POST", "DELETE"]), targets, st.binary(max_size=50))
def test_whatever_the_client_signs_the_plane_accepts(method: str, target: str, body: bytes) -> None:
    assert Memory().verify(signed(Unsigned(method, "controlplane", target, body)))


ALTERED: dict[str, tuple[Callable[[RawRequest], RawRequest], type[AccessRefused]]] = {
    "no signature": (lambda r: without(r, "signature", "signature-input"), refusals.RequestNotSigned),
    "no headers": (lambda r: dataclasses.replace(r, headers=[]), refusals.RequestNotSigned),
    "no Signature": (lambda r: without(r, "signature"), refusals.SignatureMalformed),
    "no Signature-Input": (lambda r: without(r, "signature-input"), refusals.SignatureMalformed),
    "no digest": (lambda r: without(r, "content-digest"), refusals.SignatureMalformed),
    "no Host": (lambda r: without(r, "host"), refusals.SignatureMalformed),
    "two lengths of the body": (
        lambda r: more(r, (b"content-length", b"5"), (b"transfer-encoding", b"chunked")),
        refusals.SignatureMalformed,
    ),
    "two Hosts": (lambda r: more(r, (b"host", b"controlplane")), refusals.SignatureMalformed),
    "two digests": (lambda r: more(r, (b"content-digest", b"sha-256=:AA==:")), refusals.SignatureMalformed),
    "two digests, one spelt with _": (
        lambda r: more(r, (b"content_digest", b"sha-256=:AA==:")),
        refusals.SignatureMalformed,
    ),
    "two Signature headers": (lambda r: more(r, r.headers[-1]), refusals.SignatureMalformed),
    "a second label": (
        lambda r: with_header(r, "signature-input", lambda v: f"{v}, other={v.partition('=')[2]}"),
        refusals.SignatureMalformed,
    ),
    "a second label in both": (
        lambda r: with_header(
            with_header(r, "signature-input", lambda v: f"{v}, other={v.partition('=')[2]}"),
            "signature",
            lambda v: f"{v}, other={v.partition('=')[2]}",
        ),
        refusals.SignatureMalformed,
    ),
    "the same label twice": (
        lambda r: with_header(r, "signature-input", lambda v: f"{v}, {v}"),
        refusals.SignatureMalformed,
    ),
    "another label": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace("controlplane=", "sig1=")),
        refusals.SignatureMalformed,
    ),
    "a component not covered": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace(' "@query"', "")),
        refusals.SignatureMalformed,
    ),
    "components in another order": (
        lambda r: with_header(
            r, "signature-input", lambda v: v.replace('"@path" "@query"', '"@query" "@path"')
        ),
        refusals.SignatureMalformed,
    ),
    "a component with a parameter": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace('"@path"', '"@path";req')),
        refusals.SignatureMalformed,
    ),
    "one component more": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace('"@path"', '"@path" "host"')),
        refusals.SignatureMalformed,
    ),
    "an unknown parameter": (
        lambda r: with_header(r, "signature-input", lambda v: f"{v};expires=1"),
        refusals.SignatureMalformed,
    ),
    "another tag": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace(TAG, "other-v1")),
        refusals.SignatureMalformed,
    ),
    "another algorithm": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace('"ed25519"', '"hmac-sha256"')),
        refusals.SignatureMalformed,
    ),
    "created is a text": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace(str(CREATED), f'"{CREATED}"')),
        refusals.SignatureMalformed,
    ),
    "created is a fraction": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace(str(CREATED), f"{CREATED}.5")),
        refusals.SignatureMalformed,
    ),
    "created has no value": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace(f"created={CREATED}", "created")),
        refusals.SignatureMalformed,
    ),
    "keyid is not a fingerprint": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace("SHA256:", "MD5:")),
        refusals.SignatureMalformed,
    ),
    "the signature is too short": (
        lambda r: with_header(r, "signature", lambda v: "controlplane=:AAAA:"),
        refusals.SignatureMalformed,
    ),
    "the signature is a text": (
        lambda r: with_header(r, "signature", lambda v: 'controlplane="AAAA"'),
        refusals.SignatureMalformed,
    ),
    "the signature is another": (
        lambda r: with_header(r, "signature", lambda v: f"controlplane=:{'A' * 86}==:"),
        refusals.SignatureWrong,
    ),
    "no structured field": (
        lambda r: with_header(r, "signature-input", lambda v: v[:-1]),
        refusals.SignatureMalformed,
    ),
    "a header not ASCII": (
        lambda r: with_header(r, "signature-input", lambda v: v + "\xe4"),
        refusals.SignatureMalformed,
    ),
    "a huge header": (
        lambda r: with_header(r, "signature", lambda v: v + " " * 5000 + "a"),
        refusals.SignatureMalformed,
    ),
    "a folded header": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace(" ", "\r\n ", 1)),
        refusals.SignatureMalformed,
    ),
    "another method": (lambda r: dataclasses.replace(r, method="DELETE"), refusals.SignatureWrong),
    "a lower-case method": (lambda r: dataclasses.replace(r, method="post"), refusals.SignatureMalformed),
    "another path": (lambda r: dataclasses.replace(r, path=b"/v1/operators"), refusals.SignatureWrong),
    "the path in another spelling": (
        lambda r: dataclasses.replace(r, path=b"/v1/%74enants"),
        refusals.SignatureWrong,
    ),
    "the path with a doubled slash": (
        lambda r: dataclasses.replace(r, path=b"//v1/tenants"),
        refusals.SignatureWrong,
    ),
    "an absolute request-target": (
        lambda r: dataclasses.replace(r, path=b"http://elsewhere/v1/tenants"),
        refusals.SignatureMalformed,
    ),
    "a path with a space": (
        lambda r: dataclasses.replace(r, path=b"/v1/tenants /x"),
        refusals.SignatureMalformed,
    ),
    "a path with a fragment": (
        lambda r: dataclasses.replace(r, path=b"/v1/tenants#x"),
        refusals.SignatureMalformed,
    ),
    "a path with a broken escape": (
        lambda r: dataclasses.replace(r, path=b"/v1/tenants%2"),
        refusals.SignatureMalformed,
    ),
    "another query": (lambda r: dataclasses.replace(r, query=b"dry=no"), refusals.SignatureWrong),
    "no query": (lambda r: dataclasses.replace(r, query=b""), refusals.SignatureWrong),
    "one parameter more": (lambda r: dataclasses.replace(r, query=b"dry=yes&x=1"), refusals.SignatureWrong),
    "another body": (lambda r: dataclasses.replace(r, body=b'{"name": "other"}'), refusals.BodyAltered),
    "no body": (lambda r: dataclasses.replace(r, body=b""), refusals.BodyAltered),
    "another body with its digest": (
        lambda r: with_header(r, "content-digest", lambda v: v[:9] + "A" + v[10:]),
        refusals.SignatureWrong,
    ),
    "a digest by another algorithm": (
        lambda r: with_header(r, "content-digest", lambda v: v.replace("sha-256", "md5")),
        (refusals.SignatureWrong),
    ),
    "another plane of this name": (
        lambda r: with_header(r, "host", lambda v: "plane.zone:8443"),
        refusals.SignatureWrong,
    ),
    "another plane": (
        lambda r: with_header(r, "host", lambda v: "evil.example"),
        refusals.WrongAuthority,
    ),
    "another of the enrolled keys": (
        lambda r: with_header(
            r, "signature-input", lambda v: v.replace(ANNA.public.fingerprint, BORIS.public.fingerprint)
        ),
        refusals.SignatureWrong,
    ),
    "another time": (
        lambda r: with_header(r, "signature-input", lambda v: v.replace(str(CREATED), str(CREATED + 1))),
        refusals.SignatureWrong,
    ),
}


@pytest.mark.parametrize("altered", ALTERED)
def test_an_altered_request_is_refused_and_its_nonce_not_remembered(altered: str) -> None:
    change, refusal = ALTERED[altered]
    memory = Memory()
    with pytest.raises(AccessRefused) as caught:
        memory.verify(change(signed()))
    assert type(caught.value) is refusal
    assert 20 <= refusal.exit_code <= 24
    assert str(caught.value).isascii()
    assert caught.value.remedy
    assert memory.nonces == {}


@pytest.mark.parametrize(
    "nonce", ["short", "x" * 21, "x" * 87, "0vLhGkXo3jYp0dQ4mWm2v!", "0vLhGkXo3jYp0dQ4 mWm2vQ"]
)
def test_a_nonce_without_enough_randomness_is_refused(nonce: str) -> None:
    request = on_the_wire(REQUEST, signed_headers(REQUEST, ANNA, CREATED, nonce))
    with pytest.raises(refusals.SignatureMalformed, match="nonce"):
        Memory().verify(request)


def test_a_request_is_done_once() -> None:
    memory, request = Memory(), signed()
    memory.verify(request)
    with pytest.raises(refusals.RequestReplayed):
        memory.verify(request)
    assert memory.verify(signed())


def test_a_nonce_is_remembered_for_as_long_as_its_request_would_be_in_the_window() -> None:
    memory = Memory()
    ahead = signed(created=CREATED + 60)
    memory.verify(ahead)
    (until,) = memory.nonces.values()
    with pytest.raises(refusals.RequestStale):
        memory.verify(ahead, now=until + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("offset", "accepted"), [(-61, False), (-60, True), (0, True), (60, True), (61, False)]
)
def test_a_request_is_accepted_only_near_the_planes_clock(offset: int, accepted: bool) -> None:
    if accepted:
        assert Memory().verify(signed(created=CREATED + offset))
        return
    with pytest.raises(refusals.RequestStale, match="61 s") as caught:
        Memory().verify(signed(created=CREATED + offset))
    said = str(caught.value)
    assert "2026-01-01 00:00:00 UTC" in said
    assert ("2025-12-31 23:58:59 UTC" if offset < 0 else "2026-01-01 00:01:01 UTC") in said


@pytest.mark.parametrize("created", [0, -1, 10**15 - 1, -(10**15) + 1])
def test_a_moment_beyond_the_calendar_is_stale(created: int) -> None:
    with pytest.raises(refusals.RequestStale):
        Memory().verify(signed(created=created))


def test_the_window_is_the_sites_to_choose() -> None:
    policy = dataclasses.replace(POLICY, window=timedelta(seconds=5))
    with pytest.raises(refusals.RequestStale, match="5 s are allowed"):
        Memory().verify(signed(created=CREATED - 6), policy=policy)


def test_an_unknown_key_is_named_by_its_fingerprint() -> None:
    with pytest.raises(refusals.UnknownKey, match=STRANGER.public.fingerprint.replace("+", r"\+")):
        Memory().verify(signed(key=STRANGER))


def test_who_is_suspended_is_told_only_to_the_holder_of_the_key() -> None:
    memory = Memory()
    fingerprint = ANNA.public.fingerprint
    memory.keys[fingerprint] = dataclasses.replace(memory.keys[fingerprint], suspended_at=NOW)
    with pytest.raises(refusals.OperatorSuspended, match="anna is suspended since 2026-01-01 00:00 UTC"):
        memory.verify(signed())
    with pytest.raises(refusals.SignatureWrong):
        memory.verify(with_header(signed(), "signature", lambda v: f"controlplane=:{'A' * 86}==:"))
    assert memory.nonces == {}


@pytest.mark.parametrize("action", Action)
def test_every_action_has_roles_and_nobody_without_them_takes_it(action: Action) -> None:
    assert ALLOWED[action]
    for role in Role:
        requester = Requester("anna", "SHA256:x", frozenset({role}))
        if role in ALLOWED[action]:
            requester.permit(action)
        else:
            with pytest.raises(refusals.RoleNotAllowed, match=f"anna .{role.value}. may not {action.value}"):
                requester.permit(action)
    with pytest.raises(refusals.RoleNotAllowed, match="no role"):
        Requester("anna", "SHA256:x", frozenset()).permit(action)


def test_an_auditor_reads_and_nothing_else() -> None:
    assert [action for action in Action if Role.AUDITOR in ALLOWED[action]] == [Action.READ]


def test_nobody_but_the_security_officer_decides_who_may_come_in() -> None:
    assert ALLOWED[Action.ENROL] == ALLOWED[Action.DISMISS] == {Role.SECURITY_OFFICER}


def test_refusals_have_their_own_words_and_codes_between_20_and_29() -> None:
    found = [c for c in vars(refusals).values() if isinstance(c, type) and issubclass(c, AccessRefused)]
    own = [c for c in found if c is not AccessRefused]
    assert len({c.message for c in own}) == len(own)
    assert all(20 <= c.exit_code <= 29 and c.hint for c in own)


def test_signing_a_request_imports_neither_the_library_nor_cryptography() -> None:
    script = (
        "import sys, controlplane.access.signing\n"
        "heavy = {'cryptography', 'http_message_signatures', 'http_sf', 'pydantic', 'http'}\n"
        "sys.exit(bool(heavy & {m.split('.')[0] for m in sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0

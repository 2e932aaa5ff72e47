"""The plane's half of request signatures: every check, in order, before anything else looks at a request.

The form is one fixed profile of RFC 9421 (controlplane/access/signing.py shows it), and everything outside
it is refused.

 1. The request-target is a path, the body's end is said in one way, and each of Host, Content-Digest,
    Signature-Input and Signature is there exactly once: what is read here is what any other reader reads.
 2. One signature, labelled `controlplane`, over exactly the covered components, with exactly our parameters.
 3. The nonce is at least 16 bytes of URL-safe base64.
 4. Host is a name of this plane: a request to one plane is worth nothing at another.
 5. `created` is within the window around the plane's clock.
 6. The key belongs to an enrolled operator.
 7. The signature verifies (Ed25519, by libsodium, over the base that the library builds).
 8. The body has the digest that was signed.
 9. The operator is not suspended. Asked only now, so that strangers do not learn who is.
10. The nonce was never seen. Remembered only now, durably: only who holds a key can fill the memory.
11. A role of theirs allows the route's action: `Requester.permit`, when the route is known.

Nothing here does I/O or reads a clock: `Operators` and `Nonces` are ports, `now` is an argument.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import http_sf
from http_message_signatures import (
    HTTPMessageSignaturesException,
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
)

from airgap_bundle.keys import BadSignature, PublicKey
from controlplane.access.refusals import (
    BodyAltered,
    OperatorSuspended,
    RequestNotSigned,
    RequestReplayed,
    RequestStale,
    SignatureMalformed,
    SignatureWrong,
    UnknownKey,
    WrongAuthority,
)
from controlplane.access.roles import Requester, Role
from controlplane.access.signing import ALGORITHM, COVERED, LABEL, PARAMETERS, TAG

SIGNATURE_HEADERS = ("host", "content-digest", "signature-input", "signature")
NONCE = re.compile(r"[A-Za-z0-9_-]{22,86}")  # 16 to 64 bytes
FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
PATH = re.compile(rb"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")  # RFC 3986 section 3.3
QUERY = re.compile(rb"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*")  # section 3.4
HEADER_LIMIT = 2048  # characters in one signature header; ours are under 350
DEFAULT_WINDOW = timedelta(seconds=60)


@dataclass(frozen=True)
class RawRequest:
    """A request as it came off the wire."""

    method: str
    path: bytes
    """The raw path, percent-encoded, without the query."""
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    """Names in lower case, every line of its own."""
    body: bytes = b""


@dataclass(frozen=True)
class EnrolledKey:
    """A key that the plane knows, and whose it is."""

    key: PublicKey
    operator: str
    roles: frozenset[Role]
    suspended_at: datetime | None = None


class Operators(Protocol):
    """Where enrolled keys are looked up."""

    def enrolled_key(self, fingerprint: str) -> EnrolledKey | None:
        """The key with that fingerprint, `SHA256:...`, or None."""
        ...


class Nonces(Protocol):
    """Remembers which requests came, across restarts and processes."""

    def remember(self, fingerprint: str, nonce: str, now: datetime, until: datetime) -> bool:
        """Store the nonce durably until then; False if it is already there. One caller at most gets True."""
        ...


@dataclass(frozen=True)
class SignedRequest:
    """A request whose signature verified: who, and the evidence that anyone can check again."""

    requester: Requester
    created: datetime
    nonce: str
    base: bytes
    """The signature base: what was signed."""
    signature: bytes
    """64 bytes, by the key with `requester.fingerprint`."""


@dataclass(frozen=True)
class Policy:
    """What this plane demands of a signature."""

    names: frozenset[str]
    """Values of Host that mean this plane, lower case."""
    window: timedelta = DEFAULT_WINDOW
    """How far `created` may be from the plane's clock, each way."""


def verify(
    request: RawRequest, *, policy: Policy, operators: Operators, nonces: Nonces, now: datetime
) -> SignedRequest:
    """Recognise who signed `request`, or raise an AccessRefused that says why not.

    `now` is the plane's clock, aware.
    """
    headers = single_headers(request)  # check 1
    parameters = exact_form(headers["signature-input"])  # check 2
    signature = signature_bytes(headers["signature"])
    nonce, fingerprint = exact_nonce(parameters), exact_fingerprint(parameters)  # check 3
    authority = headers["host"]
    if authority not in policy.names:  # check 4
        raise WrongAuthority(authority=authority, names=" and ".join(sorted(policy.names)))
    created = within_window(parameters["created"], now, policy.window)  # check 5
    enrolled = operators.enrolled_key(fingerprint)
    if enrolled is None:  # check 6
        raise UnknownKey(fingerprint=fingerprint)
    base = verified_base(request, headers, enrolled.key)  # check 7
    if not hmac.compare_digest(
        digest_bytes(headers["content-digest"]), hashlib.sha256(request.body).digest()
    ):
        raise BodyAltered(fingerprint=fingerprint)  # check 8
    if enrolled.suspended_at is not None:  # check 9
        since = f"{enrolled.suspended_at:%Y-%m-%d %H:%M} UTC"
        raise OperatorSuspended(operator=enrolled.operator, since=since)
    # A nonce can come back while its request would pass check 5: until created + window, which is at most
    # two windows from now.
    if not nonces.remember(fingerprint, nonce, now, now + 2 * policy.window):  # check 10
        raise RequestReplayed(nonce=nonce)
    requester = Requester(enrolled.operator, fingerprint, enrolled.roles)
    return SignedRequest(requester, created, nonce, base, signature)


def single_headers(request: RawRequest) -> dict[str, str]:
    """Check 1: the headers that matter, each there once and plain."""
    if not PATH.fullmatch(request.path) or not QUERY.fullmatch(request.query):
        raise SignatureMalformed(why="the request-target is not a plain percent-encoded path and query")
    if {b"content-length", b"transfer-encoding"} <= {name.lower() for name, _ in request.headers}:
        raise SignatureMalformed(
            why="it says twice where the body ends: Content-Length and Transfer-Encoding"
        )
    lines: dict[str, list[bytes]] = {name: [] for name in SIGNATURE_HEADERS}
    for name, value in request.headers:
        # Some readers take `_` for `-`; then `Content_Digest` would be a second, unsigned digest.
        wanted = lines.get(name.decode("latin-1").lower().replace("_", "-"))
        if wanted is not None:
            wanted.append(value)
    if not lines["signature"] and not lines["signature-input"]:
        raise RequestNotSigned()
    single: dict[str, str] = {}
    for header, values in lines.items():
        if len(values) != 1:
            raise SignatureMalformed(why=f"the header {header} is there {len(values)} times, not once")
        text = values[0].decode("latin-1")
        if len(text) > HEADER_LIMIT or not text.isascii() or not text.isprintable() or text != text.strip():
            raise SignatureMalformed(why=f"the header {header} is not one short plain line")
        single[header] = text
    return single


def exact_form(text: str) -> dict[str, Any]:
    """Check 2: Signature-Input holds the one signature that the profile allows; gives its parameters."""
    inputs = parsed_dictionary(text, "Signature-Input")
    if list(inputs) != [LABEL]:
        raise SignatureMalformed(why=f"there must be one signature, labelled {LABEL}")
    covered, parameters = inputs[LABEL]
    if not isinstance(covered, list) or [(v, dict(p)) for v, p in covered] != [(v, {}) for v in COVERED]:
        raise SignatureMalformed(why=f"it must cover exactly {' '.join(COVERED)}, in this order")
    if sorted(parameters) != sorted(PARAMETERS):
        raise SignatureMalformed(why=f"its parameters must be exactly {', '.join(PARAMETERS)}")
    if parameters["tag"] != TAG or parameters["alg"] != ALGORITHM:
        raise SignatureMalformed(why=f'its tag must be "{TAG}" and its alg "{ALGORITHM}"')
    if type(parameters["created"]) is not int:
        raise SignatureMalformed(why="created must be a whole number of seconds")
    return dict(parameters)


def exact_nonce(parameters: dict[str, Any]) -> str:
    """Check 3: enough randomness to be unique."""
    nonce = parameters["nonce"]
    if type(nonce) is not str or not NONCE.fullmatch(nonce):
        raise SignatureMalformed(why="the nonce must be 16 to 64 random bytes in URL-safe base64")
    return nonce


def exact_fingerprint(parameters: dict[str, Any]) -> str:
    """The keyid, which has to look like a fingerprint before it is shown to anyone."""
    keyid = parameters["keyid"]
    if type(keyid) is not str or not FINGERPRINT.fullmatch(keyid):
        raise SignatureMalformed(why="keyid must be the key's fingerprint, SHA256:...")
    return keyid


def within_window(created: int, now: datetime, window: timedelta) -> datetime:
    """Check 5: signed just now, by the plane's clock."""
    age = int(now.timestamp()) - created
    if abs(age) > window.total_seconds():
        raise RequestStale(
            age=abs(age),
            direction="behind" if age > 0 else "ahead of",
            window=int(window.total_seconds()),
            signed=shown(created),
            now=shown(int(now.timestamp())),
        )
    return datetime.fromtimestamp(created, UTC)


def shown(seconds: int) -> str:
    """A moment for people; a number where it is beyond the calendar."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s after 1970"


def signature_bytes(text: str) -> bytes:
    """The 64 bytes of the one member of the Signature header."""
    members = parsed_dictionary(text, "Signature")
    if list(members) != [LABEL]:
        raise SignatureMalformed(why=f"there must be one signature, labelled {LABEL}")
    value, parameters = members[LABEL]
    if not isinstance(value, bytes) or len(value) != 64 or parameters:
        raise SignatureMalformed(why="an Ed25519 signature is 64 bytes")
    return value


def digest_bytes(text: str) -> bytes:
    """The 32 bytes of the one SHA-256 member of the Content-Digest header (RFC 9530)."""
    members = parsed_dictionary(text, "Content-Digest")
    if list(members) != ["sha-256"]:
        raise SignatureMalformed(why="Content-Digest must be one sha-256 digest")
    value, parameters = members["sha-256"]
    if not isinstance(value, bytes) or len(value) != 32 or parameters:
        raise SignatureMalformed(why="a SHA-256 digest is 32 bytes")
    return value


def parsed_dictionary(text: str, header: str) -> dict[str, Any]:
    """A Dictionary Structured Field (RFC 9651), without repeated keys."""

    def refuse_repeat(key: str, _context: str) -> None:
        raise SignatureMalformed(why=f"{header} names {key} twice")

    try:
        parsed = http_sf.parse(text.encode("ascii"), tltype="dictionary", on_duplicate_key=refuse_repeat)
    except (ValueError, TypeError, KeyError, IndexError) as error:
        raise SignatureMalformed(why=f"{header} is not a structured field") from error
    if not isinstance(parsed, dict):
        raise SignatureMalformed(why=f"{header} is not a dictionary")
    return parsed


class Ed25519(HTTPSignatureAlgorithm):
    """RFC 9421 section 3.3.6 with libsodium, which also refuses the keys that verify forgeries."""

    algorithm_id = ALGORITHM

    def __init__(self, public_key: PublicKey, private_key: None = None) -> None:
        self.public_key = public_key

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise BadSignature unless the key signed the message."""
        self.public_key.verify(message, signature)


class OneKey(HTTPSignatureKeyResolver):
    """The key that check 6 found, and no other."""

    def __init__(self, key: PublicKey) -> None:
        self.key = key

    def resolve_public_key(self, key_id: str) -> PublicKey | None:
        """The key, if this is its fingerprint."""
        return self.key if key_id == self.key.fingerprint else None


class Message:
    """A request in the shape the library reads: method, absolute url, headers."""

    def __init__(self, request: RawRequest, headers: dict[str, str]) -> None:
        self.method = request.method
        # The scheme is not covered. It only says which port the library leaves out of @authority: 443.
        query = f"?{request.query.decode('ascii')}" if request.query else ""
        self.url = f"https://{headers['host']}{request.path.decode('ascii')}{query}"
        self.headers = headers


class Verifier(HTTPMessageVerifier):
    """The library's verifier without its clock: check 5 is ours, both ways, and its `now` is an argument."""

    def validate_created_and_expires(self, sig_input: object, max_age: timedelta | None = None) -> None:
        """Nothing: `within_window` did it."""


def verified_base(request: RawRequest, headers: dict[str, str], key: PublicKey) -> bytes:
    """Check 7: the signature base, once the signature over it verified."""
    verifier = Verifier(signature_algorithm=Ed25519, key_resolver=OneKey(key))
    try:
        results = verifier.verify(
            Message(request, headers),
            max_age=None,
            expect_tag=TAG,
            expect_label=LABEL,
            require_components=COVERED,
        )
    except HTTPMessageSignaturesException as error:
        if isinstance(error.__cause__, BadSignature):
            raise SignatureWrong(fingerprint=key.fingerprint) from error
        raise SignatureMalformed(why="it does not fit the request") from error
    (result,) = results
    return "\n".join(f"{name}: {value}" for name, value in result.covered_components.items()).encode("ascii")


def names_of(addresses: Iterable[str]) -> frozenset[str]:
    """Names as `Policy.names` wants them."""
    return frozenset(address.lower() for address in addresses)

"""Why a request is not served.

    AccessRefused (airgap_bundle.errors)
    ├── 20  RequestNotSigned     no signature at all
    ├── 21  SignatureMalformed   a signature, but not of the form that the plane requires
    │   └── 21  WrongAuthority   addressed to another plane
    ├── 22  SignatureWrong       the key did not sign this request
    │   └── 22  BodyAltered      the body is not what was signed
    ├── 23  RequestStale         signed too long ago, or in the future
    ├── 23  RequestReplayed      seen before
    ├── 24  UnknownKey           nobody here holds that key
    ├── 25  OperatorSuspended    known, but not allowed in now
    └── 26  RoleNotAllowed       none of their roles allows it

Codes 20-24 mean "I cannot tell who you are" (HTTP 401), 25-29 "I can, and no" (HTTP 403).
"""

from __future__ import annotations

from airgap_bundle.errors import AccessRefused


class RequestNotSigned(AccessRefused):
    """A request without a signature. There is no route that needs none."""

    exit_code = 20
    message = "the request is not signed"
    hint = "Use `controlplane`, or sign it as docs/reference/api.md describes; every request is signed."


class SignatureMalformed(AccessRefused):
    """The signature's form is not exactly the one the plane requires."""

    exit_code = 21
    message = "the signature is malformed: {why}"
    hint = "Client and plane may differ in version; compare `controlplane --version` on both machines."


class WrongAuthority(SignatureMalformed):
    """The Host it was signed for is not a name of this plane."""

    message = "the request is addressed to {authority}, and this plane answers to {names}"
    hint = (
        "Reach the plane by one of its names, or add the name to `names` in site.toml and restart the plane."
    )


class SignatureWrong(AccessRefused):
    """The signature does not verify with the key that it names."""

    exit_code = 22
    message = "the signature does not match the request, as signed by {fingerprint}"
    hint = "The request was altered on its way or signed by another key. Nothing was done."


class BodyAltered(SignatureWrong):
    """The body's digest is not the signed one."""

    message = "the body is not the one that {fingerprint} signed: its digest differs"


class RequestStale(AccessRefused):
    """Signed outside the window around the plane's clock."""

    exit_code = 23
    message = (
        "the request was signed {age} s {direction} the plane's clock, and {window} s are allowed: "
        "signed at {signed}, the plane's clock says {now}"
    )
    hint = "Compare the two clocks and set the wrong one, then ask again."


class RequestReplayed(AccessRefused):
    """The same signed request came before."""

    exit_code = 23
    message = "the same signed request was received before (nonce {nonce}); it is done only once"
    hint = "Sign a new request. If you did not repeat it, someone else did: tell your security officer."


class UnknownKey(AccessRefused):
    """No operator is enrolled with that key."""

    exit_code = 24
    message = "no operator is enrolled with the key {fingerprint}"
    hint = "Check which key you use (--key), or ask a security officer: controlplane operator enrol"


class OperatorSuspended(AccessRefused):
    """The operator is known, and suspended."""

    exit_code = 25
    message = "operator {operator} is suspended since {since}"
    hint = "Ask a security officer: controlplane operator resume {operator}"


class RoleNotAllowed(AccessRefused):
    """None of the operator's roles allows the action."""

    exit_code = 26
    message = "{operator} ({roles}) may not {action}; it needs the role {needed}"
    hint = "Ask someone who has the role, or a security officer to give it to you."

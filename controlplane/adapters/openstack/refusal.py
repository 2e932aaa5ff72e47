"""What OpenStack said when it refused, as one short line, and what a person can do about it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from controlplane.tenants.errors import CloudRefused

NAMES: Mapping[str, str] = {
    "identity": "Keystone",
    "compute": "Nova",
    "network": "Neutron",
    "volume": "Cinder",
    "image": "Glance",
}
"""The names that operators know the services by."""

LONGEST = 240
_QUOTA = re.compile(
    r"over.?quota|quota\b.*\bexceed|exceed\w*\b.*\bquota|quota limit|(?:limit|maximum).*exceeded", re.I | re.S
)
_REMEDIES: Mapping[int, str] = {
    400: "Correct the value in the spec, then plan again.",
    401: "Check the plane's credentials in its clouds.yaml.",
    403: "Give the plane's user the role that this service's policy asks for (admin), then apply again.",
    404: "Something it needs is gone from OpenStack; plan again to see what.",
    409: "See what is in the way in OpenStack, remove it or choose another name, then plan again.",
    413: "Make the request smaller or raise the service's limit, then apply again.",
}
_OVER_QUOTA = "Raise the project's quota in the spec, or remove what is not needed, then apply again."
_OTHERWISE = "Look at the service's log for the request, then apply again."


def reason(body: bytes, conceal: Iterable[str] = ()) -> str:
    """OpenStack's own words in a refusal, on one line, shortened, without what must be concealed.

    >>> reason(b'{"NeutronError": {"type": "OverQuota", "message": "Quota exceeded for network"}}')
    'Quota exceeded for network'
    >>> reason(b"<html><title>409 Conflict</title><h1>409 Conflict</h1>Member is duplicated<br /></html>")
    'Member is duplicated'
    """
    text = body.decode(errors="replace")
    try:
        said = _message(json.loads(text))
    except ValueError:
        said = _plain(text)
    for secret in conceal:
        said = said.replace(secret, "***") if secret else said
    said = " ".join(said.split())
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"


def _message(value: Any) -> str:
    """The message in any of the services' shapes: `{"badRequest": {"message": …}}` and so on."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        if isinstance(value.get("message"), str):
            return str(value["message"])
        return next((said for said in map(_message, value.values()) if said), "")
    if isinstance(value, list):
        return next((said for said in map(_message, value) if said), "")
    return ""


def _plain(text: str) -> str:
    """The text of an HTML error page, without its headings."""
    body = re.sub(r"<(title|h1|style|script)\b.*?</\1>", " ", text, flags=re.I | re.S)
    return re.sub(r"<[^>]*>", " ", body)


def over_quota(said: str) -> bool:
    """Whether a refusal is about a quota.

    >>> over_quota("Quota exceeded for resources: ['network']."), over_quota("Invalid CIDR")
    (True, False)
    """
    return bool(_QUOTA.search(said))


def refused(
    service: str, status: int, body: bytes, *, action: str, address: str, conceal: Iterable[str] = ()
) -> CloudRefused:
    """The error for a definite refusal."""
    said = reason(body, conceal) or f"HTTP {status}"
    remedy = _OVER_QUOTA if over_quota(said) else _REMEDIES.get(status, _OTHERWISE)
    return CloudRefused(
        service=NAMES[service], action=action, address=address, reason=said, remedy=remedy, status=status
    )

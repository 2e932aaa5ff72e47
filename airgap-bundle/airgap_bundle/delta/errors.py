"""Why a delta is refused.

BundleRefused
├── DeltaMalformed      46   the delta itself is wrong, or rebuilds something else
└── DeltaBaseMissing    47   what it builds upon is not here, or not as it was
"""

from __future__ import annotations

from airgap_bundle.errors import BundleRefused


class DeltaMalformed(BundleRefused):
    """A delta breaks a rule of its format, or what it rebuilds is not its target."""

    exit_code = 46
    message = "The delta cannot be applied: {why}"
    hint = "Copy the bundle from its medium again; if it stays so, ask the release engineer for a new one."


class DeltaBaseMissing(BundleRefused):
    """A blob that a delta builds upon is not held, or is no longer what its name says."""

    exit_code = 47
    message = "The delta builds upon sha256 {digest}, which {why}"
    hint = "Ingest the bundle that carries {digest}, or ask the release engineer to send this content whole."

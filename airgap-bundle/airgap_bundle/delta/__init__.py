"""How one blob travels as its difference to blobs that the receiver holds. FORMAT.md has the format."""

from airgap_bundle.delta.applier import apply, read_header
from airgap_bundle.delta.choice import Form, choose
from airgap_bundle.delta.errors import DeltaBaseMissing, DeltaMalformed
from airgap_bundle.delta.layout import Blob, Header
from airgap_bundle.delta.maker import Base, Delta, make

__all__ = [
    "Base",
    "Blob",
    "Delta",
    "DeltaBaseMissing",
    "DeltaMalformed",
    "Form",
    "Header",
    "apply",
    "choose",
    "make",
    "read_header",
]

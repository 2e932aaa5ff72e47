"""Why a bundle's metadata is refused: one sentence for a person, one exit code for a script.

    40  malformed, or a file that does not belong      43  older than what is here, or another history
    41  not signed by enough of the right keys         44  damaged: another digest, length, or missing
    42  expired                                        45  something that comes before it is not here

`plain` turns what python-tuf raises into these; its own messages are for developers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.serialization import DeserializationError

from airgap_bundle.canonical import malformed
from airgap_bundle.errors import BundleRefused
from airgap_bundle.metadata_source import Damaged


class Stray(BundleRefused):
    """A file that nothing signed names."""

    exit_code = 40
    message = "{name} does not belong: nothing that was signed names it"
    hint = (
        "Somebody or something added a file; ask for the bundle again, and keep this medium for inspection."
    )


class NotSignedByEnough(BundleRefused):
    """Fewer valid signatures than the root demands."""

    exit_code = 41
    message = "{name} needs {needed} of the {known} keys of {by}, and {have} signed it"
    hint = "Still missing from: {missing}."


class ForeignSignature(BundleRefused):
    """A signature that does not count: by another key, or not valid."""

    exit_code = 41
    message = "{name} has a signature {why}"
    hint = "It was altered, or put together wrongly: ask for the bundle again."


class AnotherRoot(BundleRefused):
    """The bundle's root chain is not the one that is trusted."""

    exit_code = 41
    message = "{name} is not the root version {version} that is trusted here"
    hint = (
        "This bundle is from someone else. Compare the fingerprint on the sheet with the release engineer's."
    )


class Expired(BundleRefused):
    """Metadata is past its date, and the site's policy is to refuse that."""

    exit_code = 42
    message = "{name} expired on {expires}; it is {now} at least ({because})"
    hint = "Ask for a bundle that is newer; if the clock of this machine is wrong, set it."


class ExpiredNeedsTwo(BundleRefused):
    """Metadata is past its date, and the site's policy lets two named people admit it."""

    exit_code = 42
    message = "{name} expired on {expires}; it is {now} at least ({because})"
    hint = "Ask for a newer bundle, or have two named people admit it: {given} of 2 are named."


class RolledBack(BundleRefused):
    """Something is older than what was accepted here."""

    exit_code = 43
    message = "{what} went backwards: {have} is here, the bundle offers {offered}"
    hint = "Ask the release engineer for a bundle newer than {have}."


class AlreadyHere(BundleRefused):
    """The very same bundle was accepted before; who repairs or resumes goes on, others stop."""

    exit_code = 43
    message = "{bundle} {sequence} was accepted here before"
    hint = "There is nothing to do; to repair what is stored, ingest it with --repair."


class AnotherHistory(BundleRefused):
    """The bundle follows something else than what was accepted here."""

    exit_code = 43
    message = "{what}"
    hint = (
        "Two different bundles carry one number, so one of them is not what was released: "
        "keep both media and ask the release engineer before anything else."
    )


class AnotherStream(BundleRefused):
    """The bundle is of a stream that is not received here."""

    exit_code = 43
    message = "this is a bundle of {offered}, and {have} is received here"
    hint = "Take it to the place that receives {offered}, or keep a trust state of its own for it."


class RootHole(BundleRefused):
    """A version of the root is missing on the medium."""

    exit_code = 45
    message = "the root chain has a hole: {name} is not there"
    hint = "Every version from 1 to {newest} must be on the medium; ask for the bundle again."


class RootTooOld(BundleRefused):
    """The chain ends before the version that the release demands."""

    exit_code = 45
    message = "the root chain ends at version {have}, and this release asks for version {needed}"
    hint = "Newer roots were left out, perhaps to keep a revoked key alive; ask for the bundle again."


class BaseMissing(BundleRefused):
    """A delta stands on a bundle that was not accepted here."""

    exit_code = 45
    message = "{bundle} {sequence} stands on {bundle} {base}, which was not accepted here"
    hint = "Ingest {bundle} {base} first, or ask for {sequence} as a full bundle."


@contextmanager
def plain(name: str) -> Iterator[None]:
    """Turn what python-tuf raises about `name` into one of our refusals.

    Our own checks say more and come first; this is for what only python-tuf sees.
    """
    try:
        yield
    except DeserializationError:
        malformed(name, "TUF does not read it")
    except UnsignedMetadataError:
        raise ForeignSignature(name=name, why="that TUF does not accept") from None
    except ExpiredMetadataError as error:
        raise Expired(name=name, expires="a date that has passed", now="later", because=error) from None
    except (BadVersionNumberError, LengthOrHashMismatchError):
        raise Damaged(what=name, why="it is not the one that the signed metadata names") from None
    except DownloadError:
        raise Damaged(what=name, why="it cannot be read") from None
    except RepositoryError as error:
        malformed(name, f"TUF refuses it ({str(error)[:100]})")

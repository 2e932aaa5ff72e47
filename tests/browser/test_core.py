"""The core's digests, signatures, JSON and fingerprints against hashlib, libsodium and our readers.

Each example runs in the page. What one side accepts and the other refuses is a hole in one, or in SPEC.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nacl import bindings as sodium

from airgap_bundle import canonical, trust
from airgap_bundle.canonical import Malformed
from airgap_bundle.errors import KeyProblem
from airgap_bundle.fingerprint_sheet import read_fingerprint
from airgap_bundle.fingerprint_words import words
from airgap_bundle.keys import BadSignature, PublicKey
from tests.browser.core import accepts, js, quick
from tests.browser.devtools import Page
from vectors import curve
from vectors.forge import key, key_id

# SHA-256 --------------------------------------------------------------------------------------------------


@quick
@given(st.binary(max_size=400), st.lists(st.integers(0, 130), max_size=8))
@example(b"x" * 55, [])
@example(b"x" * 64, [64])
def test_sha256_in_any_pieces_is_that_of_hashlib(core: Page, data: bytes, sizes: list[int]) -> None:
    found = core.run(
        f"(() => {{ const all = {js(data)}; const hash = new modules['core/sha256.js'].Sha256(); let at = 0;"
        f" for (const size of {sizes}) {{ hash.update(all.subarray(at, at + size)); at += size; }}"
        " return hash.update(all.subarray(at)).hex(); })()"
    )
    assert found == hashlib.sha256(data).hexdigest()


def test_sha256_counts_beyond_512_mib(core: Page) -> None:
    # From 512 MiB on, the length in bits needs more than 32 bits.
    count = 513
    wanted = hashlib.sha256()
    for _ in range(count):
        wanted.update(bytes(1 << 20))
    found = core.run(
        "(() => { const hash = new modules['core/sha256.js'].Sha256(); const page = new Uint8Array(1 << 20);"
        f" for (let i = 0; i < {count}; i++) hash.update(page); return hash.hex(); }})()"
    )
    assert found == wanted.hexdigest()


# Ed25519 --------------------------------------------------------------------------------------------------


def verdicts(core: Page, raw: bytes, message: bytes, signature: bytes) -> tuple[bool, bool]:
    """What the page says of a key and a signature, and what libsodium says."""
    ours = core.run(f"modules['core/ed25519.js'].verify({js(raw)}, {js(message)}, {js(signature)})")
    try:
        PublicKey(raw).verify(message, signature)
        theirs = True
    except (BadSignature, KeyProblem):
        theirs = False
    return ours, theirs


@quick
@given(st.binary(max_size=200), st.integers(0, 3), st.integers(0, 511))
def test_signatures_are_good_where_libsodium_says_so(
    core: Page, message: bytes, damage: int, bit: int
) -> None:
    private = key("someone")
    raw, signature = bytearray(private.public.raw), bytearray(private.sign(message))
    text = bytearray(message)
    target = [None, signature, raw, text][damage]
    if target:
        at = bit // 8 % len(target)
        target[at] ^= 1 << bit % 8
    ours, theirs = verdicts(core, bytes(raw), bytes(text), bytes(signature))
    assert ours == theirs
    assert ours or target


@pytest.mark.parametrize("trick", [curve.malleable, curve.neutral_r])
def test_signatures_that_only_a_forger_makes_are_refused(
    core: Page, trick: Callable[[dict[str, str], bytes], None]
) -> None:
    private = key("timestamp")
    signatures = {key_id("timestamp"): private.sign(b"text").hex()}
    trick(signatures, b"text")
    signature = bytes.fromhex(signatures[key_id("timestamp")])
    assert verdicts(core, private.public.raw, b"text", signature) == (False, False)


def test_the_browser_itself_would_accept_a_neutral_r(core: Page) -> None:
    """Why the page does not leave signatures to WebCrypto alone."""
    private = key("timestamp")
    signatures: dict[str, str] = {}
    curve.neutral_r(signatures, b"text")
    signature = bytes.fromhex(signatures[key_id("timestamp")])
    said = core.run(
        f"modules['core/ed25519.js'].browserSays({js(private.public.raw)}, {js(b'text')}, {js(signature)})"
    )
    assert said is True


@quick
@given(st.integers(0, 2**256 - 1))
@example(int.from_bytes(curve.NEUTRAL, "little"))
@example(int.from_bytes(curve.OF_ORDER_8, "little"))
@example(int.from_bytes(curve.mixed("someone"), "little"))
@example(int.from_bytes(curve.UNREDUCED, "little"))
@example(0)
@example(1 << 255 | 1)
@example(curve.PRIME - 1)
@example(curve.PRIME)
def test_keys_are_good_where_libsodium_says_so(core: Page, value: int) -> None:
    raw = value.to_bytes(32, "little")
    assert core.run(f"modules['core/ed25519.js'].isKey({js(raw)})") == bool(
        sodium.crypto_core_ed25519_is_valid_point(raw)
    )


def test_both_verifiers_were_made_on_the_same_day(core: Page) -> None:
    assert core.run("modules['core/trust.js'].referenceTime(0)") == trust.BUILD_DATE.timestamp() * 1000


# JSON -----------------------------------------------------------------------------------------------------

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=6),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("aZ_.-09", min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


@quick
@given(values, st.binary(max_size=3), st.integers(0, 60), st.integers(0, 3))
@example(None, b"", 0, 0)
def test_the_same_json_is_canonical(core: Page, value: Any, other: bytes, at: int, length: int) -> None:
    data = canonical.render(value)
    for candidate in (data, data[:at] + other + data[at + length :]):
        try:
            theirs = canonical.parse(candidate, "file")
            good = True
        except Malformed:
            theirs, good = None, False
        script = f"modules['core/json.js'].readCanonical({js(candidate)}, 'file')"
        ours, found = accepts(core, script)
        assert (ours, found if ours else None) == (good, theirs), candidate


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b"1.0",
        b"1e2",
        b"-0",
        b"01",
        b"9007199254740992",
        b"-9007199254740992",
        b"NaN",
        b"Infinity",
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u001F"',
        b'"\\ud800"',
        b'"\xed\xa0\x80"',
        b'"\x7f"',
        b'"\xe2\x80\xa8"',
        b"\xef\xbb\xbf1",
        b"1 ",
        b" 1",
        b"1\n",
        b"",
        b"[1,]",
        b"[" * 17 + b"]" * 17,
        b"[" * 18 + b"]" * 18,
        b"[" * 100_000,
        b'{"__proto__":1}',
        b'{"constructor":{"prototype":1}}',
        b"tru",
        b'"',
        b'"\x1f"',
        b'"\\u001f"',
        b'"\\b\\t\\n\\f\\r"',
        b'"\\u0008"',
    ],
)
def test_tricks_with_json_fare_alike(core: Page, data: bytes) -> None:
    good = False
    with suppress(Malformed):
        canonical.parse(data, "file")
        good = True
    assert accepts(core, f"modules['core/json.js'].readCanonical({js(data)}, 'file')")[0] == good


# Fingerprints ---------------------------------------------------------------------------------------------


@quick
@given(st.binary(min_size=32, max_size=32), st.sampled_from(["", " ", ":", "-"]), st.booleans())
def test_fingerprints_are_read_as_the_sheet_prints_them(
    core: Page, digest: bytes, between: str, upper: bool
) -> None:
    digits = digest.hex().upper() if upper else digest.hex()
    groups = between.join(digits[at : at + 4] for at in range(0, 64, 4))
    for typed in (groups, f"SHA256:{digits}", " ".join(words(digest)), ", ".join(words(digest)).upper()):
        assert (
            core.run(f"modules['core/fingerprint.js'].readFingerprint({json.dumps(typed)})") == digest.hex()
        )
    assert read_fingerprint(" ".join(words(digest))) == digest.hex()

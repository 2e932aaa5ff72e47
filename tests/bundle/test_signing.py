"""Ed25519 as TUF sees it: key IDs, and only signatures about which all libraries agree."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature, SSlibKey  # type: ignore[attr-defined]
from tuf.api.metadata import Metadata, Timestamp  # type: ignore[attr-defined]

from airgap_bundle.errors import KeyProblem
from airgap_bundle.keys import PrivateKey
from airgap_bundle.signing import Ed25519Key, TufSigner, key_id

KEY = PrivateKey(bytes(range(32)), "anna@release-1")
MESSAGE = b"a release"
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group: RFC 8032 section 5.1
PRIME = 2**255 - 19

EIGHTH = int.from_bytes(
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little"
)
SMALL_ORDER = {
    f"{name}{sign}": y | bit
    for name, y in {
        "the identity": 1,
        "order 2": PRIME - 1,
        "order 4": 0,
        "order 8": EIGHTH,
        "order 8, the other": PRIME - EIGHTH,
        "order 4, not canonical": PRIME,
        "the identity, not canonical": PRIME + 1,
    }.items()
    for sign, bit in {"": 0, ", x negative": 1 << 255}.items()
}
"""All encodings of points of order 1, 2, 4 and 8: anyone can sign for them. As in libsodium's own list."""


def as_bytes(point: int) -> bytes:
    return point.to_bytes(32, "little")


def tuf_dict(raw: bytes) -> dict[str, object]:
    return {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw.hex()}}


def verify(signature: bytes, key: PrivateKey = KEY) -> None:
    Ed25519Key.of(key.public).verify_signature(Signature(key_id(key.public), signature.hex()), MESSAGE)


@given(st.binary(min_size=32, max_size=32))
def test_the_key_id_is_what_other_tuf_tools_compute(seed: bytes) -> None:
    from securesystemslib.signer._utils import compute_default_keyid

    public = PrivateKey(seed).public
    assert key_id(public) == compute_default_keyid("ed25519", "ed25519", {"public": public.raw.hex()})


def test_python_tuf_reads_every_ed25519_key_as_ours() -> None:
    read = Key.from_dict(key_id(KEY.public), tuf_dict(KEY.public.raw))
    assert isinstance(read, Ed25519Key)
    assert read.public == KEY.public


def test_a_key_is_read_as_it_was_written_with_what_else_it_says() -> None:
    written = Ed25519Key.of(KEY.public).to_dict() | {"x-more": 7}
    read = Ed25519Key.from_dict("id", dict(written))
    assert read.to_dict() == written
    assert read.public.comment == "anna@release-1"


def test_what_we_sign_others_verify_and_the_reverse() -> None:
    metadata: Metadata[Timestamp] = Metadata(Timestamp())
    signature = metadata.sign(TufSigner(KEY))
    theirs = SSlibKey(key_id(KEY.public), "ed25519", "ed25519", {"public": KEY.public.raw.hex()})
    theirs.verify_signature(signature, metadata.signed_bytes)
    Ed25519Key.of(KEY.public).verify_signature(signature, metadata.signed_bytes)
    with pytest.raises(UnverifiedSignatureError):
        Ed25519Key.of(KEY.public).verify_signature(signature, metadata.signed_bytes + b" ")


def test_s_may_not_be_above_the_order_of_the_group() -> None:
    """The classic malleability: S + L verifies as well where nobody looks, and is another signature."""
    signature = KEY.sign(MESSAGE)
    verify(signature)
    s = int.from_bytes(signature[32:], "little")
    for times in range(1, 16):
        if (high := s + times * ORDER) < 1 << 256:
            with pytest.raises(UnverifiedSignatureError):
                verify(signature[:32] + high.to_bytes(32, "little"))


@pytest.mark.parametrize("point", SMALL_ORDER.values(), ids=SMALL_ORDER.keys())
def test_a_key_that_anyone_can_sign_for_is_no_key(point: int) -> None:
    with pytest.raises(KeyProblem):
        Ed25519Key.from_dict("id", tuf_dict(as_bytes(point)))


@pytest.mark.parametrize("point", SMALL_ORDER.values(), ids=SMALL_ORDER.keys())
def test_r_may_not_be_a_small_point(point: int) -> None:
    """With r = 0 the equation holds for the identity: OpenSSL accepts such a signature, and leaks the key."""
    r = as_bytes(point)
    secret = bytearray(hashlib.sha512(bytes(range(32))).digest()[:32])
    secret[0] &= 248
    secret[31] = secret[31] & 127 | 64
    challenge = int.from_bytes(hashlib.sha512(r + KEY.public.raw + MESSAGE).digest(), "little")
    s = challenge * int.from_bytes(secret, "little") % ORDER
    signature = r + s.to_bytes(32, "little")
    if point == 1:
        Ed25519PublicKey.from_public_bytes(KEY.public.raw).verify(signature, MESSAGE)
    with pytest.raises(UnverifiedSignatureError):
        verify(signature)


EDGE_CASES = {  # message, public key, R, S
    "small A and R": (
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "0000000000000000000000000000000000000000000000000000000000000000",
    ),
    "small A, mixed R": (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
    "mixed A, small R": (
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
    ),
    "mixed A and R": (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "9046a64750444938de19f227bb80485e92b83fdb4b6506c160484c016cc1852f",
        "87909e14428a7a1d62e9f22f3d3ad7802db02eb2e688b6c52fcd6648a98bd009",
    ),
    "only with the cofactor": (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed512",
        "5ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
    ),
    "only with the cofactor, not reduced before": (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "21122a84e0b5fca4052f5b1235c80a537878b38f3142356b2c2384ebad4668b7",
        "e40bc836dac0f71076f9abe3a53f9c03c1ceeeddb658d0030494ace586687405",
    ),
    "S above the order": (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "e96f66be976d82e60150baecff9906684aebb1ef181f67a7189ac78ea23b6c0e",
        "547f7690a0e2ddcd04d87dbc3490dc19b3b3052f7ff0538cb68afb369ba3a514",
    ),
    "S far above the order": (
        "85e241a07d148b41e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec40",
        "442aad9f089ad9e14647b1ef9099a1ff4798d78589e66f28eca69c11f582a623",
        "8ce5b96c8f26d0ab6c47958c9e68b937104cd36e13c33566acd2fe8d38aa1942",
        "7e71f98a473474f2f13f06f97c20d58cc3f54b8bd0d272f42b695dd7e89a8c22",
    ),
    "R not canonical": (
        "fdaebc429f4a735932a160da1301080c13280eea8bc280d1b392c6b9e6ba3a5a",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "454d370c8d9fc323a41450f8d513eafeb5b0697390c1e505a0d4ddc71f566607",
    ),
    "R not canonical, reduced in the hash": (
        "84b698d39be126ff55fe45079e6c8bf64a0d7db6994560b4e96b7021eb39c1a1",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "084d5b99c2a9463d9c8bd5026916996984eeec87ddf1d3be329006ace1b37b09",
    ),
}
"""Signatures about which libraries disagree: Chalkias et al., "Taming the many EdDSAs", table 6."""


@pytest.mark.parametrize(("message", "public", "r", "s"), EDGE_CASES.values(), ids=EDGE_CASES.keys())
def test_a_signature_that_some_libraries_accept_and_others_refuse_is_refused(
    message: str, public: str, r: str, s: str
) -> None:
    with pytest.raises((KeyProblem, UnverifiedSignatureError)):
        Ed25519Key.from_dict("id", tuf_dict(bytes.fromhex(public))).verify_signature(
            Signature("id", r + s), bytes.fromhex(message)
        )


@given(st.integers(0, 511))
def test_a_flipped_bit_is_noticed(bit: int) -> None:
    signature = bytearray(KEY.sign(MESSAGE))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(UnverifiedSignatureError):
        verify(bytes(signature))


GOOD = KEY.sign(MESSAGE).hex()


@pytest.mark.parametrize(
    "written",
    [
        GOOD.upper(),
        GOOD[:-2],
        GOOD + "00",
        f" {GOOD}",
        f"{GOOD}\n",
        GOOD[:64] + " " + GOOD[65:],
        "",
        "zz" * 64,
        "０" * 128,
    ],
    ids=[
        "upper case",
        "short",
        "long",
        "space",
        "line end",
        "space inside",
        "empty",
        "no digits",
        "other digits",
    ],
)
def test_a_signature_has_one_way_to_be_written(written: str) -> None:
    with pytest.raises(UnverifiedSignatureError):
        Ed25519Key.of(KEY.public).verify_signature(Signature(key_id(KEY.public), written), MESSAGE)


@pytest.mark.parametrize(
    "change",
    [
        {"keytype": "rsa"},
        {"scheme": "ecdsa-sha2-nistp256"},
        {"keyval": {"public": KEY.public.raw.hex().upper()}},
        {"keyval": {"public": KEY.public.raw.hex()[:-2]}},
        {"keyval": {"public": 7}},
        {"keyval": {}},
        {"keyval": "x"},
    ],
    ids=str,
)
def test_what_is_no_ed25519_key_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((KeyProblem, ValueError, KeyError, TypeError)):
        Ed25519Key.from_dict("id", tuf_dict(KEY.public.raw) | change)

"""The Merkle tree against RFC 6962's own words, published vectors, and everything that is not a proof.

The reference below is the RFC's recursive definitions, copied as they stand and slow; the code under test
shares nothing with it. `python -m tests.bundle.test_transparency_merkle` prints the speed of a million
appends.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airgap_bundle.transparency import stored
from airgap_bundle.transparency.errors import (
    ConsistencyRefused,
    InclusionRefused,
    MalformedTree,
    TransparencyRefused,
)
from airgap_bundle.transparency.merkle import (
    EMPTY_ROOT,
    Tree,
    consistency_length,
    inclusion_length,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# --- The reference: RFC 6962 sections 2.1, 2.1.1 and 2.1.2, word for word ---


def half(n: int) -> int:
    """k: the largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


class Reference:
    """A log of n entries that knows RFC 6962's functions over any part of it."""

    def __init__(self, entries: Sequence[bytes]) -> None:
        self.entries = entries
        self.mth: Callable[[int, int], bytes] = cache(self._mth)

    def _mth(self, low: int, high: int) -> bytes:
        if low == high:
            return sha256(b"").digest()
        if high - low == 1:
            return sha256(b"\0" + self.entries[low]).digest()
        k = half(high - low)
        return sha256(b"\1" + self.mth(low, low + k) + self.mth(low + k, high)).digest()

    def path(self, m: int, low: int, high: int) -> list[bytes]:
        if high - low == 1:
            return []
        k = half(high - low)
        if m < k:
            return [*self.path(m, low, low + k), self.mth(low + k, high)]
        return [*self.path(m - k, low + k, high), self.mth(low, low + k)]

    def proof(self, m: int, n: int) -> list[bytes]:
        return self._subproof(m, 0, n, True) if 0 < m < n else []

    def _subproof(self, m: int, low: int, high: int, complete: bool) -> list[bytes]:
        if m == high - low:
            return [] if complete else [self.mth(low, high)]
        k = half(high - low)
        if m <= k:
            return [*self._subproof(m, low, low + k, complete), self.mth(low + k, high)]
        return [*self._subproof(m - k, low + k, high, False), self.mth(low, low + k)]

    def root(self, n: int) -> bytes:
        return self.mth(0, n)

    def leaf(self, index: int) -> bytes:
        return self.mth(index, index + 1)


def grown(entries: Sequence[bytes]) -> tuple[Tree, list[bytes], stored.Read]:
    """The tree of these entries, its stored hashes, and how to read them."""
    tree, array = Tree(), list[bytes]()
    for entry in entries:
        assert stored.count(tree.size) == len(array)
        array += tree.append(leaf_hash(entry))
    return tree, array, lambda positions: [array[position] for position in positions]


EXHAUSTIVE = 70
ENTRIES = [b"entry %d" % number for number in range(EXHAUSTIVE)]
REFERENCE = Reference(ENTRIES)
_, ARRAY, READ = grown(ENTRIES)

# --- What is published ---

PUBLISHED_ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
PUBLISHED_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_the_hashes_are_those_of_the_certificate_transparency_vectors() -> None:
    assert EMPTY_ROOT.hex() == PUBLISHED_ROOTS[0]
    assert leaf_hash(b"").hex() == PUBLISHED_ROOTS[1]
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert (
        node_hash(b"N123", b"N456").hex()
        == "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_the_certificate_transparency_vectors(size: int) -> None:
    tree, _, read = grown(PUBLISHED_ENTRIES[:size])
    assert tree.root().hex() == PUBLISHED_ROOTS[size]
    assert stored.root_at(size, read).hex() == PUBLISHED_ROOTS[size]


def test_the_proofs_are_those_that_rfc_6962_names_in_section_2_1_3() -> None:
    #       hash
    #      /    \
    #     k      l
    #    / \    / \
    #   g   h  i   j
    #  /|  /|  |\  |
    #  a b c d e f d6
    _, _, read = grown(ENTRIES[:7])
    a, b, c, d, e, f, j = (REFERENCE.leaf(n) for n in range(7))
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l = node_hash(g, h), node_hash(i, j)  # noqa: E741  the RFC's names
    assert stored.prove_inclusion(0, 7, read) == [b, h, l]
    assert stored.prove_inclusion(3, 7, read) == [c, g, l]
    assert stored.prove_inclusion(4, 7, read) == [f, j, k]
    assert stored.prove_inclusion(6, 7, read) == [i, k]
    assert stored.prove_consistency(3, 7, read) == [c, d, g, l]
    assert stored.prove_consistency(4, 7, read) == [l]
    assert stored.prove_consistency(6, 7, read) == [i, j, k]


# --- Every proof is the RFC's, and verifies ---


def test_every_root_up_to_70_is_the_references() -> None:
    tree = Tree()
    for size in range(EXHAUSTIVE + 1):
        assert tree.size == size
        assert tree.root() == REFERENCE.root(size)
        assert stored.root_at(size, READ) == REFERENCE.root(size)
        assert stored.tree_at(size, READ).hashes == tree.hashes
        if size < EXHAUSTIVE:
            tree.append(REFERENCE.leaf(size))


def test_every_inclusion_proof_up_to_70_is_the_references_and_verifies() -> None:
    for size in range(1, EXHAUSTIVE + 1):
        for index in range(size):
            proof = stored.prove_inclusion(index, size, READ)
            assert proof == REFERENCE.path(index, 0, size)
            assert len(proof) == inclusion_length(index, size)
            verify_inclusion(index, size, REFERENCE.leaf(index), proof, REFERENCE.root(size))


def test_every_consistency_proof_up_to_70_is_the_references_and_verifies() -> None:
    for new in range(EXHAUSTIVE + 1):
        for old in range(new + 1):
            proof = stored.prove_consistency(old, new, READ)
            assert proof == REFERENCE.proof(old, new)
            assert len(proof) == consistency_length(old, new)
            verify_consistency(old, new, proof, REFERENCE.root(old), REFERENCE.root(new))


# --- Nothing else verifies ---


def included(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    try:
        verify_inclusion(index, size, leaf, proof, root)
    except InclusionRefused:
        return False
    return True


def consistent(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    try:
        verify_consistency(old, new, proof, old_root, new_root)
    except ConsistencyRefused:
        return False
    return True


SMALL = 20


def test_a_proof_at_another_index_or_size_verifies_only_where_it_is_that_proof() -> None:
    for size in range(1, SMALL):
        for index in range(size):
            leaf, proof = REFERENCE.leaf(index), REFERENCE.path(index, 0, size)
            for other_size in range(SMALL + 1):
                for other in range(SMALL + 1):
                    same = other == index < other_size and proof == REFERENCE.path(other, 0, other_size)
                    root = REFERENCE.root(other_size)
                    assert included(other, other_size, leaf, proof, root) == same


def test_a_consistency_proof_for_other_sizes_verifies_only_where_it_is_that_proof() -> None:
    for new in range(1, SMALL):
        for old in range(new + 1):
            proof = REFERENCE.proof(old, new)
            for other_new in range(SMALL + 1):
                for other_old in range(SMALL + 1):
                    same = other_old <= other_new and proof == REFERENCE.proof(other_old, other_new)
                    roots = REFERENCE.root(other_old), REFERENCE.root(other_new)
                    assert consistent(other_old, other_new, proof, *roots) == same


def altered(hashes: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Lists of hashes that are not `hashes`: cut, longer, reordered, with one bit or one length changed."""
    proof = list(hashes)
    other = sha256(b"another").digest()
    yield [*proof, other]
    yield [other, *proof]
    yield [*proof, b""]
    if proof:
        yield proof[1:]
        yield proof[:-1]
        yield [*proof, proof[-1]]
    if len(proof) > 1:
        yield proof[::-1]
        yield [*proof[1:], proof[0]]
    for at, one in enumerate(proof):
        yield [*proof[:at], other, *proof[at + 1 :]]
        yield [*proof[:at], bytes([one[0] ^ 1]) + one[1:], *proof[at + 1 :]]
        yield [*proof[:at], one[:-1] + bytes([one[-1] ^ 128]), *proof[at + 1 :]]
        yield [*proof[:at], one[:-1], *proof[at + 1 :]]
        yield [*proof[:at], one + b"\0", *proof[at + 1 :]]
        yield [*proof[:at], b"", *proof[at + 1 :]]


def test_no_altered_inclusion_proof_verifies() -> None:
    for size in range(1, SMALL):
        root = REFERENCE.root(size)
        for index in range(size):
            leaf, proof = REFERENCE.leaf(index), REFERENCE.path(index, 0, size)
            for wrong in altered(proof):
                assert not included(index, size, leaf, wrong, root)
            for [wrong_leaf] in (one for one in altered([leaf]) if len(one) == 1):
                assert not included(index, size, wrong_leaf, proof, root)
            for [wrong_root] in (one for one in altered([root]) if len(one) == 1):
                assert not included(index, size, leaf, proof, wrong_root)


def test_no_altered_consistency_proof_verifies() -> None:
    for new in range(1, SMALL):
        new_root = REFERENCE.root(new)
        for old in range(new + 1):
            old_root, proof = REFERENCE.root(old), REFERENCE.proof(old, new)
            for wrong in altered(proof):
                assert not consistent(old, new, wrong, old_root, new_root)
            for [wrong_root] in (one for one in altered([old_root]) if len(one) == 1):
                assert not consistent(old, new, proof, wrong_root, new_root)
            for [wrong_root] in (one for one in altered([new_root]) if len(one) == 1):
                # An empty log is the beginning of every log, so its proof says nothing of the new root.
                expected = old == 0 and len(wrong_root) == 32
                assert consistent(old, new, proof, old_root, wrong_root) == expected


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    size = draw(st.integers(1, 600))
    seed = draw(st.binary(max_size=4))
    return [seed + b"/%d" % number for number in range(size)]


@given(logs(), st.data())
def test_in_any_log_every_proof_verifies_and_no_flipped_bit_does(
    entries: list[bytes], data: st.DataObject
) -> None:
    tree, _, read = grown(entries)
    reference, size = Reference(entries), len(entries)
    index = data.draw(st.integers(0, size - 1), "index")
    old = data.draw(st.integers(0, size), "old size")
    path, proof = stored.prove_inclusion(index, size, read), stored.prove_consistency(old, size, read)
    assert path == reference.path(index, 0, size)
    assert proof == reference.proof(old, size)
    parts = [leaf_hash(entries[index]), *path, tree.root()]
    verify_inclusion(index, size, parts[0], path, parts[-1])
    verify_consistency(old, size, proof, reference.root(old), tree.root())
    flip(data, parts)
    assert not included(index, size, parts[0], parts[1:-1], parts[-1])
    parts = [reference.root(old), *proof, *([tree.root()] if old else [])]
    flip(data, parts)
    if old:
        assert not consistent(old, size, parts[1:-1], parts[0], parts[-1])
    else:
        assert not consistent(old, size, [], parts[0], tree.root())


def flip(data: st.DataObject, parts: list[bytes]) -> None:
    at, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    number = int.from_bytes(parts[at], "big") ^ (1 << bit)
    parts[at] = number.to_bytes(32, "big")


def test_an_entry_is_never_taken_for_an_inner_node() -> None:
    a, b = leaf_hash(b"a"), leaf_hash(b"b")
    assert leaf_hash(a + b) != node_hash(a, b)
    assert leaf_hash(b"\1" + a + b) != node_hash(a, b)
    assert not included(0, 1, leaf_hash(a + b), [], node_hash(a, b))


@pytest.mark.parametrize(
    ("index", "size", "why"),
    [
        (0, 0, "no such entry"),
        (1, 1, "no such entry"),
        (-1, 1, "no such entry"),
        (0, -1, "no such entry"),
        (0, 2**63, "no such entry"),
        (2**70, 2**71, "no such entry"),
        (0, 2**63 - 1, "0 hashes where 63 are needed"),
        (2**63 - 2, 2**63 - 1, "0 hashes where 62 are needed"),
    ],
)
def test_a_place_that_cannot_be_is_refused(index: int, size: int, why: str) -> None:
    with pytest.raises(InclusionRefused, match=why):
        verify_inclusion(index, size, leaf_hash(b""), [], EMPTY_ROOT)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (2, 1, "it is smaller"),
        (2**63, 5, "it is smaller"),
        (-1, 1, "no such size"),
        (-2, -1, "no such size"),
        (1, 2**63, "no such size"),
        (1, 2**63 - 1, "0 hashes where 63 are needed"),
        (2**62 + 1, 2**63 - 1, "0 hashes where 64 are needed"),
    ],
)
def test_sizes_that_cannot_be_are_refused(old: int, new: int, why: str) -> None:
    with pytest.raises(ConsistencyRefused, match=why):
        verify_consistency(old, new, [], leaf_hash(b"old"), leaf_hash(b"new"))


def test_the_first_entry_of_the_largest_log_can_be_proven() -> None:
    proof = [sha256(b"%d" % level).digest() for level in range(63)]
    root = leaf_hash(b"")
    for sibling in proof:
        root = node_hash(root, sibling)
    verify_inclusion(0, 2**63 - 1, leaf_hash(b""), proof, root)


def test_an_empty_log_has_one_root_and_begins_every_log() -> None:
    verify_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)
    verify_consistency(0, 3, [], EMPTY_ROOT, REFERENCE.root(3))
    with pytest.raises(ConsistencyRefused, match="the old root is not the root of an empty log"):
        verify_consistency(0, 3, [], REFERENCE.root(3), REFERENCE.root(3))
    with pytest.raises(ConsistencyRefused, match="the new root is not the root of an empty log"):
        verify_consistency(0, 0, [], EMPTY_ROOT, REFERENCE.root(3))
    with pytest.raises(ConsistencyRefused, match="1 hashes where 0 are needed"):
        verify_consistency(0, 3, [EMPTY_ROOT], EMPTY_ROOT, REFERENCE.root(3))


def test_the_same_size_with_another_root_is_refused() -> None:
    verify_consistency(5, 5, [], REFERENCE.root(5), REFERENCE.root(5))
    with pytest.raises(ConsistencyRefused, match="the same size and different roots"):
        verify_consistency(5, 5, [], REFERENCE.root(5), REFERENCE.root(6))


# --- The tree that a writer keeps ---


@pytest.mark.parametrize("size", [0, 1, 2, 5, 64, 69])
def test_a_tree_goes_on_from_its_kept_state(size: int) -> None:
    before = stored.tree_at(size, READ)
    after = Tree(before.size, before.hashes)
    assert len(after.hashes) == size.bit_count()
    for number in range(size, EXHAUSTIVE):
        position = stored.count(after.size)
        new = after.append(REFERENCE.leaf(number))
        assert ARRAY[position : position + len(new)] == new
    assert after.root() == REFERENCE.root(EXHAUSTIVE)


@pytest.mark.parametrize(
    ("size", "hashes", "why"),
    [
        (0, [EMPTY_ROOT], "0 hashes, not 1"),
        (3, [EMPTY_ROOT], "2 hashes, not 1"),
        (4, [], "1 hashes, not 0"),
        (1, [b"short"], "has not 32 bytes"),
        (-1, [], "a tree of -1 entries cannot be"),
        (2**63, [EMPTY_ROOT], "cannot be"),
    ],
)
def test_a_kept_state_that_is_none_is_refused(size: int, hashes: list[bytes], why: str) -> None:
    with pytest.raises(MalformedTree, match=why):
        Tree(size, hashes)


@pytest.mark.parametrize("start", [0, 1, 1000, 1024])
@pytest.mark.parametrize("more", [0, 1, 1023, 1024, 1025, 3100])
def test_many_entries_at_once_give_the_same_tree(start: int, more: int) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(start + more)]
    one_by_one, at_once = Tree(), Tree()
    for leaf in leaves:
        one_by_one.append(leaf)
    at_once.extend(leaves[:start])
    at_once.extend(iter(leaves[start:]))
    assert (at_once.size, at_once.hashes) == (one_by_one.size, one_by_one.hashes)
    assert root_of(leaves) == one_by_one.root()


@pytest.mark.parametrize("count", [1, 1024])
def test_what_is_not_a_leaf_hash_is_not_added(count: int) -> None:
    tree = Tree()
    with pytest.raises(ValueError, match="32 bytes"):
        tree.extend([b"entry"] * count)
    assert (tree.size, tree.hashes) == (0, ())


# --- The stored array ---


def test_every_node_has_its_own_place_in_the_order_of_writing() -> None:
    size = 64
    places = sorted(stored.index(level, number) for level in range(7) for number in range(size >> level))
    assert places == list(range(stored.count(size)))


def test_a_proof_of_a_million_entries_needs_few_reads() -> None:
    chance, size = random.Random(6962), 1_000_000
    reads: list[int] = []

    def read(positions: Sequence[int]) -> Sequence[bytes]:
        assert len(set(positions)) == len(positions)
        assert all(0 <= position < stored.count(size) for position in positions)
        reads.append(len(positions))
        return [EMPTY_ROOT] * len(positions)

    for _ in range(2000):
        index = chance.randrange(size)
        assert len(stored.prove_inclusion(index, size, read)) == inclusion_length(index, size)
        assert len(stored.prove_consistency(index, size, read)) == consistency_length(index, size)
    assert max(reads) <= 2 * 20
    assert len(reads) <= 2 * 2000  # one read a proof


def test_a_proof_can_be_made_against_any_older_size() -> None:
    entries = [b"%d" % number for number in range(5000)]
    reference, (_, _, read) = Reference(entries), grown(entries)
    chance = random.Random(9162)
    for _ in range(300):
        size = chance.randrange(1, 5001)
        index, old = chance.randrange(size), chance.randrange(size + 1)
        assert stored.prove_inclusion(index, size, read) == reference.path(index, 0, size)
        assert stored.prove_consistency(old, size, read) == reference.proof(old, size)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (3, 3), (-1, 3)])
def test_no_proof_is_made_for_an_entry_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="there is no entry"):
        stored.prove_inclusion(index, size, READ)


@pytest.mark.parametrize(("old", "new"), [(4, 3), (-1, 3)])
def test_no_proof_is_made_that_a_log_shrank(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="cannot extend"):
        stored.prove_consistency(old, new, READ)


def test_a_reader_that_gives_too_little_is_noticed() -> None:
    with pytest.raises(ValueError, match="asked for 2 stored hashes, got 0"):
        stored.prove_inclusion(1, 3, lambda _: [])


@settings(max_examples=50)
@given(st.integers(1, EXHAUSTIVE), st.data())
def test_a_stored_hash_that_was_altered_makes_no_proof(size: int, data: st.DataObject) -> None:
    """Someone with full access to the stored hashes cannot make a false entry verify, only true ones fail."""
    index = data.draw(st.integers(0, size - 1))
    array = list(ARRAY)
    array[data.draw(st.integers(0, stored.count(size) - 1))] = data.draw(st.binary(min_size=32, max_size=32))
    proof = stored.prove_inclusion(index, size, lambda positions: [array[p] for p in positions])
    forged = leaf_hash(b"an entry that was never there")
    with pytest.raises(TransparencyRefused):
        verify_inclusion(index, size, forged, proof, REFERENCE.root(size))


# --- Speed, for a person to look at ---


def speed(entries: int = 1_000_000) -> dict[str, float]:
    """CPU seconds for so many entries: plain SHA-256 of them, appends as a writer does, a whole-log audit."""
    data = [b'{"entry": %d, "text": "%b"}' % (number, b"." * 200) for number in range(entries)]
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> object:
        start = time.process_time()
        result = work()
        seconds[name] = time.process_time() - start
        return result

    def append() -> bytes:
        tree, array = Tree(), list[bytes]()
        for entry in data:
            array += tree.append(leaf_hash(entry))
        return tree.root()

    def plain() -> bytes:
        whole = sha256()
        for entry in data:
            whole.update(entry)
        return whole.digest()

    timed("plain SHA-256", plain)
    appended = timed("append and keep stored hashes", append)
    audited = timed("audit: leaf hashes and root", lambda: root_of(map(leaf_hash, data)))
    assert appended == audited
    return seconds


def test_the_speed_check_runs() -> None:
    assert set(speed(3000)) == {
        "plain SHA-256",
        "append and keep stored hashes",
        "audit: leaf hashes and root",
    }


if __name__ == "__main__":
    for name, value in speed().items():
        print(f"{name:32} {value:6.2f} s for 1,000,000 entries")

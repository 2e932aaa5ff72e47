r"""The Merkle tree of a log: hash, grow, and check proofs. RFC 6962 section 2.1, RFC 9162 section 2.1.

Three entries `a`, `b`, `c` and their tree:

         root = node(ab, c)            node(x, y) = SHA-256(0x01 || x || y)
         /             \               leaf(e)    = SHA-256(0x00 || e)
    ab = node(a, b)     c
      /     \
    leaf a  leaf b                     $ printf '\000a' | sha256sum
                                       022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c

>>> a, b, c = leaf_hash(b"a"), leaf_hash(b"b"), leaf_hash(b"c")
>>> a.hex()
'022a6979e6dab7aa5ae4c3e5e45f7e977112a7e63593820dbec1ec738a24f93c'
>>> tree = Tree()
>>> for leaf in (a, b, c):
...     stored = tree.append(leaf)
>>> tree.root().hex()
'36642e73c2540ab121e3a6bf9545b0a24982cd830eb13d3cd19de3ce6c021ec1'
>>> tree.root() == node_hash(node_hash(a, b), c)
True

Entry 1 is in the tree of 3: hash it with its sibling `a`, then with `c`, and the root comes out.

>>> verify_inclusion(1, 3, b, [a, c], tree.root())

The tree of 3 extends the tree of 2: the old root and `c` give the new root.

>>> verify_consistency(2, 3, [c], node_hash(a, b), tree.root())

The two prefixes keep an entry from being taken for an inner node. A proof is a list of hashes whose number
follows from index and size: one hash more or less is refused before anything is hashed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import islice

from airgap_bundle.transparency.errors import ConsistencyRefused, InclusionRefused, MalformedTree
from airgap_bundle.transparency.strict import LARGEST

HASH_BYTES = 32
_BATCH = 1024  # entries hashed together by `extend`; a power of two
EMPTY_ROOT = sha256(b"").digest()
"""The root of a log without entries: RFC 6962 section 2.1."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry's bytes, 32 bytes."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node over its two children, 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that only grows, kept as the roots of its perfect subtrees: 64 hashes at most.

    `size` and `hashes` are all there is to keep; `Tree(size, hashes)` continues where they were taken.
    """

    __slots__ = ("_hashes", "_size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """Continue a tree from its kept state. Raises MalformedTree if the state is not one."""
        if not 0 <= size <= LARGEST:
            raise MalformedTree(why=f"a tree of {size} entries cannot be")
        if len(hashes) != size.bit_count():
            raise MalformedTree(
                why=f"a tree of {size} entries is kept as {size.bit_count()} hashes, not {len(hashes)}"
            )
        if any(len(one) != HASH_BYTES for one in hashes):
            raise MalformedTree(why=f"a hash has not {HASH_BYTES} bytes")
        self._size, self._hashes = size, list(hashes)

    @property
    def size(self) -> int:
        """The number of entries."""
        return self._size

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees, the largest first; one for each bit set in `size`."""
        return tuple(self._hashes)

    def append(self, leaf: bytes) -> list[bytes]:
        """Add one entry by its leaf hash; O(log n), two hashes on average.

        Returns the hashes to store, in order: the leaf, then each inner node that this leaf completes.
        They go to the positions `stored.count(size before)` and following.
        """
        if len(leaf) != HASH_BYTES:
            raise ValueError(f"a leaf hash has {HASH_BYTES} bytes, not {len(leaf)}")
        new = self._push(leaf, self._size)
        self._size += 1
        return new

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add many entries by their leaf hashes, storing nothing: what an auditor does with a whole log.

        Twice as fast as `append`: whole perfect subtrees are hashed level by level.
        """
        rest = iter(leaves)
        while batch := list(islice(rest, _BATCH - self._size % _BATCH)):
            if len(batch) < _BATCH:  # up to the next multiple, or the end
                for leaf in batch:
                    self.append(leaf)
                continue
            if any(len(leaf) != HASH_BYTES for leaf in batch):
                raise ValueError(f"a leaf hash has {HASH_BYTES} bytes")
            while len(batch) > 1:
                pairs = zip(batch[::2], batch[1::2], strict=True)
                batch = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
            self._push(batch[0], self._size // _BATCH)
            self._size += _BATCH

    def _push(self, node: bytes, carry: int) -> list[bytes]:
        """Put a perfect subtree at the right edge; `carry` counts those of its size before it."""
        new = [node]
        while carry & 1:
            node = sha256(b"\x01" + self._hashes.pop() + node).digest()
            new.append(node)
            carry >>= 1
        self._hashes.append(node)
        return new

    def root(self) -> bytes:
        """The root hash now; O(log n)."""
        return fold(self._hashes) if self._hashes else EMPTY_ROOT


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over these leaf hashes."""
    tree = Tree()
    tree.extend(leaves)
    return tree.root()


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over adjacent perfect subtrees, the largest (leftmost) first; at least one."""
    node = hashes[-1]
    for left in reversed(hashes[:-1]):
        node = node_hash(left, node)
    return node


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Return when `leaf` is the hash of entry `index` in the tree of `size` entries with this `root`.

    `proof` goes from the leaf's sibling up to the root's child. RFC 9162 section 2.1.3.2.
    Raises InclusionRefused.
    """

    def refuse(why: str) -> InclusionRefused:
        return InclusionRefused(index=index, size=size, why=why)

    if not 0 <= index < size <= LARGEST:
        raise refuse("there is no such entry")
    if len(leaf) != HASH_BYTES or len(root) != HASH_BYTES or any(len(one) != HASH_BYTES for one in proof):
        raise refuse(f"a hash has not {HASH_BYTES} bytes")
    if len(proof) != (expected := inclusion_length(index, size)):
        raise refuse(f"the proof has {len(proof)} hashes where {expected} are needed")
    at, last, node = index, size - 1, leaf
    for sibling in proof:
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:  # the right edge: levels where this subtree has no sibling
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    if node != root:
        raise refuse("the proof leads to another root")


def inclusion_length(index: int, size: int) -> int:
    """The number of hashes that prove entry `index` in a tree of `size` entries; `index` is below `size`."""
    inner = (index ^ (size - 1)).bit_length()  # levels below the right edge: a sibling at each
    return inner + (index >> inner).bit_count()  # on the edge only what lies to the left


def verify_consistency(
    old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Return when the tree of `new_size` begins with exactly the entries of the tree of `old_size`.

    RFC 9162 section 2.1.4.2. The RFC says nothing of an empty old tree and of equal sizes; as in C2SP
    tlog-witness their proof has no hash, the empty tree has one root, and equal sizes have equal roots.
    Raises ConsistencyRefused.
    """

    def refuse(why: str) -> ConsistencyRefused:
        return ConsistencyRefused(old=old_size, new=new_size, why=why)

    if not 0 <= old_size <= new_size <= LARGEST:
        raise refuse("it is smaller" if 0 <= new_size < old_size else "there is no such size")
    if len(old_root) != HASH_BYTES or len(new_root) != HASH_BYTES or any(len(h) != HASH_BYTES for h in proof):
        raise refuse(f"a hash has not {HASH_BYTES} bytes")
    if len(proof) != (expected := consistency_length(old_size, new_size)):
        raise refuse(f"the proof has {len(proof)} hashes where {expected} are needed")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise refuse("the old root is not the root of an empty log")
    if new_size == 0 and new_root != EMPTY_ROOT:
        raise refuse("the new root is not the root of an empty log")
    if old_size == new_size and old_root != new_root:
        raise refuse("both have the same size and different roots")
    if old_size in (0, new_size):
        return
    at, last = old_size - 1, new_size - 1
    while at & 1:  # up to the largest perfect subtree that ends where the old tree ends
        at, last = at >> 1, last >> 1
    rest = list(proof) if at else [old_root, *proof]  # if that is the whole old tree, its hash is known
    old_node = new_node = rest[0]
    for sibling in rest[1:]:
        if at & 1 or at == last:
            old_node = node_hash(sibling, old_node)
            new_node = node_hash(sibling, new_node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new_node = node_hash(new_node, sibling)
        at, last = at >> 1, last >> 1
    if old_node != old_root:
        raise refuse("the proof leads to another old root")
    if new_node != new_root:
        raise refuse("the proof leads to another new root")


def consistency_length(old_size: int, new_size: int) -> int:
    """The number of hashes that prove `old_size` to be the beginning of `new_size`, which is not smaller."""
    if old_size in (0, new_size):
        return 0
    shift = (old_size & -old_size).bit_length() - 1  # level of the last perfect subtree of the old tree
    start, last = (old_size - 1) >> shift, (new_size - 1) >> shift
    return inclusion_length(start, last + 1) + (start != 0)

r"""The tree as an array of hashes that is only appended to: any proof in O(log n) reads.

Each entry appends its leaf hash and then every inner node that it completes (Go's sumdb keeps its log the
same way). Four entries, and where each hash is stored:

    level 2                6
                     /           \
    level 1        2               5
                 /   \           /   \
    level 0     0     1         3     4

>>> [index(0, 0), index(0, 1), index(1, 0), index(0, 2), index(0, 3), index(1, 1), index(2, 0)]
[0, 1, 2, 3, 4, 5, 6]
>>> count(4)
7

A log writer keeps `array` as rows of a table; here it is a list.

>>> from airgap_bundle.transparency.merkle import Tree, leaf_hash, verify_inclusion
>>> tree, array = Tree(), []
>>> for entry in (b"a", b"b", b"c"):
...     array += tree.append(leaf_hash(entry))
>>> read = lambda positions: [array[position] for position in positions]
>>> [one.hex()[:8] for one in prove_inclusion(1, 3, read)]
['022a6979', '597fcb31']
>>> verify_inclusion(1, 3, leaf_hash(b"b"), prove_inclusion(1, 3, read), tree.root())

Only perfect subtrees are stored. They never change, so a proof against any older size can be made too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airgap_bundle.transparency.merkle import EMPTY_ROOT, Tree, fold

Read = Callable[[Sequence[int]], Sequence[bytes]]
"""Gives the hashes at these positions, in their order; called once a proof, with at most 2 log2(n) + 2."""

Range = tuple[int, int]


def index(level: int, number: int) -> int:
    """Where the hash of the subtree over entries `number * 2^level` to `(number + 1) * 2^level - 1` is."""
    last_leaf = ((number + 1) << level) - 1
    return count(last_leaf) + level


def count(size: int) -> int:
    """How many hashes a log of `size` entries has stored."""
    return 2 * size - size.bit_count()


def tree_at(size: int, read: Read) -> Tree:
    """The tree as it was when it had `size` entries, ready to grow."""
    return Tree(size, _read(_perfect(0, size), read))


def root_at(size: int, read: Read) -> bytes:
    """The root hash when the log had `size` entries."""
    return _hashes([(0, size)], read)[0] if size else EMPTY_ROOT


def prove_inclusion(entry: int, size: int, read: Read) -> list[bytes]:
    """The proof that entry `entry` is in the tree of `size` entries: RFC 9162 section 2.1.3.1.

    Raises ValueError if there is no such entry.
    """
    if not 0 <= entry < size:
        raise ValueError(f"there is no entry {entry} among {size}")
    ranges: list[Range] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if entry < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return _hashes(ranges[::-1], read)


def prove_consistency(old_size: int, new_size: int, read: Read) -> list[bytes]:
    """The proof that the tree of `new_size` extends that of `old_size`: RFC 9162 section 2.1.4.1.

    Empty for equal sizes and for an empty old tree. Raises ValueError if the old tree is larger.
    """
    if not 0 <= old_size <= new_size:
        raise ValueError(f"a log of {new_size} entries cannot extend one of {old_size}")
    if old_size in (0, new_size):
        return []
    ranges: list[Range] = []
    low, high = 0, new_size
    while high != old_size:
        middle = low + _split(high - low)
        if old_size <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    if low:  # else this subtree is the whole old tree, whose root the reader has
        ranges.append((low, high))
    return _hashes(ranges[::-1], read)


def _split(width: int) -> int:
    """The largest power of two below `width`, which is at least 2."""
    return 1 << ((width - 1).bit_length() - 1)


def _perfect(low: int, high: int) -> list[int]:
    """Positions of the perfect subtrees that make up the entries `low` to `high - 1`, the largest first."""
    positions = []
    while low < high:
        level = (high - low).bit_length() - 1
        positions.append(index(level, low >> level))
        low += 1 << level
    return positions


def _hashes(ranges: Sequence[Range], read: Read) -> list[bytes]:
    """The root over each range of entries, with one read for all."""
    parts = [_perfect(low, high) for low, high in ranges]
    hashes = iter(_read([position for part in parts for position in part], read))
    return [fold([next(hashes) for _ in part]) for part in parts]


def _read(positions: Sequence[int], read: Read) -> Sequence[bytes]:
    hashes = read(positions) if positions else []
    if len(hashes) != len(positions):
        raise ValueError(f"asked for {len(positions)} stored hashes, got {len(hashes)}")
    return hashes

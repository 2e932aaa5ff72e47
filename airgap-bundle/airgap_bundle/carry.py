"""Write a signed bundle to a medium: one container, or volumes cut to a size; read it back; sum it up.

    carried = carry(Path("bundle"), Path("/media/usb"), volume_size=read_size("dvd"))

    /media/usb/zone-updates-7.001-of-002.bundle      written under `.partial`, synced, read back past the page
    /media/usb/zone-updates-7.002-of-002.bundle      cache, compared, then named
    /media/usb/zone-updates-7.parity                 if wanted
    /media/usb/SHA256SUMS  SHA256SUMS.sig            for an auditor with sha256sum and ssh-keygen only

Every blob is hashed on its way: a damaged folder is found here and not on the other side. What is complete
from a run before is read and kept; a name without `.partial` always holds a whole volume.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from airgap_bundle import sshsig
from airgap_bundle.container import VolumeLayout, lay_out
from airgap_bundle.cuts import choose_cuts
from airgap_bundle.durable import sync_folder, write_durably
from airgap_bundle.errors import InputProblem, StateProblem
from airgap_bundle.keys import PrivateKey
from airgap_bundle.medium import BESIDE
from airgap_bundle.metadata_source import Damaged
from airgap_bundle.parity import FileVolume, Volume, Wish, shape_of, write_parity
from airgap_bundle.parity_file import BLOCK, HEADER, Shape
from airgap_bundle.parity_set import examine
from airgap_bundle.signed_folder import SignedFolder, read_signed
from airgap_bundle.virtual_volume import VirtualVolume
from airgap_bundle.volume_json import WHOLE
from airgap_bundle.volume_writer import Blobs, read_back, write_volume
from airgap_bundle.watchdog import watched
from airgap_bundle.write_problems import PARTIAL, check_room, write_problems

SUMS = "SHA256SUMS"
NAMESPACE = "airgap-bundle-sums"
"""What `ssh-keygen -Y verify -n` is given for SHA256SUMS.sig."""
_SUM = re.compile(r"([0-9a-f]{64})  ([a-z0-9.-]{1,120})")


class MediumInUse(StateProblem):
    """Something is on the medium that the other side would refuse."""

    exit_code = 34
    message = "{to} has {name}, which has no place beside this bundle"
    hint = "Name an empty folder, a new one on the medium for instance."


class NotAsWritten(StateProblem):
    """The medium gives back other bytes than were written."""

    exit_code = 35
    message = "{name} reads back with other bytes than were written to {to}"
    hint = "The medium or its drive is bad: use another one. The file was removed."


class NoSuchVolume(InputProblem):
    """A volume number that there is not."""

    exit_code = 15
    message = "there is no volume {number}: with its parity the bundle has {volumes}"
    hint = "Name one from 1 to {volumes}."


@dataclass(frozen=True)
class CarriedFile:
    """A volume or parity file on the medium, written and read back."""

    name: str
    size: int
    sha256: str
    volume: int | None
    """Its number; None for parity."""
    kept: bool = False
    """It was there from a run before, and was only read."""


@dataclass(frozen=True)
class Carried:
    """What came of it."""

    to: Path
    bundle: SignedFolder
    volumes: int
    """How many there are, here or on other media."""
    files: tuple[CarriedFile, ...]
    """What is on this medium now."""


Progress = Callable[[int, int], None]


def carry(
    folder: Path,
    to: Path,
    *,
    volume_size: int | None = None,
    only: int | None = None,
    parity: Wish | None = None,
    key: PrivateKey | None = None,
    progress: Progress = lambda done, total: None,
) -> Carried:
    """Write the signed bundle in `folder` into the folder `to`, which is made if it is not there.

    `volume_size`: bytes that a volume may have; None for one container. `parity`: what may be lost. `only`:
    write just this volume, where each goes to a medium of its own; the numbers behind the last volume are
    those of the parity files. `key`: signs SHA256SUMS. `progress`: bytes read and written, of how many.

    Raises NotCarried, SourceDamaged, VolumesTooSmall, NoSuchVolume, NoSuchParity, MediumFull, FileTooLarge,
    CannotWrite, MediumInUse, NotAsWritten. Files that are not complete are removed.
    """
    bundle = read_signed(folder)
    layouts, shape = plan(bundle, volume_size, parity)
    numbers = len(layouts) + (shape.files if shape is not None else 0)
    if only is not None and not 1 <= only <= numbers:
        raise NoSuchVolume(number=only, volumes=numbers)
    wanted = [layout for layout in layouts if only in (None, layout.number)]
    with write_problems(to, sum(layout.size for layout in wanted)):
        to.mkdir(parents=True, exist_ok=True)
        _check_place(to, layouts, bundle)
        work = _Work(bundle, to, progress)
        if only is None:
            files = work.run(wanted, shape)
        elif wanted:
            files = work.run(wanted, None)
        else:
            assert shape is not None
            files = work.parity_alone(layouts, shape, only - len(layouts))
        write_sums(to, files, key)
    return Carried(to, bundle, len(layouts), tuple(files))


def plan(
    bundle: SignedFolder, volume_size: int | None = None, parity: Wish | None = None
) -> tuple[list[VolumeLayout], Shape | None]:
    """How the bundle lies in one container, or in volumes of at most `volume_size` bytes, and its parity.

    Parity files are not larger than `volume_size` either, where more and smaller ones can be made.

    Raises VolumesTooSmall, NoSuchParity.
    """
    named = [(name, len(data)) for name, data in bundle.metadata.items()]
    blobs = list(bundle.content.blobs.values())
    stream, sequence = bundle.release.bundle, bundle.release.sequence
    capacity = volume_size
    while True:
        cuts = WHOLE
        if capacity is not None:
            cuts = choose_cuts(named, blobs, capacity, bundle=stream, sequence=sequence)
        layouts = lay_out(named, blobs, cuts, bundle=stream, sequence=sequence)
        if parity is None:
            return layouts, None
        sizes = [layout.size for layout in layouts]
        shape = shape_of(parity, stream, sequence, bundle.release_sha256, sizes, volume_size)
        if capacity is None or volume_size is None or shape.file_size <= volume_size:
            return layouts, shape
        # A parity volume is a little larger than the largest volume: leave room for that.
        capacity -= max(shape.file_size - volume_size, BLOCK)


class _Work:
    """Writes volumes in order, and names each as soon as all blobs in it are known to be good."""

    def __init__(self, bundle: SignedFolder, to: Path, progress: Progress) -> None:
        self._bundle, self._to, self._progress = bundle, to, progress
        sizes = {blob.sha256: blob.size for blob in bundle.content.blobs.values()}
        self._blobs = Blobs(bundle.folder / "blobs", sizes)
        self._done = self._total = 0
        self._unnamed: list[Path] = []
        """Written volumes that end with a part of a blob whose rest has not been hashed yet."""

    def run(self, layouts: Sequence[VolumeLayout], shape: Shape | None) -> list[CarriedFile]:
        """All these volumes and their parity, written or found complete."""
        sizes = {layout.name: layout.size for layout in layouts}
        self._total = 2 * sum(sizes.values())
        if shape is not None:
            self._total += sum(sizes.values()) + shape.files * shape.file_size
            sizes |= {shape.parity_name(number): shape.file_size for number in range(1, shape.files + 1)}
        check_room(
            self._to, sum(size for name, size in sizes.items() if not self._seems_complete(name, size))
        )
        files = []
        try:
            for layout in layouts:
                files.append(self._kept(layout) or self._written(layout))
                if layout is layouts[-1]:
                    self._blobs.finish()
                if not self._blobs.begun:
                    self._name_all()
        finally:
            for partial in self._unnamed:  # there is one only when something went wrong
                partial.unlink(missing_ok=True)
        return files if shape is None else files + self._parities(shape)

    def parity_alone(self, layouts: Sequence[VolumeLayout], shape: Shape, number: int) -> list[CarriedFile]:
        """One parity file, where the volumes are on other media: they are computed from the folder."""
        self._total = 2 * sum(layout.size for layout in layouts) + shape.file_size
        if not self._is_parity(shape, number):
            check_room(self._to, shape.file_size)
        for layout in layouts:  # every blob is hashed first: parity of damaged volumes would do harm
            write_volume(layout, self._bundle.metadata, self._blobs, None, self._tell)
        volumes = [VirtualVolume(layout, self._bundle.metadata, self._blobs) for layout in layouts]
        try:
            return [self._parity(shape, number, volumes)]
        finally:
            for volume in volumes:
                volume.close()

    def _parities(self, shape: Shape) -> list[CarriedFile]:
        """The parity files, beside their volumes."""
        numbers = range(1, shape.files + 1)
        if not all(self._is_parity(shape, number) for number in numbers):
            for number in numbers:
                (self._to / shape.parity_name(number)).unlink(missing_ok=True)
            with ExitStack() as stack:
                volumes = []
                for name in shape.names():
                    opened = os.open(self._to / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                    stack.callback(os.close, opened)
                    volumes.append(FileVolume(name, opened))
                write_parity(shape, volumes, self._to, tell=self._tell)
            return [self._examined(shape, number, kept=False) for number in numbers]
        return [self._examined(shape, number, kept=True) for number in numbers]

    def _parity(self, shape: Shape, number: int, volumes: Sequence[Volume]) -> CarriedFile:
        kept = self._is_parity(shape, number)
        if not kept:
            (self._to / shape.parity_name(number)).unlink(missing_ok=True)
            write_parity(shape, volumes, self._to, only=number, tell=self._tell)
        return self._examined(shape, number, kept=kept)

    def _examined(self, shape: Shape, number: int, *, kept: bool) -> CarriedFile:
        """Read back."""
        path = self._to / shape.parity_name(number)
        try:
            return CarriedFile(path.name, shape.file_size, examine(path, self._tell), None, kept)
        except Damaged:
            path.unlink(missing_ok=True)
            raise NotAsWritten(name=path.name, to=self._to) from None

    def _is_parity(self, shape: Shape, number: int) -> bool:
        """Whether the parity file is there, undamaged."""
        name = shape.parity_name(number)
        if not self._seems_complete(name, shape.file_size):
            return False
        with (self._to / name).open("rb") as file:
            if file.read(HEADER) != shape.render_header(number):
                return False
        with contextlib.suppress(Damaged):
            examine(self._to / name)
            return True
        return False

    def _seems_complete(self, name: str, size: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            status = (self._to / name).lstat()
            return stat.S_ISREG(status.st_mode) and status.st_size == size
        return False

    def _kept(self, layout: VolumeLayout) -> CarriedFile | None:
        """The volume if an earlier run completed it and it still is what it must be."""
        if not self._seems_complete(layout.name, layout.size):
            return None
        before = self._done
        sha256 = write_volume(layout, self._bundle.metadata, self._blobs, None, self._tell)
        path = self._to / layout.name
        if read_back(path, layout.size, self._tell) == sha256:
            return CarriedFile(layout.name, layout.size, sha256, layout.number, kept=True)
        path.unlink()  # it is damaged, and its room is needed
        self._done = before
        return None

    def _written(self, layout: VolumeLayout) -> CarriedFile:
        partial = self._to / (layout.name + PARTIAL)
        self._unnamed.append(partial)
        sha256 = write_volume(layout, self._bundle.metadata, self._blobs, partial, self._tell)
        again = watched(
            lambda tell: read_back(partial, layout.size, summing(tell, layout.size)),
            f"{layout.name} back",
            lambda done, _: self._progress(self._done + done, self._total),
        )
        self._done += layout.size
        if again != sha256:
            raise NotAsWritten(name=layout.name, to=self._to)
        return CarriedFile(layout.name, layout.size, sha256, layout.number)

    def _name_all(self) -> None:
        for partial in self._unnamed:
            partial.rename(partial.with_name(partial.name.removesuffix(PARTIAL)))
        self._unnamed.clear()
        sync_folder(self._to)  # after this the volumes stay, whatever happens

    def _tell(self, size: int) -> None:
        self._done += size
        self._progress(self._done, self._total)


def summing(tell: Progress, total: int) -> Callable[[int], None]:
    """From a progress that is told sums to one that is told steps."""
    done = 0

    def step(size: int) -> None:
        nonlocal done
        done += size
        tell(done, total)

    return step


def _check_place(to: Path, layouts: Sequence[VolumeLayout], bundle: SignedFolder) -> None:
    """Raise MediumInUse where the other side would find something that does not belong."""
    names = {layout.name for layout in layouts}
    parity = parity_name(bundle.release.bundle, bundle.release.sequence)
    for found in sorted(os.listdir(to)):
        name = found.removesuffix(PARTIAL)
        if name not in names and name not in BESIDE and not parity.fullmatch(name):
            raise MediumInUse(to=to, name=found)


def parity_name(bundle: str, sequence: int) -> re.Pattern[str]:
    """Matches the names of a bundle's parity files."""
    return re.compile(rf"{re.escape(bundle)}-{sequence}(?:\.[0-9]{{3}}-of-[0-9]{{3}})?\.parity")


def write_sums(to: Path, files: Sequence[CarriedFile], key: PrivateKey | None) -> None:
    """Write SHA256SUMS, and its signature when there is a key. Lines of other files that are here stay."""
    sums = {name: sha256 for name, sha256 in read_sums(to).items() if (to / name).is_file()}
    sums |= {file.name: file.sha256 for file in files}
    data = "".join(f"{sha256}  {name}\n" for name, sha256 in sorted(sums.items())).encode()
    signature = to / f"{SUMS}.sig"
    signature.unlink(missing_ok=True)  # crash after this: sums without a signature, never with a wrong one
    write_durably(to / SUMS, data)
    if key is not None:
        write_durably(signature, sshsig.sign(key, NAMESPACE, data).encode())


def read_sums(to: Path) -> dict[str, str]:
    """The digests in SHA256SUMS by name; none where it is not there. Lines of another form are left out."""
    try:
        lines = (to / SUMS).read_text("ascii", "replace").splitlines()
    except FileNotFoundError:
        return {}
    return {found[2]: found[1] for line in lines if (found := _SUM.fullmatch(line))}

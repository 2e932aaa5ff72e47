"""Opening a medium: each form, some of the volumes, any order; nothing that does not belong."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest

from airgap_bundle.canonical import Malformed
from airgap_bundle.medium import DoesNotBelong, NoBundleHere, VolumesMixed, open_medium
from airgap_bundle.metadata_source import Damaged, StuckMedium
from airgap_bundle.volume_json import Cut
from airgap_bundle.watchdog import watched
from tests.bundle.make_bundle import Keys, MadeBundle, make_bundle
from tests.bundle.volumes import layouts, volume_bytes, write_volumes

FILES = {f"files/{n}.bin": bytes([n]) * (n * 70_000) for n in range(12)} | {"apt/a.deb": b"deb"}
SIZE = 1_200_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeBundle:
    return make_bundle(tmp_path_factory.mktemp("made") / "bundle", FILES, keys=Keys.fresh(seed="medium"))


class _Verified:
    def __init__(self, made: MadeBundle) -> None:
        self.release, self.content, self.metadata = made.release, made.content, made.files


def test_the_metadata_of_each_form_is_the_same(made: MadeBundle, tmp_path: Path) -> None:
    one = write_volumes(made, tmp_path / "one")
    many = write_volumes(made, tmp_path / "many", SIZE)
    assert len(many) == 5
    for paths in ([made.folder], one, [tmp_path / "one"], [tmp_path / "many"], many, many[3:4]):
        with open_medium(paths) as medium:
            assert medium.metadata.names() == set(made.files)
            for name, data in made.files.items():
                assert medium.metadata.read(name, len(data)) == data


def test_reading_more_than_allowed_is_refused(made: MadeBundle, tmp_path: Path) -> None:
    for paths in ([made.folder], write_volumes(made, tmp_path)):
        with open_medium(paths) as medium:
            size = len(made.files["metadata/timestamp.json"])
            with pytest.raises(Damaged, match="longer than"):
                medium.metadata.read("metadata/timestamp.json", size - 1)
            with pytest.raises(KeyError):
                medium.metadata.read("metadata/9.root.json", 1000)


def test_located_blobs_are_where_the_layout_says(made: MadeBundle, tmp_path: Path) -> None:
    paths = write_volumes(made, tmp_path, SIZE)
    got: dict[str, bytes] = {}
    with open_medium(paths) as medium:
        located = medium.locate(_Verified(made))
        assert located.missing == ()
        for volume in located.volumes:
            for member in volume.layout.members:
                if member.blob:
                    data = os.pread(volume.descriptor, member.size, member.at)
                    got[member.blob] = got.get(member.blob, b"") + data
    assert got == {path.name: path.read_bytes() for path in (made.folder / "blobs").iterdir()}


def test_volumes_may_be_given_in_any_order(made: MadeBundle, tmp_path: Path) -> None:
    paths = write_volumes(made, tmp_path, SIZE)[:3]
    for order in permutations(paths):
        with open_medium(order) as medium:
            assert [volume.about.volume for volume in medium.volumes] == [1, 2, 3]


def test_volumes_may_lie_on_several_media(made: MadeBundle, tmp_path: Path) -> None:
    paths = write_volumes(made, tmp_path / "all", SIZE)
    folders = []
    for number, path in enumerate(paths):
        folders.append(tmp_path / f"disc-{number}")
        folders[-1].mkdir()
        path.rename(folders[-1] / path.name)
        (folders[-1] / "SHA256SUMS").write_text("each disc has its own")
    with open_medium(folders) as medium:
        assert medium.missing == ()
        assert medium.summary == "all 5 volumes"


def test_what_is_missing_is_named(made: MadeBundle, tmp_path: Path) -> None:
    paths = write_volumes(made, tmp_path, SIZE)
    with open_medium([*paths[:1], *paths[2:]]) as medium:
        assert medium.missing == (2,)
        assert medium.summary == "4 of 5 volumes; volume 2 of 5 is not here"
        assert medium.locate(_Verified(made)).missing == (2,)
    with open_medium(paths[3:4]) as medium:
        assert medium.summary == "1 of 5 volumes; volumes 1, 2, 3, 5 of 5 are not here"
        [volume] = medium.locate(_Verified(made)).volumes
        assert volume.layout.number == 4


def test_what_may_lie_beside_volumes_does(made: MadeBundle, tmp_path: Path) -> None:
    [path] = write_volumes(made, tmp_path)
    for name in (
        "carry-sheet.html",
        "carry-sheet.txt",
        "SHA256SUMS",
        "SHA256SUMS.sig",
        "zone-updates-1.parity",
    ):
        (tmp_path / name).write_bytes(b"whatever this is, nobody reads it")
    for paths in ([tmp_path], sorted(tmp_path.iterdir())):
        with open_medium(paths) as medium:
            assert [volume.path for volume in medium.volumes] == [path]


def test_a_container_named_by_hand_may_have_any_name(made: MadeBundle, tmp_path: Path) -> None:
    [path] = write_volumes(made, tmp_path)
    path = path.rename(tmp_path / "download (1).bin")
    with open_medium([path]) as medium:
        assert medium.summary == f"one container of {path.stat().st_size} bytes"
    with pytest.raises(DoesNotBelong, match=r"download \(1\)\.bin"):
        open_medium([tmp_path])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("notes.txt", "no file of a bundle has such a name"),
        (".Trashes", "no file"),
        ("autorun.inf", "no file"),
        ("zone-updates-1.bundle.partial", "not finished"),
        ("ZONE-UPDATES-1.BUNDLE", "other letters"),
        ("sha256sums", "other letters"),
        ("zone-updates-01.bundle", "no file"),
        ("zone-updates-1.bundle ", "no file"),
        ("zone-updates-1.bundle\n", "no file"),
        ("zone\u2010updates-1.bundle", "no file"),
        ("zone-updates-1.1-of-2.bundle", "no file"),
        ("zone-updates-1.parity.exe", "no file"),
        ("\udcff", "no file"),
    ],
)
def test_a_stray_file_is_named_and_refused(made: MadeBundle, tmp_path: Path, name: str, says: str) -> None:
    write_volumes(made, tmp_path)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DoesNotBelong, match=says) as refusal:
        open_medium([tmp_path])
    assert str(refusal.value).isprintable()


def make_link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    os.mknod(path, 0o600 | stat.S_IFSOCK)


def make_folder(path: Path) -> None:
    path.mkdir()


def make_device(path: Path) -> None:
    try:
        os.mknod(path, 0o020666, os.makedev(1, 5))  # /dev/zero: as long as one reads
    except PermissionError:
        pytest.skip("making a device needs root")


KINDS = [make_link, make_fifo, make_socket, make_folder, make_device]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("name", ["zone-updates-1.bundle", "SHA256SUMS", "zone-updates-1.parity"])
def test_only_regular_files_are_read_on_a_medium_of_volumes(
    made: MadeBundle, tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    write_volumes(made, tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    make(tmp_path / name)
    with pytest.raises(DoesNotBelong, match="not a regular file"):
        open_medium([tmp_path])


@pytest.mark.parametrize("make", [make_link, make_fifo, make_socket, make_device])
def test_only_regular_files_are_opened_when_named_by_hand(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "zone-updates-1.bundle")
    with pytest.raises(DoesNotBelong, match="not a regular file"):
        open_medium([tmp_path / "zone-updates-1.bundle"])


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("where", ["metadata/timestamp.json", "targets", "blobs", "blobs/*"])
def test_only_regular_files_are_read_in_a_folder(
    tmp_path: Path, where: str, make: Callable[[Path], None]
) -> None:
    made = make_bundle(tmp_path / "b", {"files/a": b"a"})
    [path] = made.folder.glob(where)
    path.rename(tmp_path / "away")
    make(path)
    if make is make_folder and where in ("targets", "blobs"):
        (path / "x").touch()  # a folder is what belongs there, but not what is in it
    with pytest.raises((DoesNotBelong, Malformed)), open_medium([made.folder]) as medium:
        medium.locate(_Verified(made))


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "SHA256SUMS", "metadata/7.root.json~", "metadata/a/b", "targets/x", "blobs/x", "Blobs/x"],
)
def test_a_stray_file_in_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    made = make_bundle(tmp_path / "b", {"files/a": b"a"})
    (made.folder / name).parent.mkdir(exist_ok=True)
    (made.folder / name).write_bytes(b"")
    with pytest.raises((DoesNotBelong, Malformed)) as refusal, open_medium([made.folder]) as medium:
        medium.locate(_Verified(made))
    assert name.split("/")[0] in str(refusal.value)


def test_missing_blobs_in_a_folder_are_named(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "b", {"files/a": b"a", "files/b": b"b", "files/c": b"c"})
    gone = sorted(path for path in (made.folder / "blobs").iterdir())[:2]
    for path in gone:
        path.unlink()
    with open_medium([made.folder]) as medium, pytest.raises(Damaged, match="and so are 1 others"):
        medium.locate(_Verified(made))


def test_a_folder_without_blobs_is_one_when_none_travel(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "b", {})
    (made.folder / "blobs").rmdir()
    with open_medium([made.folder]) as medium:
        assert medium.locate(_Verified(made)).blobs == made.folder / "blobs"


def test_two_bundles_on_one_medium_are_refused(made: MadeBundle, tmp_path: Path) -> None:
    write_volumes(made, tmp_path)
    second = make_bundle(tmp_path / "b", FILES, 2, made)
    write_volumes(second, tmp_path)
    (tmp_path / "b").rename(tmp_path.with_name(tmp_path.name + "-b"))
    with pytest.raises(VolumesMixed, match="two bundles"):
        open_medium([tmp_path])
    with pytest.raises(VolumesMixed, match="one is of zone-updates 1, the other of zone-updates 2"):
        open_medium(sorted(tmp_path.glob("*.bundle")))


def test_what_is_no_bundle_is_said_to_be_none(made: MadeBundle, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for paths in ([], [tmp_path / "empty"], [tmp_path / "nowhere"], [made.folder, tmp_path / "empty"]):
        with pytest.raises(NoBundleHere):
            open_medium(paths)


@pytest.mark.parametrize("off", [-4096, -1, 1, 4096])
def test_a_volume_of_another_length_is_refused_before_its_blobs_are_read(
    made: MadeBundle, tmp_path: Path, off: int
) -> None:
    path = write_volumes(made, tmp_path, SIZE)[1]
    os.truncate(path, path.stat().st_size + off)
    with open_medium([path]) as medium, pytest.raises(Damaged, match=r"missing at its end|too many"):
        medium.locate(_Verified(made))


def test_other_cuts_than_those_of_the_blobs_are_refused(made: MadeBundle, tmp_path: Path) -> None:
    layout = layouts(made, cuts=[Cut(0, 0), Cut(3, 0)])[0]
    about = type(layout.about)(**{**layout.about.__dict__, "cuts": (Cut(0, 0), Cut(99, 0))})
    lie = type(layout)(about, layout.blobs, layout.begin, layout.end)
    (tmp_path / lie.name).write_bytes(volume_bytes(made, lie))
    with open_medium([tmp_path]) as medium, pytest.raises(Malformed, match="none can"):
        medium.locate(_Verified(made))


def test_hundreds_of_volumes_are_open_at_once(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "b", {f"files/{n}": bytes([n % 256, n // 256]) for n in range(999)})
    write_volumes(made, tmp_path / "v", cuts=[Cut(n, 0) for n in range(999)])
    with open_medium([tmp_path / "v"]) as medium:
        assert len(medium.locate(_Verified(made)).volumes) == 999


def test_a_medium_that_hangs_becomes_a_sentence() -> None:
    reader, writer = os.pipe()
    seen: list[tuple[int, int]] = []

    def read_all(tell: Callable[[int, int], None]) -> bytes:
        got = b""
        while part := os.read(reader, 10):
            got += part
            tell(len(got), 30)
        return got

    os.write(writer, b"0123456789")
    with pytest.raises(StuckMedium, match="zone-updates-1"):
        watched(read_all, "zone-updates-1.bundle", lambda *news: seen.append(news), silence=0.2)
    assert seen == [(10, 30)]
    os.close(writer)  # the thread that was left behind ends


def test_a_slow_medium_is_not_a_stuck_one() -> None:
    reader, writer = os.pipe()

    def feed() -> None:
        for _ in range(8):
            threading.Event().wait(0.1)
            os.write(writer, b"x")
        os.close(writer)

    def read_all(tell: Callable[[int, int], None]) -> int:
        done = 0
        while os.read(reader, 10):
            done += 1
            tell(done, 8)
        return done

    threading.Thread(target=feed).start()
    assert watched(read_all, "a slow disc", silence=0.5) == 8
    os.close(reader)


def test_work_that_moves_nothing_does_not_count_as_moving() -> None:
    stop = threading.Event()

    def spin(tell: Callable[[int, int], None]) -> None:
        while not stop.wait(0.02):
            tell(5, 10)

    with pytest.raises(StuckMedium):
        watched(spin, "a disc", silence=0.3)
    stop.set()


def test_what_the_work_raises_is_raised() -> None:
    def fail(tell: Callable[[int, int], None]) -> None:
        raise ValueError("as it was")

    with pytest.raises(ValueError, match="as it was"):
        watched(fail, "a disc")

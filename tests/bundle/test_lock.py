"""What a recipe means today: the same upstream, the same lock; what nobody vouches for is refused."""

from __future__ import annotations

import json
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airgap_bundle.canonical import render
from airgap_bundle.lock import Lock
from airgap_bundle.sources.errors import LockInvalid, NotAsLocked, NotThere, NotVouched, UpstreamFailed
from airgap_bundle.sources.item import Item
from tests.bundle.upstream import Keyring, Layout, Package, Repository, collection, wheel, write
from tests.bundle.world import NOW, World


def names(made: Lock, kind: str) -> list[str]:
    return [item.file for item in made.items if item.kind == kind]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab/:", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["path", "size", "name"]), inner)
    ),
    max_leaves=4,
)


# --- Debian -----------------------------------------------------------------------------------------------


def test_a_package_brings_what_it_depends_on_and_the_index_that_vouches_for_it(world: World) -> None:
    made = world.debian("suites: [stable]\n    packages: [tool]")
    assert [item.path for item in made.items] == [
        "apt/dists/stable/InRelease",
        "apt/dists/stable/main/binary-amd64/Packages.xz",
        "apt/pool/main/l/libc/libc_2.36-1_amd64.deb",
        "apt/pool/main/l/libtool/libtool_1.0-1_amd64.deb",
        "apt/pool/main/m/mawk/mawk_1.3-1_amd64.deb",
        "apt/pool/main/t/tool/tool_1.0-1_amd64.deb",
    ]


def test_what_hosts_have_stays_out(world: World) -> None:
    made = world.debian("suites: [stable]\n    packages: [tool]\n    base: {priorities: [required]}")
    assert names(made, "deb") == ["libtool_1.0-1_amd64.deb", "mawk_1.3-1_amd64.deb", "tool_1.0-1_amd64.deb"]
    assert [one.name for one in made.debian[0].base] == ["libc"]


def test_a_base_of_packages_has_what_they_depend_on_too(world: World) -> None:
    made = world.debian("suites: [stable]\n    packages: [tool]\n    base: {packages: [mawk]}")
    assert names(made, "deb") == ["libtool_1.0-1_amd64.deb", "tool_1.0-1_amd64.deb"]


def test_a_package_of_the_base_takes_the_place_of_one_that_it_conflicts_with(world: World) -> None:
    world.repository.publish(
        "stable",
        Package("libc", priority="required"),
        Package("clock", priority="required", provides="time-daemon"),
        Package("chrony", provides="time-daemon", conflicts="time-daemon"),
        Package("tool", depends="libc, chrony"),
    )
    made = world.debian(
        "suites: [stable]\n    packages: [tool]\n    base: {priorities: [required], packages: [chrony]}"
    )
    assert [one.name for one in made.debian[0].base] == ["chrony", "libc"]
    assert names(made, "deb") == ["tool_1.0-1_amd64.deb"]


@pytest.mark.parametrize(
    "status",
    [
        "Package: libc\nStatus: install ok installed\nVersion: 2.36-1\nArchitecture: amd64\n\n"
        "Package: mawk\nStatus: deinstall ok config-files\nVersion: 1:1.3-1\nArchitecture: amd64\n",
        "libc:amd64\t2.36-1\n",
    ],
    ids=["dpkg-status", "dpkg-query"],
)
def test_a_host_says_itself_what_it_has(world: World, status: str) -> None:
    write(world.folder / "host", status.encode())
    made = world.debian("suites: [stable]\n    packages: [tool]\n    base: {installed: host}")
    assert names(made, "deb") == ["libtool_1.0-1_amd64.deb", "mawk_1.3-1_amd64.deb", "tool_1.0-1_amd64.deb"]


def test_an_upgrade_is_what_the_suites_have_newer_than_the_base(world: World) -> None:
    made = world.debian(
        "suites: [stable, stable-security]\n    upgrade: true\n    base: {priorities: [required]}"
    )
    assert names(made, "deb") == ["libc_2.36-1+deb1_amd64.deb"]
    assert names(made, "deb-index") == ["InRelease", "Packages.xz"]
    assert all("stable-security" in item.path for item in made.items if item.kind == "deb-index")


def test_without_dependencies_the_newest_of_each_named_package_is_taken(world: World) -> None:
    text = "suites: [stable, stable-security]\n    packages: [libtool, huge]\n    dependencies: false"
    assert names(world.debian(text), "deb") == ["huge_1.0-1_amd64.deb", "libtool_1.0-1+deb1_amd64.deb"]


def test_an_older_version_can_be_named(world: World) -> None:
    text = (
        "suites: [stable, stable-security]\n    packages: [libtool=1.0-1]\n    base: {priorities: [required]}"
    )
    assert names(world.debian(text), "deb") == ["libtool_1.0-1_amd64.deb"]


def test_a_package_that_no_suite_has_is_named_with_a_remedy(world: World) -> None:
    with pytest.raises(NotThere, match="the package tol: is not in stable") as refused:
        world.debian("suites: [stable]\n    packages: [tol]")
    assert refused.value.exit_code == 13
    assert "apt-cache search" in refused.value.remedy


def test_a_version_that_no_suite_has_is_told_with_those_that_they_have(world: World) -> None:
    with pytest.raises(NotThere, match=r"the package tool: has no version 9\.0") as refused:
        world.debian('suites: [stable]\n    packages: ["tool=9.0"]')
    assert refused.value.remedy == "Versions there are 1.0-1."


def test_a_dependency_that_nobody_has_is_what_apt_says_it_is(world: World) -> None:
    with pytest.raises(UpstreamFailed, match="find what is needed") as refused:
        world.debian("suites: [stable]\n    packages: [huge]")
    assert "missing" in str(refused.value)
    assert refused.value.exit_code == 37


def test_a_suite_that_the_machine_does_not_have_is_told(world: World) -> None:
    with pytest.raises(UpstreamFailed, match="could not find testing main for amd64") as refused:
        world.debian("suites: [testing]\n    packages: [tool]")
    assert "APT sources" in refused.value.remedy


def test_an_index_that_the_keyring_did_not_sign_is_refused(world: World, tmp_path: Path) -> None:
    stranger = Keyring.make(tmp_path, "stranger")
    try:
        with pytest.raises((NotVouched, UpstreamFailed)):
            world.lock(
                "debian:\n  - suites: [stable]\n    packages: [tool]\n    keyring: $keyring\n",
                keyring=str(stranger.file),
            )
    finally:
        stranger.close()


def test_a_package_index_that_the_signed_index_does_not_name_is_refused(world: World) -> None:
    index = world.repository.folder / "dists/stable/main/binary-amd64/Packages"
    index.write_bytes(index.read_bytes().replace(b"libtool (= 1.0-1)", b"libevil (= 1.0-1)"))
    index.with_suffix(".xz").unlink()
    with pytest.raises((NotVouched, UpstreamFailed)):
        world.debian("suites: [stable]\n    packages: [tool]")


def test_a_machine_that_trusts_everything_does_not_make_us_trust_it(world: World, tmp_path: Path) -> None:
    stranger = Keyring.make(tmp_path, "stranger")
    release = (world.repository.folder / "dists/stable/InRelease").read_bytes()
    signed = release.split(b"\n\n", 1)[1].split(b"-----BEGIN PGP SIGNATURE")[0]
    world.repository.sign("stable", signed, stranger)
    stranger.close()
    folder = world.folder / "trusting"
    world.repository.apt_config(folder)
    sources = (folder / "sources.list").read_text()
    lenient = sources.replace(f"signed-by={world.keyring}", "trusted=yes")
    write(world.folder / "sources.list", lenient.encode())
    write(
        folder / "apt.conf",
        f'Dir::Etc::sourcelist "{world.folder}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        'Acquire::AllowInsecureRepositories "true";\nAPT::Get::AllowUnauthenticated "true";\n'.encode(),
    )
    world.monkeypatch.setattr(
        Repository, "apt_config", lambda self, at: {"APT_CONFIG": str(folder / "apt.conf")}
    )
    with pytest.raises((NotVouched, UpstreamFailed)):
        world.debian("suites: [stable]\n    packages: [tool]")


# --- Python -----------------------------------------------------------------------------------------------


def test_wheels_come_with_what_they_require(world: World) -> None:
    wheel(world.wheels, "alpha", "1.0", ["beta>=1", "gamma; sys_platform == 'win32'"])
    wheel(world.wheels, "beta", "1.5")
    wheel(world.wheels, "beta", "0.9")
    made = world.lock('python:\n  - version: "3.11"\n    requirements: ["alpha==1.0"]\n')
    assert names(made, "wheel") == ["alpha-1.0-py3-none-any.whl", "beta-1.5-py3-none-any.whl"]
    assert made.python[0].packages == ("alpha==1.0", "beta==1.5")
    assert made.items[0].source == {
        "kind": "wheel",
        "package": "alpha",
        "target": "cpython-3.11-x86_64-glibc-2.36",
        "version": "1.0",
    }


def test_a_requirements_file_with_hashes_is_kept_to(world: World) -> None:
    path = wheel(world.wheels, "alpha")
    write(world.folder / "requirements.txt", b"# ours\nalpha==1.0 \\\n    --hash=sha256:" + b"0" * 64 + b"\n")
    text = 'python:\n  - version: "3.11"\n    requirements_file: requirements.txt\n'
    with pytest.raises(UpstreamFailed, match="pip could not find the wheels"):
        world.lock(text)
    good = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
    write(world.folder / "requirements.txt", f"alpha==1.0 \\\n    --hash=sha256:{good}\n".encode())
    assert names(world.lock(text), "wheel") == [path.name]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("--index-url https://example.org/simple", "requirements.txt:2: '--index-url"),
        ("-r other.txt", "requirements.txt:2: '-r other.txt' is an option"),
        ("alpha @ https://example.org/alpha.whl", "requirements.txt:2: alpha is named by an address"),
        ("./alpha.whl", "requirements.txt:2: './alpha.whl' is not a requirement"),
    ],
)
def test_a_requirements_file_with_addresses_is_refused_with_its_line(
    world: World, line: str, says: str
) -> None:
    write(world.folder / "requirements.txt", f"alpha==1.0\n{line}\n".encode())
    with pytest.raises(NotThere) as refused:
        world.lock('python:\n  - version: "3.11"\n    requirements_file: requirements.txt\n')
    assert str(refused.value).startswith(says)


def test_a_source_distribution_is_no_wheel(world: World) -> None:
    write(world.wheels / "delta-1.0.tar.gz", b"no")
    with pytest.raises(UpstreamFailed, match="pip could not find the wheels"):
        world.lock('python:\n  - version: "3.11"\n    requirements: [delta]\n')


def test_wheels_that_were_built_here_come_along(world: World) -> None:
    wheel(world.folder / "dist", "ours", "0.1.0+zone")
    made = world.lock('python:\n  - version: "3.11"\n    wheels: ["dist/*.whl"]\n')
    assert [item.path for item in made.items] == ["pypi/ours-0.1.0+zone-py3-none-any.whl"]
    assert made.python[0].packages == ("ours==0.1.0+zone",)


# --- images -----------------------------------------------------------------------------------------------


def test_an_image_is_locked_down_to_each_layer_of_each_architecture(world: World) -> None:
    layout = Layout(world.folder / "build")
    layout.index(layout.image(b"layer one"), layout.image(b"layer two", architecture="arm64"), tag="12")
    made = world.lock("images:\n  - {image: 'library/base:12', layout: build}\n")
    blobs = sorted(path.name for path in (world.folder / "build/blobs/sha256").iterdir())
    assert [item.file for item in made.items if item.kind == "oci-blob"] == blobs
    assert [item.path for item in made.items if item.kind == "oci-layout"] == [
        "oci/base/index.json",
        "oci/base/oci-layout",
    ]
    assert made.images[0].reference.startswith("library/base:12@sha256:")


def test_images_of_one_name_share_a_folder_and_their_layers(world: World) -> None:
    layout = Layout(world.folder / "build")
    layout.image(b"shared", b"one", tag="1")
    layout.image(b"shared", b"two", tag="2")
    made = world.lock("images:\n  - {image: 'base:1', layout: build}\n  - {image: 'base:2', layout: build}\n")
    assert len([item for item in made.items if item.kind == "oci-blob"]) == 2 * 2 + 3
    assert len([item for item in made.items if item.file == "index.json"]) == 1


def test_a_layer_that_is_to_be_fetched_from_elsewhere_is_refused(world: World) -> None:
    layout = Layout(world.folder / "build")
    config = layout.blob(b"{}", "application/vnd.oci.image.config.v1+json")
    layer = {
        **layout.blob(b"x", "application/vnd.oci.image.layer.nondistributable.v1.tar"),
        "urls": ["https://x.y/z"],
    }
    manifest = {"schemaVersion": 2, "config": config, "layers": [layer]}
    layout.add(layout.blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json"), "1")
    with pytest.raises(NotVouched, match="is to be fetched from elsewhere"):
        world.lock("images:\n  - {image: 'base:1', layout: build}\n")


def test_an_image_whose_digest_is_another_is_refused(world: World) -> None:
    layout = Layout(world.folder / "build")
    digest = layout.image(b"x", tag="1")["digest"].removeprefix("sha256:")
    blob = world.folder / "build/blobs/sha256" / digest
    blob.write_bytes(blob.read_bytes() + b" ")
    with pytest.raises(NotAsLocked, match="its manifest is not sha256:"):
        world.lock("images:\n  - {image: 'base:1@sha256:$digest', layout: build}\n", digest=digest)


def test_a_tag_that_the_layout_does_not_have_is_told(world: World) -> None:
    Layout(world.folder / "build").image(b"x", tag="1")
    with pytest.raises(NotThere, match="build: 0 of its images fit base:2"):
        world.lock("images:\n  - {image: 'base:2', layout: build}\n")


# --- files ------------------------------------------------------------------------------------------------


def test_files_keep_their_names_or_get_the_ones_that_the_recipe_gives(world: World) -> None:
    for name in ("a.bin", "more/b.bin", "more/deep/c.bin", "doc.pdf"):
        write(world.folder / name, name.encode())
    made = world.lock(
        "files:\n  - a.bin\n  - {path: a.bin, as: nic/firmware.bin}\n  - {path: more, under: all}\n"
        "  - 'more/**/c.bin'\ndocuments: [doc.pdf]\n"
    )
    assert [(item.path, item.type) for item in made.items] == [
        ("documents/doc.pdf", "application/pdf"),
        ("files/a.bin", "application/octet-stream"),
        ("files/all/b.bin", "application/octet-stream"),
        ("files/all/deep/c.bin", "application/octet-stream"),
        ("files/deep/c.bin", "application/octet-stream"),
        ("files/nic/firmware.bin", "application/octet-stream"),
    ]


def test_two_files_with_one_path_are_refused(world: World) -> None:
    write(world.folder / "a/x.bin", b"one")
    write(world.folder / "b/x.bin", b"two")
    with pytest.raises(NotThere, match=r"files/x\.bin: two things in the recipe want this path"):
        world.lock("files: [a/x.bin, b/x.bin]\n")


def test_two_paths_that_are_one_on_some_file_systems_are_refused(world: World) -> None:
    write(world.folder / "a/x.bin", b"one")
    write(world.folder / "b/X.bin", b"two")
    with pytest.raises(NotThere, match="are one on some file systems"):
        world.lock("files: [a/x.bin, b/X.bin]\n")


def test_a_symbolic_link_in_a_folder_is_refused(world: World) -> None:
    write(world.folder / "a/x.bin", b"one")
    (world.folder / "a/link").symlink_to("/etc/passwd")
    with pytest.raises(NotThere, match="a: link is a symbolic link"):
        world.lock("files: [a]\n")


def test_a_file_with_another_digest_than_the_recipe_says_is_refused(world: World) -> None:
    write(world.folder / "x.bin", b"one")
    with pytest.raises(NotAsLocked, match=r"x\.bin is not what the lock names"):
        world.lock("files:\n  - {path: x.bin, sha256: $digest}\n", digest="0" * 64)


def test_a_glob_without_matches_is_told(world: World) -> None:
    with pytest.raises(NotThere, match=r"none/\*\.bin: there are no such files"):
        world.lock("files: ['none/*.bin']\n")


def test_a_qcow2_travels_as_raw(world: World) -> None:
    raw = write(world.folder / "disk.raw", b"\x01" * 65536 + b"\0" * 65536)
    subprocess.run(["qemu-img", "convert", "-c", "-O", "qcow2", raw, world.folder / "disk.qcow2"], check=True)
    made = world.lock(
        "disk_images:\n  - {path: disk.qcow2, as: base.raw}\n  - {path: disk.raw, as: same.raw}\n"
    )
    assert [item.path for item in made.items] == ["images/base.raw", "images/same.raw"]
    assert made.items[0].sha256 == made.items[1].sha256
    assert world.cache.read(made.items[0].sha256) == raw.read_bytes()


def test_a_qcow2_that_stands_on_another_file_is_refused(world: World) -> None:
    raw = write(world.folder / "disk.raw", b"\x01" * 65536)
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(raw), "-F", "raw"]
    subprocess.run([*command, str(world.folder / "disk.qcow2")], check=True)
    with pytest.raises(NotVouched, match="stands on another file"):
        world.lock("disk_images:\n  - {path: disk.qcow2, as: base.raw}\n")


def test_collections_travel_as_tarballs_or_file_by_file(world: World) -> None:
    collection(world.folder, "acme", "net", "1.2.0")
    write(world.folder / "src/galaxy.yml", b"namespace: acme\nname: web\nversion: 2.0.0\n")
    write(world.folder / "src/roles/x/tasks/main.yml", b"[]\n")
    write(world.folder / "src/.git/config", b"x")
    write(world.folder / "books/site.yml", b"[]\n")
    made = world.lock("ansible:\n  collections: [acme-net-1.2.0.tar.gz, src]\n  playbooks: [books]\n")
    assert [item.path for item in made.items] == [
        "ansible/collections/acme-net-1.2.0.tar.gz",
        "ansible/collections/ansible_collections/acme/web/galaxy.yml",
        "ansible/collections/ansible_collections/acme/web/roles/x/tasks/main.yml",
        "ansible/playbooks/site.yml",
    ]
    assert made.items[0].source["collection"] == "acme.net"


def test_what_is_no_collection_is_refused(world: World) -> None:
    write(world.folder / "a.tar.gz", b"no")
    with pytest.raises(NotThere, match=r"a\.tar\.gz: is not a tarball of a collection"):
        world.lock("ansible:\n  collections: [a.tar.gz]\n")


def test_vulnerability_data_is_looked_at(world: World) -> None:
    with zipfile.ZipFile(world.folder / "all.zip", "w") as archive:
        archive.writestr("DSA-1.json", json.dumps({"id": "DSA-1", "modified": "2026-11-23T00:00:00Z"}))
    write(world.folder / "data.json", json.dumps({"openssl": {"CVE-1": {"releases": {}}}}).encode())
    text = "vulnerabilities:\n  - {path: all.zip, kind: $a}\n  - {path: data.json, kind: $b}\n"
    made = world.lock(text, a="osv", b="debian-tracker")
    assert [item.path for item in made.items] == [
        "vulnerabilities/debian-tracker/data.json",
        "vulnerabilities/osv/all.zip",
    ]
    with pytest.raises(NotThere, match=r"data\.json: is not an advisory of OSV"):
        world.lock(text, a="osv", b="osv")


SMALL = Lock("zone", "Updates", NOW, NOW, "0" * 64, (Item("files/a", "0" * 64, 1, "a/b", {"kind": "file"}),))


# --- the file ---------------------------------------------------------------------------------------------


def full(world: World) -> Lock:
    wheel(world.wheels, "alpha")
    Layout(world.folder / "build").image(b"x", tag="1")
    write(world.folder / "a.pdf", b"pdf")
    return world.lock(
        "inside: [zone.example]\nallow:\n  - {path: 'files/*', value: x, because: it is only a test}\n"
        "debian:\n  - suites: [stable]\n    packages: [tool]\n    keyring: $keyring\n"
        "    base: {priorities: [required]}\n"
        "python:\n  - version: '3.11'\n    requirements: [alpha]\n"
        "images:\n  - {image: 'base:1', layout: build}\ndocuments: [a.pdf]\n",
        keyring=world.keyring,
    )


def test_the_same_recipe_and_upstream_give_the_same_lock(world: World) -> None:
    assert full(world).render() == full(world).render()


def test_a_lock_is_read_back_as_it_was(world: World) -> None:
    made = full(world)
    assert Lock.parse(made.render()) == made


def test_a_lock_names_no_address_and_no_folder_of_the_machine(world: World) -> None:
    text = full(world).render().decode()
    assert "://" not in text
    assert "file:" not in text
    assert str(world.folder) not in text


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"format":"airgap-bundle/lock/1"', '"format":"airgap-bundle/lock/2"', "its format is not"),
        ('"title":"Updates"', '"title":"Updates","to":1', "fields that this version does not know"),
        ('"title":"Updates"', '"title":7', "a field is missing or wrong"),
        ('"title":"Updates"', '"title": "Updates"', "not in canonical form"),
        ('"path":"documents/a.pdf"', '"path":"documents/../a.pdf"', "empty segment"),
        ('"file":"a.pdf"', '"file":"https://x/a.pdf"', "is an address"),
    ],
)
def test_an_altered_lock_is_refused(world: World, old: str, new: str, why: str) -> None:
    data = full(world).render().decode()
    assert old in data
    with pytest.raises(LockInvalid, match=why) as refused:
        Lock.parse(data.replace(old, new).encode())
    assert refused.value.exit_code == 11


@given(st.binary(max_size=200))
def test_any_bytes_are_a_lock_or_refused(data: bytes) -> None:
    with pytest.raises(LockInvalid):
        Lock.parse(data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    key=st.sampled_from(["items", "debian", "python", "images", "allow", "inside", "created", "title"]),
    value=JSON,
)
def test_a_lock_with_any_value_anywhere_is_refused_or_read_to_the_last_byte(key: str, value: object) -> None:
    data = render({**json.loads(SMALL.render()), key: value})
    try:
        again = Lock.parse(data).render()
    except LockInvalid:
        again = data
    assert again == data

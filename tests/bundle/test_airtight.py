"""Nothing in a bundle resolves outside it: a table of leaks, each of which is found, and of what is none."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airgap_bundle import airtight
from airgap_bundle.airtight import Leak
from airgap_bundle.airtight.leak import Inside
from airgap_bundle.airtight.playbooks import accepts, scalars
from airgap_bundle.airtight.references import Images
from airgap_bundle.canonical import parse
from airgap_bundle.collect import collect
from airgap_bundle.lock import Lock
from airgap_bundle.sources.errors import NotAirtight, NotVouched
from airgap_bundle.sources.item import Item
from airgap_bundle.sources.oci import Locked
from tests.bundle.upstream import Layout, Package, collection, wheel, write
from tests.bundle.world import World


def leaks(world: World, text: str, **settings: str) -> list[Leak]:
    made = world.lock(text, **settings)
    collect(made, world.cache, world.folder)
    return airtight.find(made, world.cache)


def said(found: list[Leak]) -> list[str]:
    return [f"{leak.place} {leak.what}" for leak in found]


# --- texts ------------------------------------------------------------------------------------------------

RECIPE = (
    "inside: [zone.example, 10.1.0.0/16]\n"
    "images:\n  - {image: 'library/nginx:1.25', layout: build}\n"
    "  - {image: 'images.example.org/team/app:2', layout: build}\n"
    "ansible:\n  collections: [acme-net-1.2.0.tar.gz]\n  playbooks: [books]\n"
)
DIGEST = "0" * 64

LEAKS: dict[str, tuple[str, str, list[str]]] = {
    # what leaks: (file, text, findings as `line what`)
    "an image that is not there": (
        "site.yml",
        "- hosts: all\n  tasks:\n    - containers.podman.podman_container:\n        image: redis:7\n",
        ["4 names the image redis:7, which is not in the bundle"],
    ),
    "another tag": (
        "compose.yaml",
        "services:\n  web:\n    image: nginx:1.26\n",
        ["3 names the image nginx:1.26, which is in the bundle as 1.25, not as 1.26"],
    ),
    "the tag latest, unsaid": (
        "compose.yaml",
        "services:\n  web:\n    image: nginx\n",
        ["3 names the image nginx, which is in the bundle as 1.25, not as latest"],
    ),
    "another digest": (
        "compose.yaml",
        f"services: {{web: {{image: 'nginx@sha256:{DIGEST}'}}}}\n",
        [f"1 names the image nginx@sha256:{DIGEST}, which is in the bundle with another digest"],
    ),
    "the same name in another registry": (
        "compose.yaml",
        "services:\n  web:\n    image: other.example.org/library/nginx:1.25\n",
        ["3 names the image other.example.org/library/nginx:1.25, which is not in the bundle"],
    ),
    "an image in the second document": (
        "k8s.yaml",
        "kind: A\n---\nkind: Pod\nspec:\n  containers:\n    - name: x\n      image: redis:7\n",
        ["7 names the image redis:7, which is not in the bundle"],
    ),
    "an image in the zone's registry that is not there": (
        "k8s.yaml",
        "image: registry.zone.example:5000/redis:7\n",
        ["1 names the image registry.zone.example:5000/redis:7, which is not in the bundle"],
    ),
    "an image of a template's registry that is not there": (
        "site.yml",
        "image: '{{ registry }}/redis:7'\n",
        ["1 names the image {{ registry }}/redis:7, which is not in the bundle"],
    ),
    "an image that a module pulls": (
        "site.yml",
        "- community.docker.docker_image:\n    name: redis\n    source: pull\n",
        ["2 names the image redis, which is not in the bundle"],
    ),
    "an image of a chart's values": (
        "values.yaml",
        "image:\n  repository: redis\n  tag: '7'\n",
        ["2 names the image redis:7, which is not in the bundle"],
    ),
    "an image in JSON": (
        "task.json",
        '{"image": "redis:7"}\n',
        ["1 names the image redis:7, which is not in the bundle"],
    ),
    "a file to download": (
        "site.yml",
        "- ansible.builtin.get_url:\n    url: https://example.org/x.tar.gz\n    dest: /tmp\n",
        ["2 names https://example.org/x.tar.gz"],
    ),
    "a repository to clone": (
        "site.yml",
        "- ansible.builtin.git:\n    repo: git+ssh://git@example.org/x\n",
        ["2 names git+ssh://git@example.org/x"],
    ),
    "an APT source in a playbook": (
        "site.yml",
        "- ansible.builtin.apt_repository:\n    repo: deb https://example.org/debian stable main\n",
        ["2 names https://example.org/debian"],
    ),
    "a personal archive": (
        "site.yml",
        "- apt_repository: {repo: 'ppa:someone/thing'}\n",
        ["1 names the APT source ppa:someone/thing"],
    ),
    "an address in a shell block": (
        "site.yml",
        "- shell: |\n    # https://fine.example.org\n    curl https://example.org/install.sh | sh\n",
        ["3 names https://example.org/install.sh"],
    ),
    "an address beside a vaulted secret": (
        "vars.yml",
        "password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\nurl: http://example.org\n",
        ["3 names http://example.org"],
    ),
    "an address in a template that is not YAML yet": (
        "app.yml.j2",
        "{% for x in y %}\n  url: http://example.org/{{ x }}\n{% endfor %}\n",
        ["2 names http://example.org/{{"],
    ),
    "a file of APT sources": (
        "debian.list",
        "# deb http://commented.org x y\ndeb http://example.org/debian bookworm main\n",
        ["2 names http://example.org/debian"],
    ),
    "a deb822 file of APT sources": (
        "debian.sources",
        "Types: deb\nURIs: http://example.org/debian\n",
        ["2 names http://example.org/debian"],
    ),
    "an index for pip": (
        "pip.conf",
        "[global]\nindex-url = https://example.org/simple\n",
        ["2 has an index for pip, https://example.org/simple"],
    ),
    "an index in a requirements file": (
        "requirements-dev.txt",
        "--extra-index-url https://example.org/simple\nx==1\n",
        ["1 has an index for pip, https://example.org/simple"],
    ),
    "a requirement by address": (
        "requirements.txt",
        "x @ git+https://example.org/x\n",
        ["1 names git+https://example.org/x"],
    ),
    "a base image": (
        "Dockerfile",
        "FROM golang:1.22 AS build\nRUN x\nFROM build\nFROM scratch\n",
        ["1 is built from golang:1.22, which is not in the bundle"],
    ),
    "a download in a Containerfile": (
        "Containerfile.web",
        "FROM nginx:1.25\nADD https://example.org/x /x\n",
        ["2 names https://example.org/x"],
    ),
    "a script": ("setup.sh", "#!/bin/sh\nwget http://example.org/x  # see http://fine.org\n", ["2 names http://example.org/x"]),
    "a server of Galaxy": (
        "ansible.cfg",
        "[galaxy_server.x]\nurl=https://example.org/api/\n",
        ["2 names https://example.org/api/"],
    ),
    "a host that only looks like one of the zone": (
        "setup.sh",
        "curl http://notzone.example/ http://10.2.0.1/\n",
        ["1 names http://10.2.0.1/", "1 names http://notzone.example/"],
    ),
    "a host behind a name": (
        "setup.sh",
        "curl http://zone.example@example.org/\n",
        ["1 names http://zone.example@example.org/"],
    ),
    "a collection that is not there": (
        "requirements.yml",
        "collections:\n  - name: acme.net\n  - name: ansible.posix\n    version: '>=1.5'\n",
        ["3 needs the collection ansible.posix >=1.5, which is not in the bundle"],
    ),
    "a collection in another version": (
        "requirements.yml",
        "collections:\n  - acme.net:>=2.0.0\n",
        ["2 needs the collection acme.net >=2.0.0, which is in the bundle as 1.2.0"],
    ),
    "a collection from elsewhere": (
        "requirements.yml",
        "collections:\n  - {name: acme.net, source: 'https://galaxy.example.org'}\n",
        [
            "2 names https://galaxy.example.org",
            "2 takes the collection acme.net from https://galaxy.example.org",
        ],
    ),
    "a role of Galaxy": (
        "requirements.yml",
        "roles:\n  - src: geerlingguy.nginx\n",
        ["2 takes the role geerlingguy.nginx from Galaxy"],
    ),
    "roles in the old form": (
        "requirements.yml",
        "- geerlingguy.nginx\n",
        ["1 takes the role geerlingguy.nginx from Galaxy"],
    ),
}  # fmt: skip


def scene(world: World, file: str, text: str) -> str:
    layout = Layout(world.folder / "build")
    layout.image(b"nginx", tag="1.25")
    layout.image(b"app", tag="2")
    collection(world.folder, "acme", "net", "1.2.0")
    write(world.folder / "books" / file, text.encode())
    return RECIPE


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_is_found_with_its_line(world: World, name: str) -> None:
    file, text, expected = LEAKS[name]
    found = leaks(world, scene(world, file, text))
    assert [f"{leak.line} {leak.what}" for leak in found] == expected
    assert {leak.path for leak in found} == {f"ansible/playbooks/{file}"}
    assert all(leak.remedy.endswith(".") for leak in found)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("compose.yaml", "services:\n  a: {image: nginx:1.25}\n  b: {image: library/nginx:1.25}\n"),
        ("compose.yaml", "services:\n  a: {image: images.example.org/team/app:2}\n"),
        ("compose.yaml", "services:\n  a: {image: registry.zone.example:5000/team/app:2}\n"),
        ("compose.yaml", "services:\n  a: {image: 'localhost/nginx:1.25'}\n"),
        ("site.yml", "image: '{{ registry }}/nginx:1.25'\n"),
        ("site.yml", "image: '{{ registry }}/team/app:{{ version }}'\n"),
        ("site.yml", "image: 'nginx:{{ version }}'\n"),
        ("site.yml", "image: '{{ image }}'\nother: '{{ a }}{{ b }}'\n"),
        ("site.yml", "- openstack.cloud.server:\n    image: debian-12\n"),
        ("site.yml", "- debug: {msg: 'see https://example.org'}\n- name: from https://example.org\n"),
        ("site.yml", "# https://example.org\n- uri: {url: 'https://keystone.zone.example/v3'}\n"),
        ("site.yml", "- get_url: {url: 'http://{{ mirror }}/x'}\n- uri: {url: 'http://127.0.0.1:8080'}\n"),
        ("site.yml", "a: &a {x: 1}\nb: *a\nc:\n  <<: *a\n? [x]\n: y\n"),
        ("broken.yml", "a: [\n"),
        ("values.yaml", "image: {registry: registry.zone.example, repository: team/app, tag: 2}\n"),
        ("pip.conf", "[global]\nindex-url = http://10.1.2.3/simple\n"),
        ("Dockerfile", "ARG X\nFROM nginx:1.25 AS web\nFROM web\nFROM scratch\nFROM ${BASE}\n"),
        (
            "debian.list",
            "deb [signed-by=/x] http://apt.zone.example/debian bookworm main\ndeb file:/srv x y\n",
        ),
        ("requirements.yml", "collections:\n  - acme.net\n  - {name: acme.net, version: '>=1.0.0,<2.0.0'}\n"),
        ("requirements.yml", "collections:\n  - {name: ./x.tar.gz, type: file}\n"),
        ("README.md", "Read https://example.org\n"),
        ("plugin.py", "URL = 'https://example.org'\n"),
    ],
)
def test_what_stays_inside_is_no_leak(world: World, file: str, text: str) -> None:
    assert said(leaks(world, scene(world, file, text))) == []


def test_what_a_recipe_allows_with_a_reason_is_no_leak(world: World) -> None:
    file, text, _ = LEAKS["a file to download"]
    allow = "allow:\n  - path: 'ansible/playbooks/*'\n    value: https://example.org/x.tar.gz\n"
    allow += "    because: it is only a test\n"
    assert leaks(world, scene(world, file, text) + allow) == []
    assert len(leaks(world, scene(world, file, text) + allow.replace("x.tar.gz", "y.tar.gz"))) == 1


def test_members_of_a_collection_are_looked_at_but_not_its_documentation(world: World) -> None:
    collection(
        world.folder, "acme", "web", files={
            "roles/x/tasks/main.yml": b"- get_url: {url: 'https://example.org/x'}\n",
            "roles/x/templates/app.list.j2": b"deb http://example.org/debian x y\n",
            "docs/guide.yml": b"url: https://example.org\n",
            "tests/requirements.yml": b"collections: [other.thing]\n",
            "meta/runtime.yml": b"url: https://example.org\n",
        },
    )  # fmt: skip
    path = "ansible/collections/acme-web-1.0.0.tar.gz"
    assert said(leaks(world, "ansible:\n  collections: [acme-web-1.0.0.tar.gz]\n")) == [
        f"{path}!roles/x/tasks/main.yml:1 names https://example.org/x",
        f"{path}!roles/x/templates/app.list.j2:1 names http://example.org/debian",
    ]


def test_what_a_collection_depends_on_has_to_be_there(world: World) -> None:
    collection(world.folder, "acme", "net", dependencies={"acme.base": ">=2.0.0", "acme.none": "*"})
    collection(world.folder, "acme", "base", "1.9.0")
    write(
        world.folder / "src/galaxy.yml",
        b"namespace: acme\nname: web\nversion: 1.0.0\ndependencies: {a.b: '*'}\n",
    )
    found = leaks(world, "ansible:\n  collections: [acme-net-1.0.0.tar.gz, acme-base-1.9.0.tar.gz, src]\n")
    assert [leak.what for leak in found] == [
        "depends on the collection acme.base >=2.0.0, which is in the bundle as 1.9.0",
        "depends on the collection acme.none *, which is not in the bundle",
        "depends on the collection a.b *, which is not in the bundle",
    ]


# --- Debian -----------------------------------------------------------------------------------------------


TOOL = "debian:\n  - suites: [stable]\n    packages: [tool]\n    keyring: $keyring\n"


def test_a_closed_set_of_packages_is_airtight(world: World) -> None:
    text = TOOL
    assert leaks(world, text, keyring=world.keyring) == []
    assert leaks(world, text + "    base: {priorities: [required]}\n", keyring=world.keyring) == []


def test_dependencies_that_neither_the_bundle_nor_the_base_has_are_found(world: World) -> None:
    text = TOOL + "    dependencies: false\n"
    found = leaks(world, text, keyring=world.keyring)
    assert {leak.path for leak in found} == {"apt/pool/main/t/tool/tool_1.0-1_amd64.deb"}
    assert [leak.what for leak in found] == [
        "depends on awk, which neither the bundle nor the base has",
        "depends on libc (>= 2.30), which neither the bundle nor the base has",
        "depends on libtool (= 1.0-1), which neither the bundle nor the base has",
    ]


def test_a_version_that_is_too_old_does_not_meet_a_dependency(world: World) -> None:
    write(world.folder / "host", b"libc 2.29-1\nmawk 1:1.3-1\nlibtool 1.0-1\n")
    text = TOOL + "    dependencies: false\n"
    found = leaks(world, text + "    base: {installed: host}\n", keyring=world.keyring)
    assert [leak.value for leak in found] == ["libc (>= 2.30)"]


def test_a_package_that_installs_an_apt_source_is_found(world: World) -> None:
    world.repository.publish("stable", Package("vendor", conffiles=("/etc/apt/sources.list.d/vendor.list",)))
    found = leaks(
        world,
        "debian:\n  - suites: [stable]\n    packages: [vendor]\n    keyring: $keyring\n",
        keyring=world.keyring,
    )
    assert [leak.what for leak in found] == ["installs an APT source, /etc/apt/sources.list.d/vendor.list"]


def test_a_package_that_no_signed_index_names_is_found(world: World) -> None:
    made = world.debian("suites: [stable]\n    packages: [tool]")
    collect(made, world.cache, world.folder)
    evil = Package("evil").build()
    digest = world.cache.add(evil)
    source = {**made.items[-1].source, "package": "evil"}
    item = Item(
        "apt/pool/main/z/evil_1.0-1_amd64.deb", digest.sha256, digest.size, made.items[-1].type, source
    )
    (found,) = airtight.find(replace(made, items=(*made.items, item)), world.cache)
    assert (found.path, found.what) == (item.path, "is named by no signed index in the bundle")


def test_what_is_no_package_is_refused(world: World) -> None:
    made = world.debian("suites: [stable]\n    packages: [tool]")
    collect(made, world.cache, world.folder)
    digest = world.cache.add(b"!<arch>\ncut")
    items = (*made.items[:-1], replace(made.items[-1], sha256=digest.sha256, size=digest.size))
    with pytest.raises(NotVouched, match="not a Debian package, or it was cut"):
        airtight.find(replace(made, items=items), world.cache)


# --- wheels -----------------------------------------------------------------------------------------------

PYTHON = "python:\n  - version: '3.11'\n    requirements: [alpha]\n"


def test_a_closed_set_of_wheels_is_airtight_and_pip_agrees(world: World) -> None:
    wheel(
        world.wheels,
        "alpha",
        "1.0",
        ["beta[more]>=1", "nothing; sys_platform == 'win32'", "x; extra == 'all'"],
    )
    wheel(world.wheels, "beta", "1.0", ["gamma; extra == 'more'"])
    wheel(world.wheels, "gamma", "1.0")
    assert leaks(world, PYTHON) == []


def test_requirements_that_the_bundle_does_not_have_are_found(world: World) -> None:
    wheel(world.wheels, "alpha", "1.0", ["beta>=1", "old; python_version < '3'"])
    wheel(world.wheels, "beta", "1.0")
    found = leaks(world, PYTHON + "    dependencies: false\n")
    assert said(found) == [
        "pypi/alpha-1.0-py3-none-any.whl requires beta>=1, which the bundle does not have for "
        "cpython-3.11-x86_64-glibc-2.36"
    ]


def test_requirements_of_an_extra_are_looked_at_when_it_was_asked_for(world: World) -> None:
    wheel(world.wheels, "alpha", "1.0", ["beta; extra == 'fast'"])
    text = PYTHON.replace("[alpha]", "['alpha[fast]']") + "    dependencies: false\n"
    assert [leak.value for leak in leaks(world, text)] == ["beta"]


def test_a_target_that_differs_from_this_machine_has_its_own_markers(world: World) -> None:
    wheel(world.wheels, "alpha", "1.0", ["beta; python_version >= '3.13' and platform_machine == 'aarch64'"])
    text = PYTHON.replace("'3.11'", "'3.13'\n    machine: aarch64") + "    dependencies: false\n"
    assert [leak.value for leak in leaks(world, text)] == ["beta"]


def test_a_wheel_of_another_platform_is_not_there_for_the_target(world: World) -> None:
    wheel(world.folder / "dist", "ours", "1.0", tag="cp312-cp312-manylinux_2_28_x86_64")
    found = leaks(world, "python:\n  - version: '3.11'\n    wheels: [dist/*.whl]\n")
    assert [leak.what for leak in found] == ["has no wheel of ours==1.0 for cpython-3.11-x86_64-glibc-2.36"]


# --- images -----------------------------------------------------------------------------------------------


def test_a_blob_that_a_manifest_names_has_to_be_there(world: World) -> None:
    Layout(world.folder / "build").image(b"one", b"two", tag="1")
    made = world.lock("images:\n  - {image: 'base:1', layout: build}\n")
    collect(made, world.cache, world.folder)
    assert airtight.find(made, world.cache) == []
    for item in made.items:
        if item.kind == "oci-blob":
            rest = tuple(other for other in made.items if other is not item)
            (found,) = airtight.find(replace(made, items=rest), world.cache)
            assert found.what == f"lacks the blob {item.sha256[:16]} of base"


def test_a_layer_from_elsewhere_is_found(world: World) -> None:
    config = world.cache.add(b"{}")
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": f"sha256:{config.sha256}", "size": 2},
        "layers": [{"digest": f"sha256:{config.sha256}", "size": 2, "urls": ["https://example.org/layer"]}],
    }
    manifest = world.cache.add(json.dumps(value).encode())
    image = Locked("base", "base", "1", manifest.sha256, manifest.size, value["mediaType"])
    items = [
        Item(f"oci/base/blobs/sha256/{d.sha256}", d.sha256, d.size, "a/b", {"kind": "x"})
        for d in (config, manifest)
    ]
    (found,) = airtight.find(_lock_of(world, items, image), world.cache)
    assert found.value == "https://example.org/layer"


def _lock_of(world: World, items: list[Item], image: Locked) -> Lock:
    write(world.folder / "a.pdf", b"pdf")
    return replace(world.lock("documents: [a.pdf]\n"), items=tuple(items), images=(image,))


# --- the answer -------------------------------------------------------------------------------------------


def test_leaks_refuse_the_build_with_the_first_and_a_count(world: World) -> None:
    file, text, _ = LEAKS["a host that only looks like one of the zone"]
    made = world.lock(scene(world, file, text))
    collect(made, world.cache, world.folder)
    with pytest.raises(NotAirtight) as refused:
        airtight.require(made, world.cache)
    assert refused.value.exit_code == 16
    assert str(refused.value) == (
        "the content is not airtight: ansible/playbooks/setup.sh:1 names http://10.2.0.1/ (and 1 more)"
    )
    assert len(refused.value.facts["findings"]) == 2


def test_findings_are_canonical_json_for_scripts() -> None:
    made = airtight.as_json([Leak("files/x.sh", 3, "names y", "y", "Do z.")])
    assert parse(made, "findings") == {
        "findings": [{"line": 3, "path": "files/x.sh", "remedy": "Do z.", "value": "y", "what": "names y"}],
        "format": "airgap-bundle/airtight/1",
    }


@pytest.mark.parametrize(
    ("address", "out"),
    [
        ("https://a.zone.example/x", False),
        ("https://zone.example", False),
        ("https://ZONE.example.:443/", False),
        ("https://xzone.example", True),
        ("https://zone.example.org", True),
        ("https://user:secret@zone.example/", False),
        ("https://zone.example:80@evil.org/", True),
        ("http://10.1.255.1:80", False),
        ("http://10.2.0.1", True),
        ("http://[::1]/", False),
        ("http://[2001:db8::1]/", True),
        ("http://localhost:8080", False),
        ("http://{{ host }}/", False),
        ("file:///srv/x", False),
    ],
)
def test_what_is_inside_the_zone(address: str, out: bool) -> None:
    assert Inside(("zone.example", "10.1.0.0/16")).leads_out(address) is out


@pytest.mark.parametrize(
    ("wanted", "version", "fits"),
    [("*", "1.0.0", False), ("1.0.0", "1.0.0", True), (">=1.0.0,<2.0.0", "1.9.0", True),
     ("<1.0.0", "1.0.0", False), ("!=1.0.0", "1.0.1", True), ("nonsense", "1.0.0", False)],
)  # fmt: skip
def test_galaxys_notation_of_versions(wanted: str, version: str, fits: bool) -> None:
    assert accepts(wanted, version) is fits


def test_scalars_come_with_their_keys_and_lines() -> None:
    text = "a:\n  - b: 1\n    c: [x, {d: y}]\ne: |\n  text\n--- z\n"
    assert [(one.keys, one.value, one.line) for one in scalars(text)] == [
        (("a", "b"), "1", 2),
        (("a", "c"), "x", 3),
        (("a", "c", "d"), "y", 3),
        (("e",), "text\n", 5),
        ((), "z", 6),
    ]


def test_an_image_that_was_locked_without_a_tag_is_named_by_its_digest() -> None:
    images = Images((Locked("base", "team/base", None, DIGEST, 1, "x/y"),), Inside(()))
    assert images.why_not(f"team/base@sha256:{DIGEST}") is None
    assert images.why_not("team/base:1") == "is in the bundle as a digest, not as 1"
    assert images.why_not("Team Base") == "is not an image reference"

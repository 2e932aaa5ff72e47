"""Small upstreams of our own, read by real apt, gpgv, pip and skopeo: tests need no registry.

A signed Debian repository in a folder, wheels in a folder, OCI layouts, collections.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import lzma
import os
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STILL = 1_700_000_000
"""Seconds since 1970: the date of everything that is made here."""


@dataclass
class Package:
    """A Debian package to be built."""

    name: str
    version: str = "1.0-1"
    depends: str = ""
    provides: str = ""
    priority: str = "optional"
    architecture: str = "amd64"
    essential: bool = False
    conffiles: tuple[str, ...] = ()
    conflicts: str = ""

    @property
    def control(self) -> str:
        lines = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "Tests <tests@example.org>",
            "Priority": self.priority,
            "Essential": "yes" if self.essential else "",
            "Depends": self.depends,
            "Provides": self.provides,
            "Conflicts": self.conflicts,
            "Description": f"test package {self.name}",
        }
        return "".join(f"{key}: {value}\n" for key, value in lines.items() if value)

    @property
    def file(self) -> str:
        return f"{self.name}_{self.version.partition(':')[2] or self.version}_{self.architecture}.deb"

    def build(self) -> bytes:
        control = [("control", self.control.encode())]
        if self.conffiles:
            control.append(("conffiles", "".join(f"{path}\n" for path in self.conffiles).encode()))
        data = [(path.lstrip("/"), b"# none\n") for path in self.conffiles]
        members = [
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", gzip.compress(tar(control), mtime=0)),
            (
                "data.tar.xz",
                lzma.compress(tar([*data, (f"usr/share/doc/{self.name}", self.version.encode())])),
            ),
        ]
        made = b"!<arch>\n"
        for name, content in members:
            made += f"{name:<16}{STILL:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
            made += content + b"\n" * (len(content) % 2)
        return made


def tar(files: Iterable[tuple[str, bytes]]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files:
            member = tarfile.TarInfo(f"./{name}")
            member.size, member.mtime = len(content), STILL
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


@dataclass
class Keyring:
    """A signing key of a repository, and the keyring that trusts it."""

    home: Path
    file: Path
    name: str

    @classmethod
    def make(cls, folder: Path, name: str = "archive") -> Keyring:
        home = folder / f"{name}-home"
        home.mkdir(mode=0o700)
        made = cls(home, folder / f"{name}.gpg", name)
        made.gpg(
            "--passphrase",
            "",
            "--quick-generate-key",
            f"{name} <{name}@example.org>",
            "ed25519",
            "sign",
            "never",
        )
        made.file.write_bytes(made.gpg("--export"))
        return made

    def gpg(self, *arguments: str, data: bytes = b"") -> bytes:
        command = [
            "gpg",
            "--batch",
            "--quiet",
            "--homedir",
            str(self.home),
            "--pinentry-mode",
            "loopback",
            *arguments,
        ]
        return subprocess.run(command, input=data, check=True, capture_output=True).stdout

    def clearsign(self, text: bytes) -> bytes:
        return self.gpg("--digest-algo", "SHA256", "--clearsign", data=text)

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=False)


@dataclass
class Repository:
    """A Debian repository in a folder, with one component and one architecture."""

    folder: Path
    keyring: Keyring
    suites: dict[str, list[Package]] = field(default_factory=dict)

    def publish(self, suite: str, *packages: Package) -> None:
        """Make the suite hold exactly these packages."""
        self.suites[suite] = list(packages)
        stanzas = []
        for package in packages:
            data = package.build()
            path = f"pool/main/{package.name[0]}/{package.name}/{package.file}"
            write(self.folder / path, data)
            sha256 = hashlib.sha256(data).hexdigest()
            stanzas.append(f"{package.control}Filename: {path}\nSize: {len(data)}\nSHA256: {sha256}\n")
        index = "\n".join(stanzas).encode()
        files = {"main/binary-amd64/Packages": index, "main/binary-amd64/Packages.xz": lzma.compress(index)}
        for name, data in files.items():
            write(self.folder / "dists" / suite / name, data)
        lines = "".join(
            f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n" for name, data in files.items()
        )
        release = (
            f"Origin: Tests\nSuite: {suite}\nCodename: {suite}\nDate: Mon, 23 Nov 2026 10:00:00 UTC\n"
            f"Architectures: amd64\nComponents: main\nSHA256:\n{lines}"
        )
        self.sign(suite, release.encode())

    def sign(self, suite: str, release: bytes, keyring: Keyring | None = None) -> None:
        write(self.folder / "dists" / suite / "InRelease", (keyring or self.keyring).clearsign(release))

    def apt_config(self, folder: Path) -> dict[str, str]:
        """The environment in which the machine's apt has this repository and no other."""
        sources = "".join(
            f"deb [signed-by={self.keyring.file}] file:{self.folder} {suite} main\n" for suite in self.suites
        )
        write(folder / "sources.list", sources.encode())
        conf = f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
        write(folder / "apt.conf", conf.encode())
        return {"APT_CONFIG": str(folder / "apt.conf")}


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


# --- wheels -----------------------------------------------------------------------------------------------


def wheel(
    folder: Path, name: str, version: str = "1.0", requires: Iterable[str] = (), tag: str = "py3-none-any"
) -> Path:
    """A wheel with one module and nothing else."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    for one in requires:
        metadata += f"Requires-Dist: {one}\n"
        metadata += "".join(f"Provides-Extra: {extra}\n" for extra in re.findall(r"extra == '(\w+)'", one))
    files = {
        f"{name}.py": b"",
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    record = ""
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        record += f"{path},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2026, 11, 23, 0, 0, 0)), data)
    return write(folder / f"{name}-{version}-{tag}.whl", made.getvalue())


def pip_config(folder: Path, wheels: Path) -> dict[str, str]:
    """The environment in which the machine's pip has these wheels and no index."""
    write(folder / "pip.conf", f"[global]\nno-index = true\nfind-links = {wheels}\n".encode())
    kept = {key: "" for key in os.environ if key.startswith("PIP_")}
    return {**kept, "PIP_CONFIG_FILE": str(folder / "pip.conf")}


# --- images -----------------------------------------------------------------------------------------------


class Layout:
    """An OCI image layout in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifests: list[dict[str, Any]] = []
        write(folder / "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')

    def blob(self, data: bytes, media: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        write(self.folder / "blobs/sha256" / digest, data)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}

    def image(self, *layers: bytes, architecture: str = "amd64", tag: str | None = None) -> dict[str, Any]:
        """A manifest over these layers; in the index when it has a tag."""
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(one).hexdigest()}" for one in layers],
            },
        }
        manifest: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.blob(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
            "layers": [self.blob(one, "application/vnd.oci.image.layer.v1.tar") for one in layers],
        }
        return self.add(self.blob(json.dumps(manifest).encode(), manifest["mediaType"]), tag)

    def index(self, *manifests: Mapping[str, Any], tag: str | None = None) -> dict[str, Any]:
        """An index over manifests of several architectures."""
        kind = "application/vnd.oci.image.index.v1+json"
        value = {"schemaVersion": 2, "mediaType": kind, "manifests": list(manifests)}
        return self.add(self.blob(json.dumps(value).encode(), kind), tag)

    def add(self, descriptor: dict[str, Any], tag: str | None) -> dict[str, Any]:
        if tag:
            named = {**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}}
            self.manifests.append(named)
            index = {"schemaVersion": 2, "manifests": self.manifests}
            write(self.folder / "index.json", json.dumps(index).encode())
        return descriptor


# --- collections ------------------------------------------------------------------------------------------


def collection(
    folder: Path,
    namespace: str,
    name: str,
    version: str = "1.0.0",
    dependencies: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Path:
    """A collection's tarball."""
    info = {
        "namespace": namespace,
        "name": name,
        "version": version,
        "dependencies": dict(dependencies or {}),
    }
    members = {"MANIFEST.json": json.dumps({"collection_info": info, "format": 1}).encode(), **(files or {})}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for path, data in members.items():
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(data), STILL
            archive.addfile(member, io.BytesIO(data))
    return write(folder / f"{namespace}-{name}-{version}.tar.gz", made.getvalue())

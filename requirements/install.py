#!/usr/bin/env python3
"""Make an environment from a hash-locked requirement file: `install.py dev|runtime|lab|peers`.

Standard library only, because it runs before anything is installed. Prints the environment's folder.

- `dev` and `runtime` go to `.venv` beside this checkout, with our two distributions from their own folders.
- `lab` and `peers` never change once made, so they are cached under the user's cache folder, named
  after the lock's digest, and shared by all checkouts.

Third-party packages come only by name, version and hash. Our own distributions come only from this
checkout: `--no-index --no-deps`, so that no index can offer a stranger's package of the same name.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OURS = [ROOT / "airgap-bundle", ROOT]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sovereign-controlplane"
SHARED = ("lab", "peers")


def main(argv: list[str]) -> int:
    """Install what was asked for; 0 when it is there."""
    if len(argv) != 1 or argv[0] not in ("dev", "runtime", *SHARED):
        print(__doc__, file=sys.stderr)
        return 2
    if problem := debian_packages():
        print(f"error: {problem}", file=sys.stderr)
        return 1
    try:
        print(environment(argv[0]))
    except subprocess.CalledProcessError as failed:
        say(f"error: `{' '.join(map(str, failed.cmd))}` failed with exit code {failed.returncode}")
        say("hint: Check that pip reaches a package index (`pip config list`), then run it again.")
        return 1
    return 0


def environment(name: str) -> Path:
    """The folder of the environment `name`, made or brought up to date if need be."""
    lock = HERE / f"{name}.txt"
    stamp_text = digest(lock, HERE / "bootstrap.txt", *(o / "pyproject.toml" for o in OURS))
    if name in SHARED:
        stamp_text = digest(lock, HERE / "bootstrap.txt")
        folder = CACHE / f"{name}-{stamp_text[:16]}"
    else:
        folder = ROOT / ".venv"
    stamp = folder / f".installed-{name}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.parent / f".{folder.name}.lock", "w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)  # two `make` at once: one installs, the other waits
        if stamp.exists() and stamp.read_text() == stamp_text:
            return folder
        say(f"installing {lock.relative_to(ROOT)} into {folder}")
        python = folder / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install(python, lock)
        if name not in SHARED:
            own = [argument for folder_ in OURS for argument in ("-e", str(folder_))]
            pip(python, "--no-index", "--no-deps", "--no-build-isolation", *own)
            compile_bytecode(python, ROOT / "controlplane", ROOT / "airgap-bundle" / "airgap_bundle")
        # A crash before this line installs again; nothing is trusted until the stamp is there.
        stamp.write_text(stamp_text)
    return folder


def install(python: Path, lock: Path) -> None:
    """Install `lock` exactly. uv is several times faster; pip serves where uv cannot be had."""
    try:
        pip(python, "--require-hashes", "-r", str(HERE / "bootstrap.txt"))
        command = [str(python), "-m", "uv", "pip", "install", "-q", "--python", str(python)]
        command += ["--require-hashes", "-r", str(lock)]
        subprocess.run(command, check=True, env=uv_environment(python))
    except subprocess.CalledProcessError:
        say("uv could not do it; trying pip, which takes longer")
        pip(python, "--require-hashes", "-r", str(lock))
    if lock.stem not in SHARED:  # commands start from bytecode: it halves their start-up time
        compile_bytecode(
            python,
            Path(
                subprocess.run(
                    [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout.strip()
            ),
        )


def pip(python: Path, *arguments: str) -> None:
    """Run `pip install` quietly, its own chatter on stderr."""
    command = [str(python), "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check"]
    subprocess.run([*command, *arguments], check=True, stdout=sys.stderr)


def compile_bytecode(python: Path, *folders: Path) -> None:
    """Write .pyc files, also where PYTHONDONTWRITEBYTECODE is set."""
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [str(python), "-m", "compileall", "-q", "-j", "0", *map(str, folders)]
    subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def uv_environment(python: Path) -> dict[str, str]:
    """What uv needs besides: it does not read pip's configuration, so hand it the index that pip uses."""
    environ = dict(os.environ)
    command = [str(python), "-m", "pip", "config", "get", "global.index-url"]
    asked = subprocess.run(command, capture_output=True, text=True)
    if asked.returncode == 0 and asked.stdout.strip():
        environ.setdefault("UV_DEFAULT_INDEX", asked.stdout.strip())
    return environ


def debian_packages() -> str:
    """Install the Debian packages that are missing when run as root; else one sentence that names them."""
    lines = (HERE / "debian.txt").read_text().splitlines()
    wanted = [name for line in lines if (name := line.split("#")[0].strip())]
    dpkg = shutil.which("dpkg-query")
    if dpkg is None:
        return ""  # not Debian: the commands themselves will say what they lack
    command = [dpkg, "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted]
    asked = subprocess.run(command, capture_output=True, text=True)
    present = {line.split()[0] for line in asked.stdout.splitlines() if line.endswith(" installed")}
    missing = [w for w in wanted if w not in present]
    if not missing:
        return ""
    if os.geteuid() != 0:
        return f"missing Debian packages; run: sudo apt-get install {' '.join(missing)}"
    say(f"installing Debian packages: {' '.join(missing)}")
    environ = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120"]
    with open(os.devnull, "w") as null:
        subprocess.run([*apt, "update"], check=False, env=environ, stdout=null, stderr=null)
        install_ = [*apt, "install", "--no-install-recommends", *missing]
        done = subprocess.run(install_, env=environ, stdout=null)
    return "" if done.returncode == 0 else f"apt-get could not install: {' '.join(missing)}"


def digest(*files: Path) -> str:
    """One digest over the files' contents and this Python."""
    text = hashlib.sha256(sysconfig.get_python_version().encode())
    for file in files:
        text.update(file.read_bytes())
    return text.hexdigest()


def say(line: str) -> None:
    """Narrate on stderr; stdout is data."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The command line: output, progress, errors and exit codes, help and completion, and how fast it starts."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from airgap_bundle.cli import output
from airgap_bundle.errors import StateProblem
from airgap_bundle.keys import PrivateKey
from controlplane import __version__
from controlplane.cli import progress, root
from controlplane.cli.base import Group, Settings, pass_settings
from controlplane.cli.help import CODES
from controlplane.cli.main import main

ROWS: list[dict[str, Any]] = [
    {"name": "ministry", "state": "ACTIVE", "drift": None, "tags": ["a", "b"]},
    {"name": "日本\x1b[31m", "state": "DRIFTED", "drift": 3, "tags": []},
]
COLUMNS: list[output.Column] = [("NAME", "name"), ("STATE", "state"), ("DRIFT", "drift"), ("TAGS", "tags")]


def controlplane(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "controlplane.cli.main", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, **environ}
    )


class TestOutput:
    def test_a_table_is_aligned_by_what_a_terminal_shows(self, capsys: pytest.CaptureFixture[str]) -> None:
        output.table(ROWS, COLUMNS)
        assert capsys.readouterr().out.splitlines() == [
            "NAME          STATE    DRIFT  TAGS",
            "ministry      ACTIVE   -      a, b",
            "日本\\x1b[31m  DRIFTED  3      -",
        ]

    def test_nothing_is_said_on_stderr_so_that_stdout_stays_empty(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        output.table([], COLUMNS, empty="no tenants")
        said = capsys.readouterr()
        assert (said.out, said.err) == ("", "no tenants\n")

    def test_a_record_is_shown_field_by_field(self, capsys: pytest.CaptureFixture[str]) -> None:
        output.show(
            {"name": "x", "made_at": "2026-01-01T12:00:00.5Z", "ok": True, "parts": [{"a": 1}, {"a": 2}]}
        )
        assert capsys.readouterr().out.splitlines() == [
            "Name     x",
            "Made at  2026-01-01 12:00:00 UTC",
            "Ok       yes",
            "Parts    a=1",
            "         a=2",
        ]

    def test_programs_get_json_with_everything(self) -> None:
        @click.command()
        @click.pass_context
        def command(context: click.Context) -> None:
            output.table(ROWS, [("NAME", "name")])

        result = CliRunner().invoke(command, obj=Settings(output="json"))
        assert json.loads(result.stdout) == ROWS


class TestProgress:
    def test_elsewhere_each_ended_step_is_a_line_with_the_time(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with progress.Plain() as watched:
            watched.start(2, "apply ministry")
            watched.step("network/app", "began")
            watched.step("network/app", "done")
            watched.step("server/\x1bweb", "failed", "no host")
            watched.done("one change failed")
        said = capsys.readouterr()
        assert said.out == ""
        assert [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in said.err.splitlines()] == [
            "apply ministry: 2 steps",
            "1/2 network/app done",
            "2/2 server/\\x1bweb failed: no host",
            "one change failed",
        ]

    def test_on_a_terminal_it_is_live_and_failures_stay(self) -> None:
        """In a pseudo-terminal, with everything that could be taken for markup."""
        import pty

        script = (
            "import time; from controlplane.cli import progress\n"
            "with progress.watch() as w:\n"
            "    w.start(2, 'apply [red]x')\n"
            "    w.step('network/[b]a', 'began'); time.sleep(0.5); w.step('network/[b]a', 'done')\n"
            "    w.step('server/b', 'failed', 'no [host]')\n"
            "    w.done('1 of 2')\n"
        )
        leader, follower = pty.openpty()
        child = subprocess.Popen(
            [sys.executable, "-c", script], stderr=follower, env={**os.environ, "TERM": "xterm"}
        )
        os.close(follower)
        shown = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        os.close(leader)
        assert child.wait() == 0
        for words in (b"apply [red]x", b"network/[b]a", b"server/b failed: no [host]", b"2/2", b"1 of 2"):
            assert words in shown

    def test_quiet_is_quiet(self, capsys: pytest.CaptureFixture[str]) -> None:
        @click.command()
        def command() -> None:
            with progress.watch() as watched:
                watched.start(1, "x")
                watched.done("y")

        result = CliRunner().invoke(command, obj=Settings(quiet=True))
        assert (result.stdout, result.stderr) == ("", "")


class Locked(StateProblem):
    """Something is locked."""

    exit_code = 35
    message = "{what} is locked"
    hint = "Unlock {what}."


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> None:
    """`controlplane test VERB` raises what VERB says."""
    group = Group("test", help="Test.")

    def add(name: str, error: BaseException) -> None:
        @group.command(name)
        @pass_settings
        def command(settings: Settings) -> None:
            raise error

    add("problem", Locked(what="a\nb"))
    add("fault", RuntimeError("oh\x1b"))
    add("system", FileNotFoundError(2, "No such file or directory", "/a"))
    add("interrupt", KeyboardInterrupt())
    add("exit", click.exceptions.Exit(3))
    monkeypatch.setitem(root.root.lazy, "test", (f"{__name__}:group", "Test."))
    monkeypatch.setattr(sys.modules[__name__], "group", group, raising=False)


@pytest.mark.usefixtures("raising")
class TestErrors:
    def test_a_problem_is_one_sentence_and_a_hint(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["test", "problem"]) == 35
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == "error: a\\nb is locked\nhint: Unlock a\\nb.\n"

    @pytest.mark.parametrize(
        "arguments",
        [
            ["-o", "json", "test", "problem"],
            ["test", "-o", "json", "problem"],
            ["test", "problem", "--output", "json"],
            ["-o", "table", "test", "problem", "-o", "json"],
        ],
    )
    def test_a_program_gets_the_error_as_json_wherever_the_option_stands(
        self, arguments: list[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(arguments) == 35
        error = json.loads(capsys.readouterr().err)["error"]
        assert error["type"] == "locked"
        assert error["exit_code"] == 35
        assert error["facts"] == {"what": "a\nb"}

    def test_a_fault_is_one_line_and_a_stack_only_when_asked(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["test", "fault"]) == 1
        said = capsys.readouterr().err
        assert said.startswith(
            "error: unexpected fault: RuntimeError: oh\\x1b\nhint: Run it again with --debug"
        )
        assert "Traceback" not in said
        assert main(["test", "fault", "--debug"]) == 1
        assert "Traceback" in capsys.readouterr().err

    def test_the_system_speaks_for_itself(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["test", "system"]) == 1
        assert capsys.readouterr().err == "error: /a: No such file or directory\n"

    def test_an_interrupt_is_130_and_an_exit_its_own_code(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["test", "interrupt"]) == 130
        assert main(["test", "exit"]) == 3

    @pytest.mark.parametrize("arguments", [["nope"], ["test", "nope"], ["test", "problem", "--nope"], []])
    def test_wrong_usage_is_2(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(arguments) == 2
        assert capsys.readouterr().out == ""


def test_a_reader_that_leaves_is_no_error(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m controlplane.cli.main help exit-codes | true"],
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.returncode in (0, 141)


def test_a_wrong_environment_is_wrong_usage() -> None:
    done = controlplane("status", CONTROLPLANE_OUTPUT="xml")
    assert done.returncode == 2
    assert "CONTROLPLANE_OUTPUT" in done.stderr


def test_a_key_that_is_missing_says_how_to_make_one(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/s")
        listener.listen()
        done = controlplane("status", "--key", f"{tmp_path}/none", "--socket", f"{tmp_path}/s")
    assert done.returncode == 12
    assert "ssh-keygen -t ed25519" in done.stderr


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group, info_name="controlplane")
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


ALL = {" ".join(path): command for path, command in commands(root.root)}


@pytest.mark.parametrize("name", ALL)
def test_every_command_teaches(name: str) -> None:
    command = ALL[name]
    assert command.help, "a paragraph of explanation"
    if not isinstance(command, click.Group):
        assert f"controlplane {name.split()[0]}" in getattr(command, "example", ""), "an example"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.opts} without a word"


def test_an_example_parses() -> None:
    """Each example's options exist: nobody copies one that fails."""
    for name, command in ALL.items():
        options = {word for p in command.params for word in (*p.opts, *p.secondary_opts)}
        options |= (
            {word for p in root.GLOBAL_OPTIONS for word in p.opts}
            if hasattr(root, "GLOBAL_OPTIONS")
            else set()
        )
        for word in re.findall(r"(?<=\s)--[a-z-]+", getattr(command, "example", "")):
            assert word in options | {"--site", "--socket", "--output", "--key", "--url"}, f"{name}: {word}"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_every_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_CONTROLPLANE_COMPLETE" in capsys.readouterr().out


def test_the_shell_completes_nouns_and_verbs() -> None:
    done = controlplane(
        _CONTROLPLANE_COMPLETE="bash_complete", COMP_WORDS="controlplane operator en", COMP_CWORD="2"
    )
    assert done.stdout.strip() == "plain,enrol"


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert version("sovereign-controlplane") == __version__
    assert controlplane("--version").stdout == f"controlplane {__version__}\n"


def test_help_names_every_class_of_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "exit-codes"]) == 0
    said = capsys.readouterr().out
    assert all(code in said and meaning in said for code, meaning in CODES)


def imported_by(*arguments: str) -> set[str]:
    """Top-level modules that a command imports."""
    script = (
        "import sys; from controlplane.cli.main import main\n"
        f"main({list(arguments)!r})\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    return set(done.stderr.splitlines()[-1].split())


HEAVY = {
    "alembic", "cryptography", "dbos", "fastapi", "http_message_signatures", "http_sf", "openstack",
    "pydantic", "rich", "sqlalchemy", "sqlmodel", "starlette", "uvicorn", "yaml",
}  # fmt: skip


def test_a_short_command_imports_only_what_it_needs(tmp_path: Path) -> None:
    assert not imported_by("--version") & (HEAVY | {"click", "nacl", "http", "json"})
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_bytes(PrivateKey.generate().to_openssh())
    for command in (["operator", "list"], ["tenant", "list"], ["job", "list"], ["--help"]):
        found = imported_by(*command, "--socket", str(tmp_path / "none"), "--key", str(key))
        assert not found & HEAVY, command


def cpu_seconds(*command: str) -> float:
    """User and system time of a child: the least of several, because a busy machine only adds."""
    best = float("inf")
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return best


@pytest.mark.parametrize("arguments", [("--version",), ("tenant", "list"), ("operator", "list")])
def test_a_command_starts_in_under_three_tenths_of_a_second_of_cpu(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_bytes(PrivateKey.generate().to_openssh())
    where = ("--socket", str(tmp_path / "none"), "--key", str(key)) if arguments != ("--version",) else ()
    spent = cpu_seconds(sys.executable, "-m", "controlplane.cli.main", *arguments, *where)
    bare = cpu_seconds(sys.executable, "-c", "pass")
    print(f"controlplane {' '.join(arguments)}: {spent:.3f} s of CPU, {spent / bare:.1f} x python -c pass")
    assert spent < 0.3

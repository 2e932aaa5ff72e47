"""Drive a headless Chromium through its DevTools protocol, over two pipes: no port, no driver, no library.

    with Chromium() as browser:
        page = browser.open(Path("verifier.html"))
        page.run("document.title")

Chromium reads requests from descriptor 3 and writes answers to descriptor 4, each a JSON object that ends in
a NUL. Source: the Chrome DevTools Protocol and Chromium's `--remote-debugging-pipe`.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from select import select
from time import monotonic
from typing import Any

PACKAGE = "chromium"
"""The Debian package; requirements/debian.txt lists it."""
PATIENCE = 300.0
"""Seconds to wait for an answer before the browser is taken for stuck."""


class BrowserFault(Exception):
    """The browser, or the script that it was given, did not do what was asked."""


class Chromium:
    """One browser without a window; its profile is thrown away."""

    def __enter__(self) -> Chromium:
        program = (
            shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
        )
        if program is None:
            raise BrowserFault(f"there is no Chromium: install the Debian package `{PACKAGE}`")
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        flags = [
            "--headless=new",
            "--remote-debugging-pipe",
            "--no-sandbox",  # tests may run as root, and open files of our own only
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--no-default-browser-check",
            "--password-store=basic",
            "--use-mock-keychain",
            f"--user-data-dir={self._profile.name}",
            "about:blank",
        ]
        # The shell moves the pipes to where Chromium looks for them.
        shell = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", shell, program, *flags],
            pass_fds=(to_browser, from_browser),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._unread, self._number = b"", 0
        self._events: list[dict[str, Any]] = []
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._write)
        os.close(self._read)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._profile.cleanup()

    def memory(self) -> int:
        """Bytes of memory that the processes of pages hold now."""
        held = 0
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError, IndexError):
                if os.getsid(int(folder.name)) != self._process.pid:
                    continue
                if b"--type=renderer" in (folder / "cmdline").read_bytes():
                    held += int((folder / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return held

    def open(self, path: Path) -> Page:
        """A new tab with this file."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.ask(f"{domain}.enable")
        page.ask("Page.navigate", url=path.resolve().as_uri())
        self.wait("Page.loadEventFired", session)
        return page

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a request and wait for its answer. Raises BrowserFault."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": parameters}
        if session:
            request["sessionId"] = session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self._write, data) :]
        number, end = self._number, monotonic() + PATIENCE
        while True:
            message = self._next(end, method)
            if message.get("id") == number:
                if "error" in message:
                    raise BrowserFault(f"{method}: {message['error']['message']}")
                result: dict[str, Any] = message["result"]
                return result
            self._events.append(message)

    def wait(self, event: str, session: str) -> dict[str, Any]:
        """The next event of this name."""
        end = monotonic() + PATIENCE
        while True:
            for number, message in enumerate(self._events):
                if message.get("method") == event and message.get("sessionId") == session:
                    found: dict[str, Any] = self._events.pop(number)["params"]
                    return found
            self._events.append(self._next(end, event))

    def events(self, method: str, session: str) -> list[dict[str, Any]]:
        """Events of this name that came so far, and are kept."""
        same = [m for m in self._events if m.get("method") == method and m.get("sessionId") == session]
        return [message["params"] for message in same]

    def _next(self, end: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._unread:
            ready, _, _ = select([self._read], [], [], max(0.0, end - monotonic()))
            part = os.read(self._read, 1 << 20) if ready else b""
            if not part:
                raise BrowserFault(
                    f"Chromium gave no answer to {what}" if not ready else "Chromium went away"
                )
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed


class Page:
    """One tab."""

    def __init__(self, browser: Chromium, session: str) -> None:
        self.browser, self.session = browser, session

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A request about this tab. Raises BrowserFault."""
        return self.browser.ask(method, self.session, **parameters)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited when it is a promise. Raises BrowserFault."""
        answer = self.ask(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True, userGesture=True
        )
        return self._value(answer)

    @staticmethod
    def _value(answer: dict[str, Any]) -> Any:
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise BrowserFault(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def run_under_policy(self, script: str) -> Any:
        """As `run`, under the page's Content-Security-Policy, which a debugger may otherwise pass over."""
        answer = self.ask(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            allowUnsafeEvalBlockedByCSP=False,
        )
        return self._value(answer)

    def choose(self, selector: str, paths: Sequence[Path]) -> None:
        """Choose files, or a folder, in a file input."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(path.resolve()) for path in paths])

    def problems(self) -> list[str]:
        """What the browser complained about: violated policies, exceptions that nobody caught."""
        logged = [event["entry"]["text"] for event in self.browser.events("Log.entryAdded", self.session)]
        thrown = self.browser.events("Runtime.exceptionThrown", self.session)
        return logged + [str(event["exceptionDetails"].get("text")) for event in thrown]

    def requests(self) -> list[str]:
        """Every address that the tab asked for."""
        sent = self.browser.events("Network.requestWillBeSent", self.session)
        return [str(event["request"]["url"]) for event in sent]

    def picture(self, path: Path, *, width: int = 1100, height: int = 1400, dark: bool = False) -> None:
        """A PNG of the whole page."""
        scheme = "dark" if dark else "light"
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

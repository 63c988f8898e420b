"""Chromium without a window, driven over its own pipe: what a report needs to be looked at, and nothing else."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE = 60.0
"""Seconds after which a browser that says nothing has failed."""


class Browser:
    """A page of a browser. `said` are its console messages, errors included; `asked` the addresses it requested."""

    def __init__(self, to: int, of: int) -> None:
        self._to, self._of = to, of
        self._numbers = itertools.count(1)
        self._buffer = b""
        self._session: str | None = None
        self.said: list[str] = []
        self.asked: list[str] = []
        self._loaded = False

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command of the DevTools protocol, and its answer."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer.get("result", {})

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")

    def open(self, page: Path, *, width: int, dark: bool = False, scripts: bool = False) -> None:
        """Shows a file in a window of some width, and waits until it is there."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media="", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.said, self.asked, self._loaded = [], [], False
        self.call("Page.navigate", url=page.resolve().as_uri())
        until = time.monotonic() + PATIENCE
        while not self._loaded:
            assert time.monotonic() < until, "the page was not loaded"
            self._next()

    def ask(self, expression: str) -> Any:
        """The value of an expression of ours in the page; works where scripts of the page are switched off."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, place: Path) -> bytes:
        """The whole page as PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12_000), "scale": 1}
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)["data"]
        place.write_bytes(base64.b64decode(data))
        return place.read_bytes()

    def printed(self) -> bytes:
        """The page as PDF."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._of], [], [], PATIENCE)
            assert ready, "the browser says nothing"
            data = os.read(self._of, 1 << 20)
            assert data, "the browser has gone"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._take(message.get("method", ""), message.get("params", {}))
        return message

    def _take(self, method: str, found: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Log.entryAdded":
            self.said.append(found["entry"]["text"])
        elif method == "Runtime.consoleAPICalled":
            self.said.append(json.dumps(found["args"]))
        elif method == "Runtime.exceptionThrown":
            self.said.append(json.dumps(found["exceptionDetails"]))
        elif method == "Network.requestWillBeSent":
            self.asked.append(found["request"]["url"])


@contextlib.contextmanager
def browser(found: str, profile: Path) -> Iterator[Browser]:
    """A browser, by the place of its program, with a profile of its own; gone afterwards."""
    read_commands, write_commands = os.pipe()
    read_answers, write_answers = os.pipe()
    # Chromium reads commands from descriptor 3 and answers on 4. (sh knows descriptors of one digit only.)
    words = ["bash", "-c", f'exec "$@" 3<&{read_commands} 4>&{write_answers}', "bash", found, *FLAGS]
    process = subprocess.Popen(
        [*words, f"--user-data-dir={profile}"],
        pass_fds=(read_commands, write_answers),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_commands)
    os.close(write_answers)
    try:
        page = Browser(write_commands, read_answers)
        page.attach()
        yield page
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(write_commands)
        os.close(read_answers)

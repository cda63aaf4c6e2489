"""Headless Chromium, driven over W3C WebDriver (https://www.w3.org/TR/webdriver2/) by Debian's chromium-driver."""

import base64
import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import httpx

from tests.missing import missing

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the standard's own name for a reference to an element
START_TIMEOUT_S = 30.0


class Browser:
    """One window. Errors of WebDriver escape as AssertionError with the browser's words."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        options = {
            "args": ["--headless", "--disable-gpu", "--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])],
        }
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        made = self._send("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{made['sessionId']}"

    def open(self, url: str) -> None:
        """Loads a page."""
        self._command("/url", {"url": url})

    @contextlib.contextmanager
    def tab(self) -> Iterator[None]:
        """A tab of its own in front, which is closed at the end, as a reader does it. (A page that is left in another way may
        live on in the browser's cache for the way back.)
        """
        before, opened = self._get("/window"), self._command("/window/new", {"type": "tab"})
        self._command("/window", {"handle": opened["handle"]})
        try:
            yield
        finally:
            self._send("DELETE", f"{self._session}/window")
            self._command("/window", {"handle": before})

    def look(self, *, width: int, height: int, dark: bool = False) -> None:
        """Sets the size of the page in CSS pixels and whether the reader prefers dark pages."""
        self._devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", features=[scheme])

    def type(self, selector: str, text: str) -> None:
        """Types into the field that a CSS selector finds, and presses Enter."""
        found = self._command("/element", {"using": "css selector", "value": selector})
        self._command(f"/element/{found[_ELEMENT]}/value", {"text": f"{text}\ue007"})

    def script(self, code: str) -> Any:
        """What a function's body returns in the page."""
        return self._command("/execute/sync", {"script": code, "args": []})

    @property
    def text(self) -> str:
        """All text that can be seen."""
        shown: str = self.script("return document.body.innerText")
        return shown

    def wait_for(self, text: str, *, timeout_s: float = 10.0) -> None:
        """Returns as soon as the page shows the text."""
        deadline = time.monotonic() + timeout_s
        while text not in self.text:
            assert time.monotonic() < deadline, f"{text!r} did not show: {self.text}"
            time.sleep(0.05)

    def console(self) -> list[str]:
        """What the page and the browser have written to the console since this was asked last: errors, what the page's
        policy forbade.
        """
        return [entry["message"] for entry in self._command("/se/log", {"type": "browser"})]

    def screenshot(self) -> bytes:
        """The page as it is seen, as PNG."""
        return base64.b64decode(self._get("/screenshot"))

    def close(self) -> None:
        """Ends it."""
        self._send("DELETE", self._session)

    def _devtools(self, command: str, **parameters: Any) -> None:
        self._command("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def _get(self, path: str) -> Any:
        return self._send("GET", self._session + path)

    def _command(self, path: str, body: dict[str, Any]) -> Any:
        return self._send("POST", self._session + path, body)

    def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        response = self._client.request(method, path, json=body)
        value = response.json()["value"]
        assert response.is_success, value
        return value


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A window for as long as the block runs. Skips where Chromium isn't installed, fails there under CI."""
    driver = shutil.which("chromedriver")
    if driver is None:
        missing("Chromium and its driver (Debian: chromium-driver)")
    with subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{_port(process)}", timeout=START_TIMEOUT_S, trust_env=False) as client:
                window = Browser(client)
                try:
                    yield window
                finally:
                    window.close()
        finally:
            process.terminate()
            process.wait(10)


def _port(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    for line in process.stdout:
        found = re.search(r"started successfully on port (\d+)", line)
        if found:
            return int(found[1])
    raise AssertionError("chromedriver ended before it listened")

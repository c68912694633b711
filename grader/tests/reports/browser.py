"""A real Chromium for the tests of pages: Debian's `chromium` and `chromium-driver`, driven over WebDriver."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common import utils

from grader.engine import install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.result import ProgressEvent

_PACKAGES = ["chromium", "chromium-driver"]
_LOOPBACK = "127.0.0.1"
#: Seconds until a browser that should have come up, or ended, long ago counts as never doing so.
_DEADLINE = 60.0
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


class Browser:
    """A headless Chromium that shows one page after another."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, page: Path, *, width: int = 1200, scheme: str = "light", media: str = "") -> None:
        """Shows a file; what happened before is forgotten."""
        shape = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.command("Emulation.setDeviceMetricsOverride", **shape)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.command("Emulation.setEmulatedMedia", media=media, features=features)
        self.driver.get("about:blank")
        self.events()
        self.messages()
        self.driver.get(page.as_uri())

    def command(self, name: str, **parameters: Any) -> Any:
        """One command of the Chrome DevTools Protocol."""
        return self.driver.execute_cdp_cmd(name, parameters)

    def run(self, script: str) -> Any:
        """What a script returns that runs in the page, as a person's would in the console: no policy holds it."""
        return self.driver.execute_script(script)

    def events(self) -> list[tuple[str, Any]]:
        """What the protocol told since it was last asked: the event's name and its parameters."""
        told = [json.loads(entry["message"])["message"] for entry in self._log("performance")]
        return [(event["method"], event["params"]) for event in told]

    def messages(self) -> list[str]:
        """What the console had to say since it was last asked."""
        return [entry["message"] for entry in self._log("browser")]

    def _log(self, kind: str) -> list[dict[str, str]]:
        entries: list[dict[str, str]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries


class _Driver(Service):
    """The driver at the loopback's address: a bare machine has no name for it, and a proxy might be asked for one."""

    @property
    def service_url(self) -> str:
        return f"http://{_LOOPBACK}:{self.port}"

    def is_connectable(self) -> bool:
        return utils.is_connectable(self.port, _LOOPBACK)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that is closed at the end; installed with apt on Debian, as root, where there is none."""
    program, driver = _programs()
    options = webdriver.ChromeOptions()
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
        _running(program, Path(profile)) as address,
    ):
        options.debugger_address = address
        with pytest.MonkeyPatch.context() as surroundings:
            for name in ("no_proxy", "NO_PROXY"):
                surroundings.setenv(name, _LOOPBACK)
            driving = webdriver.Chrome(options=options, service=_Driver(driver))
        try:
            yield Browser(driving)
        finally:
            driving.quit()


@contextmanager
def _running(program: str, profile: Path) -> Iterator[str]:
    """The address at which a browser takes commands. The driver would look for one of its own at `localhost`."""
    # Root has no sandbox to give it, and a container's /dev/shm is small.
    arguments = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"]
    arguments += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    with (
        (profile / "log").open("wb") as log,
        subprocess.Popen([program, *arguments], stdout=log, stderr=log) as process,
    ):
        try:
            yield f"{_LOOPBACK}:{_port(profile, process)}"
        finally:
            process.terminate()
            process.wait(_DEADLINE)


def _port(profile: Path, process: subprocess.Popen[bytes]) -> int:
    """The port that the browser chose, which it writes into a file of its profile."""
    deadline = time.monotonic() + _DEADLINE
    file = profile / "DevToolsActivePort"
    while not (file.exists() and file.read_text(encoding="ascii").count("\n")):
        said = (profile / "log").read_text(encoding="utf-8", errors="replace")
        assert process.poll() is None, f"Chromium ended: {said}"
        assert time.monotonic() < deadline, f"Chromium never came up: {said}"
        time.sleep(0.02)
    return int(file.read_text(encoding="ascii").split("\n")[0])


def _programs() -> tuple[str, str]:
    """The browser and its driver; skips where there are none and none can be installed."""
    if found := _found():
        return found
    if install.supported() is not None or install._os_release().get("ID") != "debian":
        pytest.skip("These tests need `chromium` and `chromedriver`; the suite installs them on Debian, as root.")
    install._install(_PACKAGES, _tell)
    installed = _found()
    assert installed, "chromium and chromium-driver were installed, but are not to be found"
    return installed


def _found() -> tuple[str, str] | None:
    browser = next(filter(None, map(shutil.which, _PROGRAMS)), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def _tell(event: ProgressEvent) -> None:
    if not event.detail:
        sys.stderr.write(f"{event.phase}: {event.text}\n")

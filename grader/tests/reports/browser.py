"""A real Chromium for the tests of pages: Debian's `chromium` and `chromium-driver`, driven over WebDriver."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common import utils

from grader.engine import install

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from grader.result import ProgressEvent

_PACKAGES = ["chromium", "chromium-driver"]
_LOOPBACK = "127.0.0.1"
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
    options = webdriver.ChromeOptions()
    options.binary_location, driver = _programs()
    # Root has no sandbox to give it, and a container's /dev/shm is small.
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with pytest.MonkeyPatch.context() as surroundings:
        for name in ("no_proxy", "NO_PROXY"):
            surroundings.setenv(name, _LOOPBACK)
        started = webdriver.Chrome(options=options, service=_Driver(driver))
    try:
        yield Browser(started)
    finally:
        started.quit()


def _programs() -> tuple[str, str]:
    """The browser and its driver; skips where there are none and none can be installed."""
    if found := _found():
        return found
    reason = install.supported()
    if reason is None and install._os_release().get("ID") != "debian":
        reason = "Only Debian has Chromium as a package like any other."
    if reason is not None:
        pytest.skip(f"Neither Chromium nor its driver is installed. {reason}")
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

"""What the workers of one run of the suite share: an engine that is set up once, looked over at the end, and stopped.

Most of a test that grades is waiting, for the engine and for an app; several workers wait side by side.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from grader.engine import private
from grader.engine.connect import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

#: Names the folder that is the run's; workers inherit it.
_FOLDER = "GRADER_TESTS_SHARED"


class Run:
    """One run of the suite, in the process that began it; its workers are others."""

    def __init__(self) -> None:
        """Begins it."""
        self._folder = tempfile.TemporaryDirectory(prefix="grader-suite-")
        os.environ[_FOLDER] = self._folder.name
        #: Asked before the first test: some start the engine without the fixture.
        self._ran = private.running()
        self.left: set[str] = set()

    def end(self) -> None:
        """Looks what the run has left in its engine, and stops it if it was the run that started it."""
        file = Path(self._folder.name) / "before.json"
        if file.exists():
            engine = connect(start_private=False)
            self.left = contents(engine) - set(json.loads(file.read_text()))
            if engine.private and not self._ran:
                private.stop()
        del os.environ[_FOLDER]
        self._folder.cleanup()


@contextmanager
def setting_up() -> Iterator[None]:
    """One worker after the other."""
    with FileLock(Path(os.environ[_FOLDER]) / "lock"):
        yield


def found(engine: Engine) -> None:
    """Notes, within `setting_up`, what the engine holds before the first test of the run."""
    file = Path(os.environ[_FOLDER]) / "before.json"
    if not file.exists():
        file.write_text(json.dumps(sorted(contents(engine))))


def contents(engine: Engine) -> set[str]:
    """Whatever a test could leave in the engine; images count when they are a grading's."""
    client = engine.client
    return {
        *(f"container {one['Id'][:12]} {one['Names']}" for one in client.containers(all=True)),
        *(f"network {one['Name']}" for one in client.networks()),
        *(f"volume {one['Name']}" for one in client.volumes()["Volumes"] or ()),
        *(f"image {one['Id'][:19]}" for one in client.images(filters={"label": "grader.run"})),
    }

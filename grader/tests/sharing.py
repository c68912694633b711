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
        self.left: set[str] = set()

    def end(self) -> None:
        """Looks what the run has left in its engine, and stops it if it was the run that started it."""
        file = Path(self._folder.name) / "before.json"
        if file.exists():
            before = json.loads(file.read_text())
            engine = connect(start_private=False)
            self.left = contents(engine) - set(before["contents"])
            if engine.private and not before["ran"]:
                private.stop()
        del os.environ[_FOLDER]
        self._folder.cleanup()


@contextmanager
def setting_up() -> Iterator[None]:
    """One worker after the other; the first one finds the engine as it was before the run."""
    folder = Path(os.environ[_FOLDER])
    with FileLock(folder / "lock"):
        file = folder / "began.json"
        if not file.exists():
            file.write_text(json.dumps(private.running()))
        yield


def found(engine: Engine) -> None:
    """Notes, within `setting_up`, what the engine holds before the first test of the run."""
    folder = Path(os.environ[_FOLDER])
    file = folder / "before.json"
    if not file.exists():
        ran = json.loads((folder / "began.json").read_text())
        file.write_text(json.dumps({"ran": ran, "contents": sorted(contents(engine))}))


def contents(engine: Engine) -> set[str]:
    """Whatever a test could leave in the engine; images count when they are a grading's."""
    client = engine.client
    return {
        *(f"container {one['Id'][:12]} {one['Names']}" for one in client.containers(all=True)),
        *(f"network {one['Name']}" for one in client.networks()),
        *(f"volume {one['Name']}" for one in client.volumes()["Volumes"] or ()),
        *(f"image {one['Id'][:19]}" for one in client.images(filters={"label": "grader.run"})),
    }

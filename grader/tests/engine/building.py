"""Builds tiny Dockerfiles on a real engine, and takes away what they leave."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from grader.engine import build as building
from grader.engine import leftovers
from grader.engine.image import Image
from grader.result import Progress, silent
from grader.submission import context, dockerfile
from grader.submission.files import File

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from grader.engine.build import Build
    from grader.engine.connect import Engine


@dataclass(frozen=True)
class Workshop:
    """Where a test builds; everything in it is gone afterwards."""

    engine: Engine
    run: leftovers.Run = field(default_factory=leftovers.Run.new)

    def build(
        self,
        text: str,
        files: Mapping[str, str | bytes] | None = None,
        *,
        progress: Progress = silent,
        on: Engine | None = None,
        **options: Any,
    ) -> Build:
        """The build of a Dockerfile, with ``app.py`` in its context unless ``files`` says otherwise."""
        contents = {"Dockerfile": text, **({"app.py": "print()\n"} if files is None else files)}
        packed = context.pack({n: File(c.encode() if isinstance(c, str) else c) for n, c in contents.items()})
        asked = building.Options(**{"timeout": 120.0, "labels": self.run.labels, **options})
        return building.build(on or self.engine, packed, dockerfile.parse(text.encode()), asked, progress=progress)

    def image(self, text: str, files: Mapping[str, str | bytes] | None = None, **options: Any) -> Image:
        """The image of a Dockerfile that must build."""
        built = self.build(text, files, **options)
        assert built.failure is None, built.failure
        assert built.image_id is not None
        return Image(self.engine, built.image_id, dockerfile.parse(text.encode()), self.run.labels)

    def image_elsewhere(self, image: Image) -> Image:
        """The same image as a grader sees it that is not on the engine's machine."""
        return Image(replace(self.engine, local=False), image.id, image._dockerfile, self.run.labels)


@contextmanager
def workshop(engine: Engine) -> Iterator[Workshop]:
    made = Workshop(engine)
    yield made
    leftovers.remove(engine, made.run)


def unique() -> str:
    """A value that makes a RUN miss the cache."""
    return secrets.token_hex(8)


def eventually(condition: Callable[[], bool], within: float = 15.0) -> bool:
    """Whether it comes true in time."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True

"""Engines of a test's own, beside the suite's: started with limits, and gone without a trace afterwards."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.engine import private
from grader.engine.connect import connect
from grader.result import silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.engine.connect import Engine
    from grader.engine.embedded.limits import Limits

_NUMBERS = itertools.count()


@contextmanager
def home() -> Iterator[private.Home]:
    """A place for one; in a folder with a short path, for the sake of its sockets."""
    folder = Path(tempfile.mkdtemp(prefix="ge"))
    # Names of network devices have at most 15 characters.
    found = private.Home(folder / "run", folder / "data", f"go{os.getpid() % 10**8}{next(_NUMBERS) % 1000}")
    try:
        yield found
    finally:
        private.stop(found)
        shutil.rmtree(folder)


@contextmanager
def engine(
    limits: Limits,
    *,
    images: Engine | None = None,
    names: Sequence[str] = ("debian:bookworm-slim",),
    chosen: bool = True,
) -> Iterator[tuple[private.Home, Engine]]:
    """An engine that is held to ``limits``, with some images of another one; ``chosen`` by DOCKER_HOST meanwhile."""
    with home() as found, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", private.start(silent, found, limits))
        own = connect()
        if images is not None:
            copy(images, own.client, names)
        if not chosen:
            patch.undo()
        yield found, own
        own.client.close()


def copy(source: Engine, client: Any, names: Sequence[str]) -> None:
    """Takes images over from one engine to that of another client."""
    there: Any = source.client
    here = getattr(client, "library", client)
    with there.get(there._url("/images/get"), params={"names": names}, stream=True) as packed:
        # To its end: an engine gives up when nobody listens any more, and the library does not.
        loaded = here.post(here._url("/images/load"), data=packed.iter_content(1 << 20), stream=True, timeout=300)
        told = [line for line in loaded.iter_lines() if b"error" in line]
    assert loaded.ok, loaded.status_code
    assert not told, told

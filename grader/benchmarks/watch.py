"""From a save to the verdict in `grader watch`, beside the engine's own time for the same build, start and answer.

The peer asks the Engine API and nothing else: it sends the same context to the builder, starts the image with a
published port, and asks the app until it answers with status 200. What comes before (packing the context) and after
(removing container and image) is not counted against it. Ours begins with the save and ends with the verdict's last
line on a real terminal, so it holds noticing the save, judging, and our own clean-up as well.

Both are measured for a save that leaves every layer in the cache, and for one that makes the last RUN run again.
Goals: at most 1.2 of the peer's time; and the Dockerfile's structure is judged within 100 ms of the save.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.benchmarks.timing import in_turn, told
from grader.course.exercise import find_course, resolve
from grader.engine import bases
from grader.engine.connect import connect
from grader.submission import context
from grader.submission.collect import collect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from grader.engine.connect import Engine

GOAL = 1.2
#: Seconds from a save to what is said of the Dockerfile before anything is built.
STRUCTURE_GOAL = 0.1
PORT = 5000
#: Seconds after which a verdict that has not come never will.
LONGEST = 120.0
#: What a save changes: a line that makes no layer, and one that makes the last RUN run again.
CHANGES: dict[str, Callable[[str, str], str]] = {
    "from the cache": lambda text, value: text.replace("EXPOSE", f"LABEL benchmark={value}\nEXPOSE"),
    "one RUN anew": lambda text, value: text.replace("WORKDIR /app\n", f"WORKDIR /app\nENV BENCHMARK={value}\n"),
}


def main(rounds: int) -> int:
    """Prints both medians and their ratio, for each kind of change."""
    try:
        import pexpect  # noqa: PLC0415  # of the tests' extra, and only where there are terminals of this kind
    except ImportError:
        print("This benchmark needs a POSIX terminal and pexpect: pip install -e '.[test]'.", file=sys.stderr)
        return 2
    engine = connect()
    exercise = resolve(find_course(), "multi-stage-builds")
    if exercise.course.solutions is None:
        print("This benchmark needs a clone: the installed course has no solutions.", file=sys.stderr)
        return 2
    bases.ensure(engine, ["python:3.11", "python:3.11-slim"], stand_ins=True)
    solution = exercise.course.solutions / exercise.id
    print(f"engine: {engine.name} {engine.version}, {engine.endpoint}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(solution / "Dockerfile", folder)
        written = (folder / "Dockerfile").read_text(encoding="utf-8")
        arguments = ["-m", "grader", "watch", exercise.id, "--submission", name, "--yes"]
        child: Any = pexpect.spawn(
            sys.executable, arguments, env=os.environ | {"DOCKER_HOST": engine.endpoint}, timeout=LONGEST
        )
        child.expect(" points")
        for kind, change in CHANGES.items():
            saves = _saves(written, kind, change)
            structure: list[float] = []
            theirs, ours = in_turn(
                rounds,
                partial(_engines_own, engine, exercise.starter, saves),
                partial(_ours, child, folder, saves, structure),
            )
            print(told(f"engine, {kind}", theirs))
            print(told(f"watch, {kind}", ours))
            ratio = statistics.median(ours) / statistics.median(theirs)
            print(f"ratio of the medians         {ratio:.2f}   (goal: at most {GOAL})")
            print(told("save to structure", structure) + f"   (goal: within {STRUCTURE_GOAL * 1000:.0f} ms)")
        child.send("q")
        child.expect(pexpect.EOF)
    return 0


def _saves(written: str, kind: str, change: Callable[[str, str], str]) -> Iterator[str]:
    """Dockerfiles that no engine has seen yet."""
    for number in itertools.count():
        yield change(written, f"{os.getpid()}-{kind.replace(' ', '-')}-{number}")


def _ours(child: Any, folder: Path, saves: Iterator[str], structure: list[float]) -> float:
    dockerfile = next(saves)
    began = time.perf_counter()
    (folder / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    child.expect("The Dockerfile can be built")
    structure.append(time.perf_counter() - began)
    passed = child.expect(["Passed with .* points", "Not (passed|graded)"]) == 0
    took = time.perf_counter() - began
    if not passed:
        raise SystemExit(f"The solution did not pass:\n{child.before.decode()}")
    return took


def _engines_own(engine: Engine, starter: Path, saves: Iterator[str]) -> float:
    with tempfile.TemporaryDirectory() as written:
        (Path(written) / "Dockerfile").write_text(next(saves), encoding="utf-8")
        submission = collect(starter, Path(written), ["Dockerfile"])
    packed = context.pack(submission.files)
    client: Any = engine.client
    began = time.perf_counter()
    answer = client.post(
        client._url("/build"),  # noqa: SLF001  # the SDK has no parameter for it
        data=packed.tar,
        params={"version": "2", "dockerfile": packed.dockerfile},
        headers={"Content-Type": "application/x-tar"},
        stream=True,
    )
    image = ""
    for line in answer.iter_lines():
        message = json.loads(line)
        if message.get("id") == "moby.image.id":
            image = message["aux"]["ID"]
    if not image:
        raise SystemExit("The benchmark's image does not build.")
    settings = client.create_host_config(port_bindings={PORT: ("127.0.0.1", None)})
    container = client.create_container(image, ports=[PORT], host_config=settings)["Id"]
    try:
        client.start(container)
        port = int(client.port(container, PORT)[0]["HostPort"])
        while not _answers(port):
            time.sleep(0.005)
        return time.perf_counter() - began
    finally:
        client.remove_container(container, force=True)
        client.remove_image(image, force=True)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    return False

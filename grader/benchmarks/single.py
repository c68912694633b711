"""One warm grading of the flagship solution beside a shell script of the same steps.

The script builds with BuildKit, asks for the image's size, looks for gcc in a container, runs the app until it answers
with status 200, and removes what it made. Goal: the grader takes at most 0.6 of its time.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from grader.benchmarks.timing import in_turn, seconds, told
from grader.course.exercise import find_course, resolve
from grader.engine.connect import connect
from grader.submission.collect import collect

if TYPE_CHECKING:
    from grader.course.exercise import Exercise
    from grader.engine.connect import Engine

GOAL = 0.6
SCRIPT = """\
set -eu
docker build -q -t "$IMAGE" "$CONTEXT"
docker image inspect --format '{{.Size}}' "$IMAGE"
if docker run --rm --entrypoint which "$IMAGE" gcc; then echo "gcc is there"; exit 1; fi
container=$(docker run -d -p 127.0.0.1::5000 "$IMAGE")
trap 'docker rm -f "$container" >/dev/null; docker rmi "$IMAGE" >/dev/null' EXIT
address=$(docker port "$container" 5000)
until [ "$(curl -s -o /dev/null -w '%{http_code}' "http://$address/")" = 200 ]; do sleep 0.05; done
"""


def main(rounds: int) -> int:
    """Prints both medians and their ratio."""
    found = needed()
    if found is None:
        return 2
    docker, engine, exercise, solution = found
    with tempfile.TemporaryDirectory() as folder:
        submission = collect(exercise.starter, solution, ["Dockerfile", ".dockerignore"])
        for name, file in submission.files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
        path_of_client = f"{Path(docker).parent}{os.pathsep}{os.environ['PATH']}"
        surroundings = os.environ | {
            "IMAGE": "grader-benchmark",
            "CONTEXT": folder,
            "DOCKER_BUILDKIT": "1",
            "DOCKER_HOST": engine.endpoint,
            "PATH": path_of_client,
        }
        # A user's Python keeps its bytecode; a machine that forbids it would measure the compiler.
        surroundings.pop("PYTHONDONTWRITEBYTECODE", None)
        grade = [sys.executable, "-c", "from grader.__main__ import grade; grade()", exercise.id]
        grade += ["--submission", str(solution), "--yes"]
        script, ours = in_turn(
            rounds,
            lambda: seconds(["sh", "-c", SCRIPT], env=surroundings),
            lambda: seconds(grade, env=surroundings),
        )
    print(f"engine: {engine.name} {engine.version}, {engine.endpoint}")
    print(told("shell script", script))
    print(told("grade", ours))
    ratio = statistics.median(ours) / statistics.median(script)
    print(f"ratio of the medians         {ratio:.2f}   (goal: at most {GOAL})")
    return 0


def needed() -> tuple[str, Engine, Exercise, Path] | None:
    """A docker client, an engine, the flagship and its solution; None, once it is told, when one is not there."""
    docker, curl = client(), shutil.which("curl")
    if docker is None or curl is None:
        print("This benchmark needs a docker client that builds with BuildKit, and curl.", file=sys.stderr)
        return None
    engine = connect()
    course = find_course()
    exercise = resolve(course, "multi-stage-builds")
    if course.solutions is None:
        print("This benchmark needs a clone: the installed course has no solutions.", file=sys.stderr)
        return None
    return docker, engine, exercise, course.solutions / exercise.id


def client() -> str | None:
    """A docker client that can build with BuildKit: a new one without buildx cannot."""
    for folder in os.environ["PATH"].split(os.pathsep):
        client = shutil.which("docker", path=folder)
        if client is None:
            continue
        version = subprocess.run([client, "--version"], capture_output=True, text=True, check=False).stdout
        major = "".join(version.split("version", 1)[-1].split(".")[0].split())
        with_buildx = subprocess.run([client, "buildx", "version"], capture_output=True, check=False).returncode == 0
        if with_buildx or (major.isdigit() and int(major) < 23):
            return client
    return None

"""Builds without a network: nothing is reached, what the exercise brings is installed, and whose fault a failure is."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from grader.course import wheelhouse
from grader.engine.build import Options, _BuildKit
from grader.engine.faults import blame, offline
from grader.engine.podman.buildah import Buildah
from grader.engine.trace import Step
from grader.errors import EngineError, SubmissionError
from grader.request import Request
from grader.result import Fault, Status, silent
from grader.submission import dockerfile
from grader.tests.conftest import exercise_folder, write_files

if TYPE_CHECKING:
    from pathlib import Path

    from grader.engine.connect import Engine
    from grader.result import GradeResult

WHEEL = "tiny_thing-1.0-py3-none-any.whl"
FROM = "FROM python:3.11-slim\n"
INSTALL = "pip install --no-index --find-links=/wheels -r requirements.txt"
WITH_WHEELS = f"{FROM}COPY requirements.txt .\nRUN --mount=type=bind,source=wheelhouse,target=/wheels {INSTALL}\n"
# What a RUN would see of a network, were there one; an address of this machine's own bridge would answer at once.
NO_WAY_OUT = 'RUN test "$(ls /sys/class/net)" = lo && ! grep -q 00000000 /proc/net/route\n'
REACHES = "RUN python3 -c \"import urllib.request as u; u.urlopen('http://10.254.254.1/', timeout=20)\"\n"


def wheel() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("tiny_thing.py", "WORD = 'here'\n")
        info = "tiny_thing-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return out.getvalue()


def graded(root: Path, engine: Engine, text: str) -> GradeResult:
    from grader import grading  # noqa: PLC0415
    from grader.checks import types  # noqa: PLC0415
    from grader.course import rubric  # noqa: PLC0415
    from grader.course.exercise import find_course  # noqa: PLC0415

    uses = {"check": "command", "command": ["python3", "-c", "import tiny_thing"]}
    checks: list[dict[str, Any]] = [{"check": "build"}, uses]
    build = {"network": "none", "wheelhouse": "requirements.txt"}
    folder = exercise_folder(root, checks, own={"requirements.txt": "tiny-thing\n"}, build=build)
    packages = wheelhouse.folder_of(folder)
    packages.mkdir()
    (packages / WHEEL).write_bytes(wheel())
    digests = {WHEEL: hashlib.sha256(wheel()).hexdigest()}
    write_files(folder, {wheelhouse.LOCK: wheelhouse.locked(digests, "made by a test")})
    write_files(root / "learner", {"Dockerfile": text})
    exercise = find_course(folder.parent).exercises[0]
    loaded = rubric.load(exercise.rubric_path, types())
    return grading.grade(Request(exercise, loaded, root / "learner", engine=lambda: engine, stand_ins=True))


def test_packages_come_from_the_wheelhouse_and_nothing_is_reached(engine: Engine, tmp_path: Path) -> None:
    result = graded(tmp_path, engine, WITH_WHEELS + NO_WAY_OUT)
    assert result.status is Status.PASSED, result.checks
    assert result.build is not None
    assert not result.build.network


@pytest.mark.parametrize("line", [REACHES, "RUN pip install --retries 1 tiny-thing\n"])
def test_who_reaches_for_the_network_is_told_where_the_packages_are(engine: Engine, tmp_path: Path, line: str) -> None:
    result = graded(tmp_path, engine, FROM + line)
    built = result.checks[0]
    assert (result.status, built.status, built.fault, built.line) == (Status.FAILED, Status.FAILED, Fault.LEARNER, 2)
    assert "reaches for the network, and this exercise builds without one" in built.got
    assert "source=wheelhouse" in str(built.evidence["fix"])


# --- without an engine ------------------------------------------------------------------------------------------------


def step(log: str, code: int | None = 1) -> Step:
    return Step("[2/2] RUN x", 2, "RUN x", "", False, 1.0, "", code, log)


INSTEAD = offline.instead("deps.txt")


@pytest.mark.parametrize(
    "log",
    [
        "curl: (6) Could not resolve host: example.com",
        "E: Failed to fetch http://deb.debian.org/x  Temporary failure resolving 'deb.debian.org'",
        "ERROR: 429 Too Many Requests (connection timed out)",
    ],
)
def test_the_network_is_the_machines_fault_only_where_there_is_one(log: str) -> None:
    assert isinstance(blame.failure("x", step(log)), EngineError)
    told = blame.failure("x", step(log), asked=blame.Asked(instead=INSTEAD))
    assert isinstance(told, SubmissionError)
    assert "-r deps.txt" in told.fix


def test_a_package_that_the_exercise_does_not_bring_is_the_learners_mistake() -> None:
    told = blame.failure("x", step("ERROR: No matching distribution found for y"), asked=blame.Asked(instead=INSTEAD))
    assert isinstance(told, SubmissionError)
    assert "exit code 1" in told.what
    assert "wheelhouse/" in told.fix


def test_a_full_disk_stays_the_machines_fault() -> None:
    full = step("write /x: no space left on device")
    assert isinstance(blame.failure("x", full, asked=blame.Asked(instead=INSTEAD)), EngineError)


def test_waiting_for_a_network_that_is_not_given_is_the_learners_time() -> None:
    waiting = step("connection timed out, retrying", code=None)
    assert isinstance(blame.timeout(waiting, 5, engine_hung=False), EngineError)
    assert isinstance(blame.timeout(waiting, 5, engine_hung=False, instead=INSTEAD), SubmissionError)
    assert isinstance(blame.timeout(waiting, 5, engine_hung=True, instead=INSTEAD), EngineError)


def test_without_packages_none_are_promised() -> None:
    assert "wheelhouse" not in offline.instead("")


def test_each_builder_is_asked_in_its_own_words(engine: Engine) -> None:
    parsed = dockerfile.parse(FROM.encode())
    for builder, word in ((_BuildKit, "none"), (Buildah, "1")):
        assert builder(engine, parsed, Options(network=False), silent).parameters["networkmode"] == word
        assert "networkmode" not in builder(engine, parsed, Options(), silent).parameters

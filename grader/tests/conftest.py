"""What the tests share: a real engine with the base images, and a grading of a tiny exercise in one line."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from grader import grading
from grader.checks import types
from grader.course import rubric
from grader.course.exercise import find_course, resolve
from grader.engine import bases
from grader.engine.connect import Engine, connect
from grader.learn.progress import FOLDER_VARIABLE
from grader.result import GradeResult, ProgressEvent
from grader.tests import sharing
from grader.tests.engine.agreement import watching

if TYPE_CHECKING:
    from pathlib import Path

    from grader.tests.reports.browser import Browser

# No test takes its gradings down as the progress of whoever runs it; before any other module copies the environment.
_STATE = tempfile.TemporaryDirectory(prefix="grader-state-")
os.environ[FOLDER_VARIABLE] = _STATE.name

BASES = ("python:3.11", "python:3.11-slim", "debian:bookworm-slim", "gcr.io/distroless/python3-debian12")


_run = pytest.StashKey[sharing.Run]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.stash[_run] = sharing.Run()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """When all workers have ended."""
    if run := session.config.stash.get(_run, None):
        run.end()
        if run.left:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if (run := config.stash.get(_run, None)) and run.left:
        terminalreporter.write_line(f"the suite left behind in the engine: {sorted(run.left)}", red=True)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """An engine that answers, with all base images present; installed and started by the suite when there is none."""
    with sharing.setting_up():
        found = connect(agreed=True, progress=_tell)
        # All that the course asks for: `grader doctor` says of an engine without them that something is missing.
        bases.ensure(found, (*BASES, f"{BASES[-1]}:nonroot"), stand_ins=True, progress=_tell)
        sharing.found(found)
    with watching(found) as agreement:
        yield found
        disagreements = agreement.disagreements()
    assert not disagreements, "layers are not the same walked and streamed: " + "\n".join(disagreements)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of pages, and none where there are none."""
    from grader.tests.reports.browser import chromium  # noqa: PLC0415

    with chromium() as started:
        yield started


def _tell(event: ProgressEvent) -> None:
    if not event.detail:
        sys.stderr.write(f"{event.phase}: {event.text}\n")


@pytest.fixture(scope="session", autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """Ctrl-C and a closed terminal are heeded: whoever starts the suite in the background has both ignored.

    So would all that tests start, and those that end a grading by a signal would wait for its end in vain.
    """
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]
    ignored = [number for number in numbers if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


Grade = Callable[..., GradeResult]


@pytest.fixture
def grade(engine: Engine, tmp_path: Path) -> Grade:
    """Grades a Dockerfile by some checks: ``grade("FROM scratch", [{...}], app={...})``.

    ``files`` are the learner's other files, ``own`` the exercise's; a check without an id is named after its type.
    """

    def run(
        dockerfile: str | bytes | None,
        checks: list[dict[str, Any]],
        *,
        app: Mapping[str, Any] | None = None,
        files: Mapping[str, str] | None = None,
        own: Mapping[str, str] | None = None,
        build: Mapping[str, Any] | None = None,
        on: Engine | None = None,
        base_images: tuple[str, ...] = BASES,
        only: tuple[str, ...] = (),
    ) -> GradeResult:
        folder = exercise_folder(tmp_path, checks, app=app, own=own or {}, build=build, base_images=base_images)
        learner = tmp_path / "learner"
        write_files(learner, files or {})
        if dockerfile is not None:
            raw = dockerfile.encode() if isinstance(dockerfile, str) else dockerfile
            (learner / "Dockerfile").write_bytes(raw)
        exercise = resolve(find_course(folder.parent), folder.name)
        loaded = rubric.load(exercise.rubric_path, types())
        request = grading.Request(exercise, loaded, learner, engine=lambda: on or engine, only=only, stand_ins=True)
        return grading.grade(request)

    return run


def exercise_folder(
    root: Path,
    checks: list[dict[str, Any]],
    *,
    app: Mapping[str, Any] | None = None,
    own: Mapping[str, str] | None = None,
    build: Mapping[str, Any] | None = None,
    base_images: tuple[str, ...] = BASES,
) -> Path:
    """A course of one exercise below ``root``; returns the exercise's folder."""
    folder = root / "exercises" / "01-tiny"
    content: dict[str, Any] = {
        "format": 1,
        "title": "Tiny",
        "submit": ["Dockerfile", ".dockerignore", "Dockerfile.dockerignore"],
        "pass": sum(check.get("points", 10) for check in checks),
        "bases": list(base_images),
        "checks": [{"id": check["check"], "points": 10} | check for check in checks],
    }
    content |= {"app": app} if app else {}
    content |= {"build": build} if build else {}
    write_files(folder / "starter", {"Dockerfile": "FROM scratch\n"} | dict(own or {}))
    write_files(folder, {"rubric.yaml": yaml.safe_dump(content, sort_keys=False)})
    write_files(folder.parent, {"course.yaml": "title: A tiny course\n"})
    return folder


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Writes files below ``folder``, parents included."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

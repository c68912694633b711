"""A small exercise whose grading makes every kind of call, and its grading with one call broken."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import requests

from grader import grading
from grader.checks import types
from grader.cli.grade import exit_code
from grader.course import rubric
from grader.course.exercise import find_course, resolve
from grader.engine.api import client as clients
from grader.engine.connect import connect
from grader.engine.leftovers import OWNER, RUN
from grader.errors import ExitCode
from grader.result import Fault, Status
from grader.tests.conftest import exercise_folder, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.api.wire import Answer
    from grader.engine.connect import Engine
    from grader.result import GradeResult
    from grader.tests.failing.rogue import Rogue

#: Seconds after which a call that gets no answer is given up: its own limit is looked at, and not waited for.
SOON = 0.5

# Perl is in every Debian image, and begins in no time.
APP = """\
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $s = IO::Socket::INET->new(LocalAddr => "0.0.0.0", LocalPort => 5000, Listen => 20, ReuseAddr => 1) or die $!;
print STDERR "ready\\n";
while (my $c = $s->accept) {
  while (<$c>) { last if /^\\r?\\n$/ }
  print $c "HTTP/1.0 200 OK\\r\\nContent-Length: 3\\r\\n\\r\\nok\\n";
  close $c;
}
"""
_DOCKERFILE = """\
FROM debian:bookworm-slim
COPY app.pl /app.pl
RUN echo built > /built{gone}
CMD ["perl", "/app.pl"]
"""
CHECKS: list[dict[str, Any]] = [
    {"check": "build", "required": True},
    {"check": "size", "max": "1GB"},
    {"check": "absent", "paths": ["/nowhere"]},
    {"check": "present", "path": "/built", "text": "built"},
    {"check": "http", "get": "/", "status": 200, "text": "ok"},
    {"check": "command", "command": "echo hello; echo there >&2", "text": "hello"},
    {"id": "inside", "check": "command", "in": "app", "command": "echo hello", "text": "hello"},
    {"check": "process", "app_is_pid_1": True},
    {"check": "stop", "within": "5s", "exit_code": 0},
]


@dataclass
class Scene:
    """A grading by way of a rogue; ``local`` as in `Engine`."""

    rogue: Rogue
    real: Engine
    local: bool
    exercise: Exercise
    rubric: Rubric
    learners: Path

    def grade(self, *only: str, folder: str = "learner") -> GradeResult:
        """Grades by some of the checks, all if none is named."""
        learner = self.learners / folder
        return grading.grade(
            grading.Request(self.exercise, self.rubric, learner, engine=self._engine, only=only, stand_ins=True)
        )

    def _engine(self) -> Engine:
        return replace(connect(), local=self.local)

    def left(self) -> list[str]:
        """What this process has made in the engine and not removed."""
        client = self.real.client
        everything = [
            *client.containers(all=True, filters={"label": RUN}),
            *client.images(filters={"label": RUN}),
        ]
        return [one["Id"] for one in everything if f":{os.getpid()}:" in (one.get("Labels") or {}).get(OWNER, "")]


@contextmanager
def scene(folder: Path, rogue: Rogue, real: Engine, *, local: bool) -> Iterator[Scene]:
    """The exercise, written below ``folder``."""
    app = {"port": 5000, "ready": {"within": "20s"}}
    # The second has a Python for the probe that an engine elsewhere needs.
    bases = ("debian:bookworm-slim", "python:3.11-slim")
    course = exercise_folder(folder, CHECKS, app=app, own={"app.pl": APP}, base_images=bases)
    # Of an image in which something was deleted, an engine elsewhere is asked for all files once more.
    for name, gone in (("learner", " && rm /etc/issue"), ("kept", "")):
        write_files(folder / name, {"Dockerfile": _DOCKERFILE.format(gone=gone)})
    exercise = resolve(find_course(course.parent), course.name)
    yield Scene(rogue, real, local, exercise, rubric.load(exercise.rubric_path, types()), folder)


def verdicts(result: GradeResult) -> object:
    """What a fault that was survived must not change."""
    return result.status, result.score, [(check.id, check.status, check.score) for check in result.checks]


def told_as_ours(result: GradeResult) -> list[str]:
    """What is wrong with how a fault of the engine is told; empty when nothing is."""
    wrong = []
    if (result.status, result.score, exit_code(result)) != (Status.ERROR, None, ExitCode.INFRASTRUCTURE):
        wrong.append(f"{result.status.name}, score {result.score}, exit code {exit_code(result)}")
    errors = [check for check in result.checks if check.status is Status.ERROR]
    wrong += [f"{check.id} failed: {check.got}" for check in result.checks if check.status is Status.FAILED]
    told = [(result.problem.what, result.problem.fix, result.problem.fault)] if result.problem else []
    told += [(check.got, str(check.evidence.get("fix") or ""), check.fault or Fault.LEARNER) for check in errors]
    wrong += [f"{fault.name}: {what}" for what, _, fault in told if fault is not Fault.INFRASTRUCTURE]
    wrong += [f"nothing to do about: {what}" for what, fix, _ in told if not fix or "bug in the grader" in what]
    return wrong


def impatient(monkeypatch: pytest.MonkeyPatch, rogue: Rogue) -> list[str]:
    """Calls that the rogue will not answer are given up soon; returns those that have no limit of their own."""
    endless: list[str] = []
    ask, library = clients.Client.send, requests.Session.request

    def limited(method: str, url: str, limit: Any) -> Any:
        limits = limit if isinstance(limit, tuple) else (limit,)
        if not all(isinstance(one, int | float) and 0 < one < 3600 for one in limits):
            endless.append(f"{method} {url}: {limit}")
        path = url.partition("docker.sock")[2] if "docker.sock" in url else url
        return SOON if rogue.hangs_on(method, path) else limit

    def send(self: clients.Client, method: str, path: str, **more: Any) -> Answer:
        limit = limited(method, path, more.get("silence") or self.timeout)
        return ask(self, method, path, **{**more, "silence": limit if limit == SOON else more.get("silence")})

    def request(self: requests.Session, method: str, url: str, **more: Any) -> requests.Response:
        path = "/" + url.split("/", 3)[3] if url.count("/") > 2 else url
        return library(self, method, url, **{**more, "timeout": limited(method, path, more.get("timeout"))})

    monkeypatch.setattr(clients.Client, "send", send)
    monkeypatch.setattr(requests.Session, "request", request)
    return endless

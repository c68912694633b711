"""A submission's way to its verdict, on a real engine."""

from __future__ import annotations

import pytest

from grader.result import Fault, Status
from grader.tests.conftest import Grade

SERVER = """\
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"status": "ok", "path": self.path}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""
APP = {"port": 5000, "ready": {"path": "/", "within": "20s"}}
ANSWERS = {"check": "http", "get": "/", "json": {"status": "ok"}}


def served(command: str) -> str:
    return f"FROM python:3.11-slim\nCOPY server.py /\nCMD {command}\n"


def test_a_good_image_passes(grade: Grade) -> None:
    result = grade(
        served('["python3", "/server.py", "0.0.0.0", "5000"]'),
        [{"check": "build"}, {"check": "size", "max": "400MB"}, ANSWERS],
        app=APP,
        own={"server.py": SERVER},
    )
    assert [(check.id, check.status, check.got) for check in result.checks if check.status is not Status.PASSED] == []
    assert result.status is Status.PASSED
    assert result.score == 30


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ('["python3", "/server.py", "127.0.0.1", "5000"]', "127.0.0.1 only"),
        ('["python3", "/server.py", "0.0.0.0", "8000"]', "listens on port 8000, not on 5000"),
        ('["python3", "-c", "print(\'so long\'); raise SystemExit(7)"]', "exit code 7"),
        ('["sleep", "600"]', "does not listen on port 5000"),
        ('["/no/such/program"]', "does not exist"),
    ],
)
def test_an_app_that_does_not_serve_is_told_apart(grade: Grade, command: str, words: str) -> None:
    app = {"port": 5000, "ready": {"path": "/", "within": "4s"}}
    result = grade(served(command), [{"check": "build"}, ANSWERS], app=app, own={"server.py": SERVER})
    answers = result.checks[1]
    assert words in answers.got
    assert (answers.status, answers.fault, result.status) == (Status.FAILED, Fault.LEARNER, Status.FAILED)


def test_a_failed_required_check_skips_what_comes_after_and_is_named(grade: Grade) -> None:
    result = grade(
        "FROM debian:bookworm-slim\nRUN echo so; exit 3\n",
        [{"check": "build", "required": True}, {"check": "size", "max": "400MB"}],
    )
    build, size = result.checks
    assert (build.status, build.line) == (Status.FAILED, 2)
    assert "exit code 3" in build.got
    assert "so" in build.evidence["log"]
    assert size.status is Status.SKIPPED
    assert "build" in size.got
    assert result.score == 0

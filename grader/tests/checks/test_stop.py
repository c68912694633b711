"""An app that is told to stop: in time, late, never, and with which exit code."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import ValidationError

from grader.engine.running.app import Stopped
from grader.errors import EngineError
from grader.result import Status
from grader.tests.checks.doing import APP, SHELL, Doer, DoersWorkshop, doing
from grader.tests.checks.fakes import check

if TYPE_CHECKING:
    from grader.engine.connect import Engine
    from grader.engine.running.processes import Process
    from grader.tests.conftest import Grade

PASSED, FAILED = Status.PASSED, Status.FAILED


@pytest.mark.parametrize(
    ("text", "code", "verdict"),
    [
        ("", 0, PASSED),
        ("", 1, PASSED),
        ("", 143, PASSED),
        ("", 137, FAILED),
        ("", None, FAILED),
        ("exit_code: 0", 0, PASSED),
        ("exit_code: 0", 143, FAILED),
        ("exit_code: [0, 143]", 143, PASSED),
        ("exit_code: [0, 143]", 1, FAILED),
        ("exit_code: 137", 137, PASSED),
        ("exit_code: 137", None, FAILED),
    ],
)
def test_how_an_app_may_end(text: str, code: int | None, verdict: Status) -> None:
    outcome = check(f"check: stop, {text}").run(doing(Doer(stopped=Stopped(code, 0.5))))
    assert outcome.status is verdict
    assert ("killed" in outcome.got) == (code is None)


@pytest.mark.parametrize(
    ("first", "words"),
    [
        (SHELL, "is a shell, which does not pass SIGTERM on"),
        (replace(APP, handles=frozenset({2})), "does not handle SIGTERM"),
        (APP, "handles SIGTERM and goes on"),
    ],
)
def test_why_an_app_goes_on_is_told(first: Process, words: str) -> None:
    outcome = check("check: stop").run(doing(Doer([first], Stopped(None, 10.0))))
    assert f"still running after 10 s, and killed: {first.args and 'PID 1'}" in outcome.got
    assert words in outcome.got
    assert outcome.line == 2


def test_where_processes_cannot_be_seen_the_verdict_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Doer(stopped=Stopped(None, 10.0))

    def blind() -> Any:
        raise EngineError("cannot be seen")

    monkeypatch.setattr(app, "processes", blind)
    assert check("check: stop").run(doing(app)).got == "still running after 10 s, and killed"


@pytest.mark.parametrize(
    ("text", "config", "signal"),
    [
        ("", {}, "SIGTERM"),
        ("", {"StopSignal": "SIGINT"}, "SIGINT"),
        ("", {"StopSignal": "3"}, "SIGQUIT"),
        ("", {"StopSignal": "28"}, "SIGWINCH"),
        ("", {"StopSignal": "34"}, "SIGRTMIN"),
        ("", {"StopSignal": "37"}, "SIGRTMIN+3"),
        ("", {"StopSignal": "64"}, "SIGRTMAX"),
        ("signal: SIGUSR1", {"StopSignal": "SIGINT"}, "SIGUSR1"),
        ("signal: USR1", {}, "SIGUSR1"),
    ],
)
def test_which_signal_is_sent(text: str, config: dict[str, str], signal: str) -> None:
    app = Doer()
    check(f"check: stop, {text}").run(doing(app, config=config))
    assert app.signals == [(signal, 10.0)]


@pytest.mark.parametrize("number", ["32", "65", "99"])
def test_a_number_that_is_no_signal_is_the_learners(number: str) -> None:
    app = Doer()
    outcome = check("check: stop").run(doing(app, config={"StopSignal": number}))
    assert (outcome.status, outcome.got, app.signals) == (Status.FAILED, f"STOPSIGNAL {number} is no signal", [])


def test_a_checks_timeout_bounds_the_start_and_the_end() -> None:
    app = Doer()
    subject = doing(app)
    check("check: stop, within: 60s, timeout: 2s").run(subject)
    assert cast("DoersWorkshop", subject.workshop).started[0]["at_most"] <= 2.0
    assert app.signals[0][1] <= 2.0


@pytest.mark.parametrize("text", ["exit_code: []", "exit_code: -1", "signal: SIGKILL", "signal: SIGSTOP", "signal: X"])
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        check(f"check: stop, {text}")


# --- on a real engine -----------------------------------------------------------------------------------------------

SERVER = """\
import http.server, os, signal, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
server = http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Handler)
def end(*_):
    print("ending with exit code 0", flush=True)
    os._exit(int(sys.argv[2]))
signal.signal(signal.SIGINT, signal.SIG_IGN)
if sys.argv[1] == "ends": signal.signal(signal.SIGTERM, end)
if sys.argv[1] == "ends-on-quit": signal.signal(signal.SIGQUIT, end)
if sys.argv[1] == "ignores": signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[1] == "traps": signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
server.serve_forever()
"""
SLIM = "FROM python:3.11-slim\nCOPY app.py /\n"


@pytest.mark.parametrize(
    ("end", "asked", "words"),
    [
        ('CMD ["python3", "/app.py", "ends", "0"]', {"exit_code": 0}, ""),
        ('CMD ["python3", "/app.py", "ends", "143"]', {"exit_code": [0, 143]}, ""),
        ("CMD exec python3 /app.py ends 0", {}, ""),
        ('STOPSIGNAL SIGQUIT\nCMD ["python3", "/app.py", "ends-on-quit", "0"]', {}, ""),
        ('CMD ["python3", "/app.py", "ends-on-quit", "5"]', {"signal": "SIGQUIT", "exit_code": 5}, ""),
        ('CMD ["python3", "/app.py", "ends", "3"]', {"exit_code": 0}, "exit code 3 after"),
        ('CMD ["python3", "/app.py", "ends", "137"]', {}, "exit code 137 after"),
        ("CMD python3 /app.py ends 0; true", {}, "is a shell, which does not pass SIGTERM on"),
        ('CMD ["python3", "/app.py", "ignores"]', {}, "does not handle SIGTERM"),
        ('CMD ["python3", "/app.py", "none"]', {}, "does not handle SIGTERM"),
        ('CMD ["python3", "/app.py", "traps"]', {}, "handles SIGTERM and goes on"),
        ('STOPSIGNAL SIGINT\nCMD ["python3", "/app.py", "ends", "0"]', {}, "SIGINT"),
    ],
)
def test_an_app_that_is_told_to_stop(grade: Grade, end: str, asked: dict[str, Any], words: str) -> None:
    check, after = grade(
        f"{SLIM}{end}\n",
        [{"check": "stop", "within": "1500ms", **asked}, {"check": "http", "get": "/"}],
        app={"port": 5000},
        own={"app.py": SERVER},
    ).checks
    assert (check.status, words in check.got) == (FAILED if words else PASSED, True), check.got
    assert after.status is PASSED, "other checks keep their app"


def test_a_server_elsewhere_is_stopped_beside_the_shared_one(grade: Grade, engine: Engine) -> None:
    checks = grade(
        SLIM + 'CMD ["python3", "/app.py", "ends", "0"]\n',
        [{"check": "http", "get": "/"}, {"check": "stop"}, {"check": "http", "id": "after", "get": "/"}],
        app={"port": 5000},
        own={"app.py": SERVER},
        on=replace(engine, local=False),
    ).checks
    assert [(check.id, check.got) for check in checks if check.status is not PASSED] == []

"""Whose the app's processes are and which one is PID 1, whatever they call themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import ValidationError

from grader.errors import EngineError, SubmissionError
from grader.result import Fault, Status
from grader.tests.checks.doing import APP, CHILD, ROOT, SHELL, Doer, DoersWorkshop, doing
from grader.tests.checks.fakes import check

if TYPE_CHECKING:
    from grader.engine.connect import Engine
    from grader.engine.running.processes import Process
    from grader.tests.conftest import Grade

PASSED, FAILED = Status.PASSED, Status.FAILED
TINI = replace(SHELL, program="/usr/bin/tini", shell=False)
WORKER = replace(APP, pid=8, parent=1)
OURS = replace(APP, pid=30, parent=0, users=ROOT)


@pytest.mark.parametrize(
    ("text", "processes", "words"),
    [
        ("not_root: true", [APP], ""),
        ("not_root: true", [replace(APP, users=ROOT)], "runs as root"),
        ("not_root: true", [APP, replace(WORKER, users=ROOT)], "PID 8"),
        ("not_root: true", [replace(APP, users=(1000, 1000, 0))], "runs as root"),
        ("not_root: true", [APP, OURS], ""),
        ("user: app", [APP], ""),
        ("user: 1000", [APP], ""),
        ("user: '1000'", [APP], ""),
        ("user: 1234", [replace(APP, users=(1234, 1234, 1234))], ""),
        ("user: app", [replace(APP, users=ROOT)], "runs as root (0)"),
        ("user: app", [replace(APP, users=(7, 7, 7))], "runs as 7"),
        ("user: nobody", [APP], "no user nobody"),
        ("user: toor", [replace(APP, users=ROOT)], "another name of root"),
        ("user: root", [replace(APP, users=ROOT)], ""),
        ("user: 0", [replace(APP, users=ROOT)], ""),
        ("app_is_pid_1: true", [APP], ""),
        ("app_is_pid_1: true", [APP, WORKER], ""),
        ("app_is_pid_1: true", [SHELL, CHILD], "is a shell; PID 7"),
        ("app_is_pid_1: true", [TINI, CHILD], "is not the app; PID 7"),
        ("app_is_pid_1: true", [replace(APP, ports=frozenset({80}))], "nobody listens on port 5000"),
        ("app_is_pid_1: true, init: allowed", [TINI, CHILD], ""),
        ("app_is_pid_1: true, init: allowed", [APP], ""),
        ("app_is_pid_1: true, init: allowed", [SHELL, CHILD], "is a shell"),
        ("app_is_pid_1: true, init: allowed", [replace(TINI, shell=True), CHILD], "is a shell"),
        ("app_is_pid_1: true, init: allowed", [TINI, replace(CHILD, parent=6)], "is not the app"),
        ("app_is_pid_1: true, init: allowed", [replace(TINI, program="/x/start"), CHILD], "is not the app"),
        ("pid_1: python", [APP], ""),
        ("pid_1: python3.11", [APP], ""),
        ("pid_1: pyth", [APP], "PID 1 runs /usr/bin/python3.11"),
        ("pid_1: python", [replace(APP, program="/opt/pythonic")], "PID 1 runs /opt/pythonic"),
        ("pid_1: python", [replace(APP, program="/opt/sh", args=("python",), name="python")], "PID 1 runs /opt/sh"),
        ("pid_1: python", [replace(APP, shell=True)], "(a shell)"),
        ("pid_1: bash", [replace(SHELL, program="/usr/bin/bash")], ""),
        ("max_processes: 2", [APP, WORKER, OURS], ""),
        ("max_processes: 1", [APP, WORKER], "2 processes"),
    ],
)
def test_what_is_asked_of_the_processes(text: str, processes: list[Process], words: str) -> None:
    outcome = check(f"check: process, {text}").run(doing(Doer(processes)))
    assert (outcome.status, words in outcome.got) == (FAILED if words else PASSED, True), outcome.got


@pytest.mark.parametrize(
    ("text", "dockerfile", "line"),
    [
        ("not_root: true", "FROM base\nUSER root\nCMD python app.py\n", 2),
        ("not_root: true", "FROM base\nCMD python app.py\n", None),
        ("app_is_pid_1: true", "FROM base\nUSER root\nCMD python app.py\n", 3),
        ("app_is_pid_1: true", 'FROM base\nCMD ["a"]\nENTRYPOINT python app.py\n', 3),
    ],
)
def test_the_line_that_says_so_is_told(text: str, dockerfile: str, line: int | None) -> None:
    app = Doer([replace(SHELL, users=ROOT), CHILD])
    assert check(f"check: process, {text}").run(doing(app, dockerfile=dockerfile)).line == line


def test_a_read_only_root_is_given_to_an_app_of_its_own() -> None:
    subject = doing()
    assert check("check: process, read_only: true, tmpfs: [/tmp]").run(subject).status is PASSED
    (changes,) = cast("DoersWorkshop", subject.workshop).started
    assert (changes["read_only"], changes["tmpfs"]) == (True, ("/tmp",))


@pytest.mark.parametrize(("error", "learners"), [(SubmissionError, True), (EngineError, False)])
def test_an_app_that_needs_to_write_fails_and_says_what_it_said(
    monkeypatch: pytest.MonkeyPatch, error: type[SubmissionError], *, learners: bool
) -> None:
    subject = doing()

    def refuse(*_: object, **__: object) -> Any:
        raise error("The app ended, with exit code 1", log=("Read-only file system",))

    monkeypatch.setattr(subject.workshop, "start_app", refuse)
    it = check("check: process, read_only: true")
    if learners:
        outcome = it.run(subject)
        assert outcome.status is FAILED
        assert "read-only root file system: The app ended" in outcome.got
        assert outcome.evidence["log"] == ["Read-only file system"]
    else:
        with pytest.raises(EngineError):
            it.run(subject)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title: x", "asks for nothing"),
        ("not_root: true, tmpfs: [/tmp]", "without `read_only"),
        ("not_root: true, init: allowed", "without `app_is_pid_1"),
        ("read_only: true, tmpfs: [tmp]", "pattern"),
        ("pid_1: /usr/bin/python", "pattern"),
        ("max_processes: 0", "greater than or equal to 1"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        check(f"check: process, {text}")


# --- on a real engine -----------------------------------------------------------------------------------------------

SERVER = """\
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
server = http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Handler)
if "write" in sys.argv: open("/tmp/file", "w").close()
if "write-run" in sys.argv: open("/run/file", "w").close()
if "fork" in sys.argv: os.fork()
if "init" in sys.argv: raise SystemExit
server.serve_forever()
"""
SLIM = "FROM python:3.11-slim\nCOPY app.py /\nRUN useradd -u 1234 app\n"
PROCESS = {"check": "process"}


@pytest.fixture(params=["local", "elsewhere"])
def on(request: pytest.FixtureRequest, engine: Engine) -> Engine:
    return engine if request.param == "local" else replace(engine, local=False)


def verdicts(grade: Grade, dockerfile: str, *asked: dict[str, Any], on: Engine | None = None) -> dict[str, str]:
    """What is wrong by each question; nothing where all is well."""
    checks = [{"id": f"c{number}", **PROCESS, **question} for number, question in enumerate(asked)]
    result = grade(dockerfile, checks, app={"port": 5000}, own={"app.py": SERVER}, on=on)
    assert all(found.fault in (None, Fault.LEARNER) for found in result.checks), result.checks
    return {" ".join(q): "" if c.status is PASSED else c.got for q, c in zip(asked, result.checks, strict=True)}


def test_an_app_that_runs_as_it_should(grade: Grade, on: Engine) -> None:
    found = verdicts(
        grade,
        SLIM + 'USER app\nCMD ["python3", "/app.py", "fork"]\n',
        {"not_root": True, "user": "app"},
        {"user": 1234, "max_processes": 2},
        {"app_is_pid_1": True, "pid_1": "python"},
        {"read_only": True},
        {"max_processes": 1},
        on=on,
    )
    assert found.pop("max_processes").startswith("2 processes: python3.11, python3.11")
    assert set(found.values()) == {""}, found


def test_an_app_that_does_not(grade: Grade, on: Engine) -> None:
    found = verdicts(
        grade,
        SLIM + "CMD python3 /app.py; true\n",
        {"not_root": True},
        {"user": "app"},
        {"app_is_pid_1": True},
        {"pid_1": "python"},
        on=on,
    )
    assert "runs as root" in found["not_root"]
    assert "runs as root (0)" in found["user"]
    assert "is a shell; PID" in found["app_is_pid_1"]
    assert "(a shell)" in found["pid_1"]


@pytest.mark.parametrize(
    ("how", "shell"),
    [
        # The arguments, the name of the process and that of its file are all lies.
        ("""CMD ["bash", "-c", "exec -a python3 bash -c 'python3 /app.py; true'"]""", "/usr/bin/bash"),
        ('RUN cp /bin/bash /opt/python3\nCMD ["/opt/python3", "-c", "python3 /app.py; true"]', "/opt/python3"),
        ('RUN cp /bin/dash /opt/tini\nCMD ["/opt/tini", "-c", "python3 /app.py; true"]', "/opt/tini"),
        (
            'RUN cp /bin/bash /opt/python3\nCMD ["/opt/python3", "-c", "rm /opt/python3; python3 /app.py; true"]',
            "/opt/python3",
        ),
    ],
)
def test_a_shell_by_any_other_name_is_one(grade: Grade, how: str, shell: str) -> None:
    found = verdicts(grade, f"{SLIM}{how}\n", {"app_is_pid_1": True, "init": "allowed"}, {"pid_1": "python"})
    assert f"({shell}" in found["app_is_pid_1 init"]
    assert "is a shell" in found["app_is_pid_1 init"]
    assert found["pid_1"] == f"PID 1 runs {shell} (a shell)"


def test_an_init_may_be_allowed(grade: Grade) -> None:
    init = "import subprocess; subprocess.run(['python3', '/app.py'])"
    found = verdicts(
        grade,
        f'{SLIM}RUN cp /usr/local/bin/python3.11 /usr/local/bin/tini\nCMD ["tini", "-c", "{init}"]\n',
        {"app_is_pid_1": True, "init": "allowed"},
        {"app_is_pid_1": True},
    )
    assert found["app_is_pid_1 init"] == ""
    assert "tini" in found["app_is_pid_1"]


def test_a_user_who_is_root_by_another_name_is_root(grade: Grade) -> None:
    found = verdicts(
        grade,
        SLIM + 'RUN echo "boss:x:0:0::/:/bin/sh" >> /etc/passwd\nUSER boss\nCMD ["python3", "/app.py"]\n',
        {"not_root": True},
        {"user": "boss"},
    )
    assert "runs as root" in found["not_root"]
    assert "another name of root" in found["user"]


@pytest.mark.parametrize(("folder", "word"), [("/tmp", "write"), ("/run", "write-run")])
def test_an_app_that_needs_a_writable_root_is_told(grade: Grade, folder: str, word: str) -> None:
    found = verdicts(
        grade,
        f'{SLIM}CMD ["python3", "/app.py", "{word}"]\n',
        {"read_only": True},
        {"read_only": True, "tmpfs": [folder]},
    )
    assert "The app ended, with exit code 1" in found["read_only"]
    assert found["read_only tmpfs"] == ""

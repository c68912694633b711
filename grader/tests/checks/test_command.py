"""Commands in the image and in the running app: what they print, how they end, and what they cannot do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import ValidationError

from grader.result import Fault, Status
from grader.tests.checks.doing import Doer, DoersWorkshop, doing, done
from grader.tests.checks.fakes import FRESH, check

if TYPE_CHECKING:
    from grader.engine.connect import Engine
    from grader.engine.running.run import Finished
    from grader.tests.conftest import Grade

PASSED, FAILED = Status.PASSED, Status.FAILED
SLIM = "FROM python:3.11-slim\n"


@pytest.mark.parametrize(
    ("text", "finished", "words"),
    [
        ("", done(0), ""),
        ("", done(3, stderr="oh no"), "exit code 3: oh no"),
        ("exit_code: 3", done(3), ""),
        ("exit_code: [0, 3]", done(3), ""),
        ("exit_code: [0, 3]", done(4), "exit code 4"),
        ("", done(None, elapsed=5.0), "still running after 5.0 s"),
        ("", done(127, refused="`x` does not exist in the image"), "`x` does not exist"),
        ("exit_code: 127", done(127, refused="`x` does not exist in the image"), ""),
        ("", done(137, out_of_memory=True), "more memory"),
        ("text: a.c", done(stdout="xa.cx"), ""),
        ("text: a.c", done(stdout="abc"), "stdout without that text: abc"),
        ("text: a", done(stderr="a"), "stdout without that text: nothing"),
        ("expected_output: [a.c, '^x']", done(stdout="xabc"), ""),
        ("expected_output: [a.c, '^x']", done(stdout="abc"), "stdout without a match of ^x: abc"),
        ("excluded_output: [a.c]", done(stdout="ab"), ""),
        ("excluded_output: [a.c]", done(stdout="abc"), "stdout with a match of a.c"),
        ("expected_error: [a.c]", done(stderr="abc"), ""),
        ("expected_error: [a.c]", done(stdout="abc"), "stderr without a match"),
        ("excluded_error: [a.c]", done(stdout="abc"), ""),
        ("excluded_error: [a.c]", done(stderr="abc"), "stderr with a match"),
        ("excluded_output: [a]", done(stdout="b", stdout_cut=True), "more than 1 MB on stdout"),
        ("excluded_error: [a]", done(stdout="b", stdout_cut=True), ""),
        ("", done(stdout="b", stdout_cut=True), ""),
        ("text: '{fresh.reversed}'", done(stdout=FRESH[::-1]), ""),
        ("text: '{fresh.reversed}'", done(stdout=FRESH), "stdout without"),
        ("expected_output: ['^{fresh}$']", done(stdout=FRESH), ""),
        ("text: �", replace(done(), stdout=b"\xff"), ""),
    ],
)
def test_what_is_asked_of_a_command(text: str, finished: Finished, words: str) -> None:
    outcome = check(f"check: command, command: [x], {text}").run(doing(finished=finished))
    assert (outcome.status, words in outcome.got) == (FAILED if words else PASSED, True), outcome.got


@pytest.mark.parametrize(
    ("text", "words", "options"),
    [
        ("command: [echo, '{fresh}']", ["echo", FRESH], {"entrypoint": False, "user": "", "workdir": ""}),
        ("command: 'echo {fresh}'", ["/bin/sh", "-c", f"echo {FRESH}"], {}),
        ("command: [x], entrypoint: true, user: 0", ["x"], {"entrypoint": True, "user": "0"}),
        ("command: [x], env: {A: '{fresh}'}, workdir: /app", ["x"], {"env": {"A": FRESH}, "workdir": "/app"}),
        ("command: [x], within: 9s", ["x"], {"within": 9.0}),
    ],
)
def test_what_is_run(text: str, words: list[str], options: dict[str, Any]) -> None:
    subject = doing()
    check(f"check: command, {text}").run(subject)
    ((ran, given),) = cast("DoersWorkshop", subject.workshop).ran
    assert list(ran) == words
    assert given.items() >= options.items()


def test_a_checks_timeout_bounds_the_command_too() -> None:
    subject = doing()
    check("check: command, command: [x], within: 9s, timeout: 2s").run(subject)
    assert cast("DoersWorkshop", subject.workshop).ran[0][1]["within"] <= 2.0


def test_a_command_in_the_app_runs_in_the_app() -> None:
    app = Doer(runs=lambda *_: done(stdout="from the app"))
    subject = doing(app)
    assert check("check: command, command: [x], in: app, text: from the app").run(subject).status is PASSED
    assert not cast("DoersWorkshop", subject.workshop).ran
    assert app.ran[0][0] == ["x"]


def test_a_shell_is_looked_for_before_it_is_called() -> None:
    subject = doing(shell=False)
    outcome = check("check: command, command: 'true'").run(subject)
    assert (outcome.status, outcome.got) == (FAILED, "the image has no /bin/sh that could run it")
    assert not cast("DoersWorkshop", subject.workshop).ran
    assert check("check: command, command: ['true']").run(subject).status is PASSED


@pytest.mark.parametrize(
    ("command", "program", "line"),
    [
        ("tool", "/usr/local/bin/tool", 2),
        ("python3.11", "/usr/bin/python3.11", None),
        ("/usr/local/bin/../bin/tool", "/usr/local/bin/tool", 2),
        ("nothing", None, None),
    ],
)
def test_whose_program_it_was_is_told(command: str, program: str | None, line: int | None) -> None:
    outcome = check(f"check: command, command: [{command}]").run(doing(finished=done(1)))
    assert (outcome.line, outcome.evidence["program"]) == (line, program)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("command: []", "empty"),
        ("command: ''", "empty"),
        ("command: ['', x]", "empty"),
        ('command: ["a\\0b"]', "empty"),
        ("command: [x], in: app, entrypoint: true", "of its own only"),
        ("command: [x], exit_code: []", "name one"),
        ("command: [x], exit_code: 256", "255"),
        ("command: ['{fresh.md5}']", "fresh.md5"),
        ("command: [x], expected_output: ['(']", "no regular expression"),
        ("command: [x], text: ''", "1 character"),
        ("command: [x], workdir: app", "pattern"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        check(f"check: command, {text}")


# --- on a real engine -----------------------------------------------------------------------------------------------

COMMAND = {"check": "command"}
WORKS = {**COMMAND, "command": ["python3", "-c", "print('{fresh}'[::-1])"], "text": "{fresh.reversed}"}
IN_SHELL = {**COMMAND, "id": "shell", "command": "echo {fresh} | rev", "text": "{fresh.reversed}"}


@pytest.fixture(params=["local", "elsewhere"])
def on(request: pytest.FixtureRequest, engine: Engine) -> Engine:
    return engine if request.param == "local" else replace(engine, local=False)


def test_commands_that_work_pass_and_are_told(grade: Grade) -> None:
    result = grade(
        SLIM + "ENV A=image\nWORKDIR /srv\nUSER www-data\n",
        [
            WORKS,
            {**COMMAND, "id": "who", "command": "id -un; pwd; echo $A", "expected_output": [r"^www-data\n/srv\nimage"]},
            {**COMMAND, "id": "other", "command": ["id", "-u"], "user": 0, "text": "0"},
            {**COMMAND, "id": "where", "command": "pwd; echo $A", "workdir": "/tmp", "env": {"A": "rubric"},
             "expected_output": [r"^/tmp\nrubric"]},
            {**COMMAND, "id": "apart", "command": "echo out; echo err >&2; exit 7", "exit_code": 7,
             "expected_output": ["^out\n$"], "expected_error": ["^err\n$"]},
            {**COMMAND, "id": "binary", "command": r"printf '\377\0'", "expected_output": ["^\ufffd\\x00$"]},
            {**COMMAND, "id": "none", "command": ["nosuch"], "exit_code": 127},
            {**COMMAND, "id": "no-program", "command": ["/etc"], "exit_code": 126},
        ],
    )  # fmt: skip
    assert [(check.id, check.got) for check in result.checks if check.status is not PASSED] == []
    assert result.checks[0].evidence["program"] == "/usr/local/bin/python3.11"


def test_an_entrypoint_cannot_swallow_the_command(grade: Grade) -> None:
    swallow = SLIM + "RUN printf '#!/bin/sh\\necho expected\\n' > /swallow && chmod +x /swallow\n"
    asked = {**COMMAND, "command": ["python3", "-c", "print('real')"]}
    kept, swallowed = grade(
        swallow + 'ENTRYPOINT ["/swallow"]\n',
        [
            {**asked, "id": "kept", "text": "real", "excluded_output": ["expected"]},
            {**asked, "id": "swallowed", "text": "real", "entrypoint": True},
        ],
    ).checks
    assert (kept.status, swallowed.status) == (PASSED, FAILED)
    assert "stdout without that text: expected" in swallowed.got


def test_an_entrypoint_gets_the_command_when_asked_for(grade: Grade) -> None:
    (check,) = grade(
        SLIM + 'ENTRYPOINT ["python3", "-c", "import sys; print(sys.argv[1:])"]\n',
        [{**COMMAND, "command": ["a", "b"], "entrypoint": True, "text": "['a', 'b']"}],
    ).checks
    assert check.status is PASSED, check.got


def test_a_shell_that_lies_cannot_know_what_is_fresh(grade: Grade) -> None:
    lie = r"""#!/usr/local/bin/python3\nprint("0123456789abcdef")\n"""
    lies = f"RUN printf '{lie}' > /lie && chmod +x /lie && cp /lie /bin/sh\n"
    lied, own = grade(
        SLIM + 'SHELL ["/bin/bash", "-c"]\n' + lies, [IN_SHELL, {**WORKS, "id": "without-a-shell"}]
    ).checks
    assert (lied.status, own.status) == (FAILED, PASSED)
    assert lied.line == 3
    assert "0123456789abcdef" in lied.got


def test_an_image_without_a_shell_is_told_so(grade: Grade) -> None:
    shell, own = grade("FROM gcr.io/distroless/python3-debian12\n", [IN_SHELL, {**WORKS, "id": "own"}]).checks
    assert (shell.status, shell.fault, own.status) == (FAILED, Fault.LEARNER, PASSED)
    assert "no /bin/sh" in shell.got


def test_what_never_ends_is_ended(grade: Grade, engine: Engine) -> None:
    endless, noisy, daemon = grade(
        SLIM,
        [
            {**COMMAND, "id": "endless", "command": ["sleep", "1000"], "within": "1s"},
            {**COMMAND, "id": "noisy", "command": ["yes"], "within": "1s", "text": "y"},
            {**COMMAND, "id": "daemon", "command": "sleep 1000 & echo $!", "within": "20s", "text": "7"},
        ],
    ).checks
    assert "still running after 1" in endless.got
    assert "still running after 1" in noisy.got
    assert "more than 1 MB" in noisy.got
    assert len(noisy.evidence["stdout"]) == 4096
    assert daemon.status in (PASSED, FAILED)
    assert "still running" not in daemon.got


def test_a_command_has_no_more_than_the_app_has(grade: Grade) -> None:
    look = (
        "import os, socket; s = open('/proc/self/status').read();"
        "print(*(l for l in s.splitlines() if l[:6] in ('CapEff', 'CapBnd', 'NoNewP')));"
        "print(*(name for _, name in socket.if_nameindex()))"
    )
    (check,) = grade(
        SLIM, [{**COMMAND, "command": ["python3", "-c", look], "expected_output": [
            r"^CapEff:\s+0{16} CapBnd:\s+0{16} NoNewPrivs:\s+1\nlo\n$"]}]
    ).checks  # fmt: skip
    assert check.status is PASSED, check.got


def test_more_memory_than_allowed_is_told(grade: Grade) -> None:
    (check,) = grade(
        SLIM, [{**COMMAND, "command": ["python3", "-c", "x = b'x' * 400_000_000"]}], app={"port": 1, "memory": "50MB"}
    ).checks
    assert check.status is FAILED
    assert "137" in check.got


SERVER = """\
import http.server, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
pathlib.Path("/tmp/made").write_text("while running")
http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Handler).serve_forever()
"""
SERVES = SLIM + 'COPY app.py /\nUSER www-data\nCMD ["python3", "/app.py"]\n'


def test_a_command_in_the_app_sees_what_the_app_made(grade: Grade, on: Engine) -> None:
    image, app, endless, after = grade(
        SERVES,
        [
            {**COMMAND, "id": "image", "command": ["cat", "/tmp/made"], "exit_code": 1},
            {**COMMAND, "id": "app", "in": "app", "command": "cat /tmp/made; id -un", "text": "while runningwww-data"},
            {**COMMAND, "id": "endless", "in": "app", "command": "sleep 1000 & sleep 1000", "within": "1s"},
            {
                **COMMAND,
                "id": "after",
                "in": "app",
                "command": "cat /proc/[0-9]*/cmdline",
                "excluded_output": ["100[0]"],
            },
        ],
        app={"port": 5000},
        own={"app.py": SERVER},
        on=on,
    ).checks
    assert (image.status, app.status) == (PASSED, PASSED), (image.got, app.got)
    assert "still running after 1" in endless.got
    assert after.status is PASSED, after.got


def test_an_app_that_has_ended_is_the_learners(grade: Grade) -> None:
    kill = "import os, signal; os.kill(1, signal.SIGUSR1)"
    server = SERVER.replace(
        "pathlib.Path", "import signal; signal.signal(signal.SIGUSR1, lambda *_: exit(3))\npathlib.Path"
    )
    first, second = grade(
        SERVES,
        [
            {**COMMAND, "id": "kill", "in": "app", "command": ["python3", "-c", kill], "exit_code": [0, 137]},
            {**COMMAND, "id": "after", "in": "app", "command": ["sleep", "1"]},
        ],
        app={"port": 5000},
        own={"app.py": server},
    ).checks
    assert first.status is PASSED, first.got
    assert (second.status, second.fault) == (FAILED, Fault.LEARNER)


def test_a_user_that_is_not_there_is_the_learners(grade: Grade) -> None:
    (check,) = grade(SLIM, [{**COMMAND, "command": ["id"], "user": "nobody-here"}]).checks
    assert (check.status, check.fault) == (FAILED, Fault.LEARNER)
    assert check.got == "the image's /etc/passwd has no user nobody-here"

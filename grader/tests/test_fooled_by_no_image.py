"""Images and submissions made to deceive, each with the verdict that it must get on a real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from grader.result import Fault, Status

if TYPE_CHECKING:
    from grader.result import CheckResult
    from grader.tests.conftest import Grade

FULL = "FROM python:3.11 AS full\n"
SLIM = "FROM python:3.11-slim\n"
NO_GCC = {"check": "absent", "commands": ["gcc"]}
APP = {"port": 5000, "ready": {"path": "/", "within": "20s"}}
OWN = {
    "app.py": """\
import http.server, hashlib

class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = hashlib.sha256(self.path.encode()).hexdigest().encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

http.server.HTTPServer(("", 5000), App).serve_forever()
"""
}
#: Works the answer out of what it is asked.
COMPUTES = {"check": "http", "get": "/{fresh}", "status": 200, "matches": "^[0-9a-f]{64}$"}


def only(grade: Grade, dockerfile: str, check: dict[str, Any], **more: Any) -> CheckResult:
    (result,) = grade(dockerfile, [check], **more).checks
    return result


# --- compilers --------------------------------------------------------------------------------------------------------

LIAR = "printf '#!/bin/true\\n' > /usr/bin/which; printf '#!/bin/true\\n' > /usr/bin/find; chmod +x /usr/bin/which"


def test_an_image_whose_own_tools_lie_is_not_asked(grade: Grade) -> None:
    lying = f'{SLIM}RUN touch /usr/bin/gcc && chmod +x /usr/bin/gcc\nRUN {LIAR}\nENTRYPOINT ["true"]\n'
    result = only(grade, lying, NO_GCC)
    assert (result.status, result.line) == (Status.FAILED, 2), result


@pytest.mark.parametrize(
    "hidden",
    [
        "COPY --from=full /usr/bin/gcc /opt/tools/gcc",
        "COPY --from=full /usr/bin/gcc /usr/share/doc/readme.txt",
        "COPY --chmod=644 --from=full /usr/bin/gcc /opt/data",
    ],
    ids=["another folder", "another name", "not executable"],
)
def test_a_compiler_is_one_wherever_it_lies_and_whatever_it_is_called(grade: Grade, hidden: str) -> None:
    result = only(grade, f"{FULL}{SLIM}{hidden}\n", NO_GCC)
    assert (result.status, result.line) == (Status.FAILED, 3), result


def test_a_compiler_behind_a_symlink_is_one(grade: Grade) -> None:
    hidden = f"{FULL}{SLIM}COPY --from=full /usr/bin/gcc /opt/x\nRUN ln -s /opt/x /usr/local/bin/gcc\n"
    assert only(grade, hidden, NO_GCC).status is Status.FAILED


def test_a_compiler_in_a_layer_below_ships_all_the_same(grade: Grade) -> None:
    deleted = f"{FULL}{SLIM}COPY --from=full /usr/bin/gcc /opt/helper\nRUN rm /opt/helper\n"
    assert only(grade, deleted, NO_GCC).status is Status.PASSED
    anywhere = only(grade, deleted, NO_GCC | {"anywhere": True})
    assert (anywhere.status, anywhere.line) == (Status.FAILED, 3), anywhere


def test_what_is_no_compiler_is_none(grade: Grade) -> None:
    speaks_of_it = f"{SLIM}RUN mkdir /gcc && echo 'COLLECT_GCC cc1 GNU C17' > /gcc/about && chmod +x /gcc/about\n"
    assert only(grade, speaks_of_it, NO_GCC).status is Status.PASSED


# --- stages -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dockerfile",
    [
        f"{SLIM}RUN <<END\nFROM python:3.11 AS builder\nEND\n",
        f"# FROM python:3.11 AS builder\n{SLIM}",
        f"{SLIM}RUN true \\\n# FROM python:3.11 AS builder\n && true\n",
        f"{FULL}{SLIM}",
    ],
    ids=["in a heredoc", "in a comment", "in a continuation", "unused"],
)
def test_a_second_stage_is_one_that_the_image_needs(grade: Grade, dockerfile: str) -> None:
    two = {"check": "dockerfile", "stages": {"min": 2}, "copies_from_stage": True}
    assert only(grade, dockerfile, two).status is Status.FAILED


# --- the app ----------------------------------------------------------------------------------------------------------


def test_an_app_that_was_replaced_by_its_answers_is_found_out(grade: Grade) -> None:
    canned = f"{SLIM}RUN echo {'0' * 64} > /index.html\nCOPY app.py /real.py\nRUN echo 'import http.server' > /app.py\n"
    canned += 'CMD ["python", "-m", "http.server", "5000", "--directory", "/"]\n'
    by_answer, by_file = grade(
        canned, [COMPUTES, {"check": "present", "path": "/app.py", "same_as": "app.py"}], app=APP, own=OWN
    ).checks
    assert by_answer.status is Status.FAILED
    assert (by_file.status, by_file.line) == (Status.FAILED, 4), by_file


def test_the_exercises_files_are_the_exercises(grade: Grade) -> None:
    dockerfile = f'{SLIM}WORKDIR /app\nCOPY . .\nCMD ["python", "app.py"]\n'
    mine = {
        "app.py": "raise SystemExit('mine')\n",
        "rubric.yaml": "format: 1\nchecks: []\n",
        "conftest.py": "raise SystemExit('loaded')\n",
        "grader/__init__.py": "raise SystemExit('loaded')\n",
        "starter/app.py": "raise SystemExit('mine')\n",
    }
    asked = [COMPUTES, {"check": "present", "path": "/app/app.py", "same_as": "app.py"}]
    result = grade(dockerfile, asked, app=APP, own=OWN, files=mine)
    assert (result.status, result.score) == (Status.PASSED, 20), result
    assert any("app.py" in note and "rubric.yaml" in note for note in result.notes)


# --- commands, shells and users ---------------------------------------------------------------------------------------


def test_an_entrypoint_does_not_swallow_the_command(grade: Grade) -> None:
    swallowing = f'{SLIM}ENTRYPOINT ["echo", "all is well"]\n'
    asked = {"check": "command", "command": ["python", "-c", "print('hello')"], "text": "all is well"}
    result = only(grade, swallowing, asked)
    assert (result.status, "hello" in result.got) == (Status.FAILED, True), result


def test_an_image_without_a_shell_says_so_and_runs_what_needs_none(grade: Grade) -> None:
    base = "gcr.io/distroless/python3-debian12"
    in_a_shell = {"id": "shell", "check": "command", "command": "python3 -V"}
    without = {"id": "exec", "check": "command", "command": ["/usr/bin/python3", "-V"]}
    shell, plain = grade(f"FROM {base}\n", [in_a_shell, without], base_images=(base,)).checks
    assert (shell.status, shell.fault) == (Status.FAILED, Fault.LEARNER)
    assert "no /bin/sh" in shell.got
    assert plain.status is Status.PASSED, plain


def test_a_user_that_does_not_exist_is_the_learners(grade: Grade) -> None:
    dockerfile = f'{SLIM}COPY app.py /\nUSER nobody-at-all\nCMD ["python", "/app.py"]\n'
    answers, configured = grade(
        dockerfile, [COMPUTES, {"check": "config", "user": "nobody-at-all"}], app=APP, own=OWN
    ).checks
    assert (answers.status, answers.fault) == (Status.FAILED, Fault.LEARNER), answers
    assert (configured.status, configured.line) == (Status.FAILED, 3), configured


@pytest.mark.parametrize(
    "lines",
    ["VOLUME /\n", "VOLUME /proc/\n", "VOLUME /x/../dev\n", "COPY app.py /etc/hosts/\n"],
    ids=["the root", "the kernel's files", "devices", "the engine's files"],
)
def test_what_no_engine_can_start_is_the_learners(grade: Grade, lines: str) -> None:
    dockerfile = f'{SLIM}COPY app.py /\n{lines}CMD ["python", "/app.py"]\n'
    answers, runs = grade(dockerfile, [COMPUTES, {"check": "command", "command": ["true"]}], app=APP, own=OWN).checks
    assert (answers.status, answers.fault) == (Status.FAILED, Fault.LEARNER), answers
    assert (runs.status, runs.fault) == (Status.FAILED, Fault.LEARNER), runs

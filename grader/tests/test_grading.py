"""A submission's way to its verdict, on a real engine."""

from __future__ import annotations

import gc
import json
import os
import secrets
import signal
from typing import TYPE_CHECKING

import jsonschema
import pytest

from grader import scratch
from grader.checks.http import Http
from grader.checks.size import Size
from grader.engine import leftovers
from grader.engine.connect import Engine, connect
from grader.errors import CleanUpInterrupted
from grader.making import Maker
from grader.result import Fault, Status
from grader.running import Interruption, signals
from grader.tests.proxy import Proxy
from grader.tests.reports.schema import RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from grader.checks.base import Outcome
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


# --- a fault of ours never costs points -------------------------------------------------------------------------------


@pytest.fixture
def tidy(engine: Engine) -> Iterator[None]:
    """Removes what a grading could not, because its engine had gone."""
    yield
    mine = f":{os.getpid()}:"
    for container in engine.client.containers(all=True, filters={"label": leftovers.RUN}):
        if mine in container["Labels"].get(leftovers.OWNER, ""):
            engine.client.remove_container(container["Id"], force=True)
    for image in engine.client.images(filters={"label": leftovers.RUN}):
        if mine in image["Labels"].get(leftovers.OWNER, ""):
            engine.client.remove_image(image["Id"], force=True)


@pytest.mark.parametrize("moment", [b"/build?", b"/containers/create", b"/start", b"/json HTTP"])
@pytest.mark.usefixtures("tidy")
# The client library forgets the socket of a connection that was refused; it is collected in here.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_an_engine_that_goes_away_is_no_verdict(
    moment: bytes, grade: Grade, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not engine.endpoint.startswith("unix://"):
        pytest.skip("the engine is not reached over a unix socket")
    with Proxy(tmp_path / "engine.sock", engine.endpoint, moment) as proxy:
        monkeypatch.setenv("DOCKER_HOST", proxy.endpoint)
        through = connect()
        result = grade(
            served('["python3", "/server.py", "0.0.0.0", "5000"]'),
            [{"check": "build"}, {"check": "size", "max": "1GB"}, ANSWERS],
            app=APP,
            own={"server.py": SERVER},
            on=through,
        )
        through.client.close()
        del through
    gc.collect()
    assert proxy.was_cut.is_set()
    assert (result.status, result.score, result.fault) == (Status.ERROR, None, Fault.INFRASTRUCTURE)
    assert [check for check in result.checks if check.status is Status.FAILED] == []
    bad = [check for check in result.checks if check.status is Status.ERROR]
    assert bad
    assert all("bug" not in check.got for check in bad), bad


def test_an_exception_in_a_check_is_an_error(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(_check: object, _subject: object) -> Outcome:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(Size, "run", explode)
    result = grade("FROM debian:bookworm-slim\n", [{"check": "build"}, {"check": "size", "max": "1GB"}])
    size = result.checks[1]
    assert (size.status, size.score, size.fault) == (Status.ERROR, None, Fault.INFRASTRUCTURE)
    assert "ZeroDivisionError: oops" in size.got
    assert (result.status, result.score) == (Status.ERROR, None)


@pytest.mark.parametrize("where", ["making.collect", "builder.building.build"])
def test_an_exception_anywhere_is_a_verdict(where: str, grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(f"grader.{where}", explode)
    result = grade("FROM debian:bookworm-slim\n", [{"check": "build"}])
    assert (result.status, result.score) == (Status.ERROR, None)
    assert result.problem is not None
    assert "a bug in the grader" in result.problem.what


def test_an_app_that_is_asked_for_unannounced_is_started_then(grade: Grade, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Http, "uses", frozenset())
    dockerfile = 'FROM python:3.11-slim\nCMD ["python", "-m", "http.server", "5000"]\n'
    answers = [{"check": "http", "get": "/"}]
    assert grade(dockerfile, answers, app=APP).status is Status.PASSED
    without = grade(dockerfile, answers)
    assert (without.status, without.fault) == (Status.ERROR, Fault.AUTHOR)


# --- what a learner does wrong ----------------------------------------------------------------------------------------


def test_a_build_that_hangs_is_stopped_and_names_its_line(grade: Grade) -> None:
    dockerfile = f"FROM debian:bookworm-slim\nRUN echo begun; sleep 600 # {secrets.token_hex(4)}\n"
    result = grade(dockerfile, [{"check": "build"}], build={"timeout": "3s"})
    (build,) = result.checks
    assert (build.status, build.fault, build.line) == (Status.FAILED, Fault.LEARNER, 2)
    assert result.duration < 40


def test_what_can_be_judged_without_an_image_is(grade: Grade) -> None:
    result = grade("FROM ubuntu\n", [{"check": "build"}, {"check": "dockerfile", "stages": {"max": 1}}])
    assert [check.status for check in result.checks] == [Status.FAILED, Status.PASSED]


def test_points_are_added_exactly(grade: Grade) -> None:
    check = {"check": "dockerfile", "stages": {"max": 1}}
    result = grade(
        "FROM debian:bookworm-slim\n", [check | {"id": f"c{p * 10:g}", "points": p} for p in (0.5, 0.2, 0.1)]
    )
    assert (result.score, result.max_score, result.status) == (0.8, 0.8, Status.PASSED)


# --- what no image can talk the grader into ---------------------------------------------------------------------------

LIAR = """\
FROM debian:bookworm-slim
RUN printf '#!/bin/true\\n' > /opt/gcc && chmod +x /opt/gcc \\
 && mkdir -p "/usr/share/... odd" && mv /opt/gcc "/usr/share/... odd/x86_64-linux-gnu-gcc-12" \\
 && for tool in which find ls sh; do rm -f /usr/bin/$tool; done
"""
NO_GCC = {"check": "absent", "commands": ["gcc"]}


def test_an_image_whose_own_tools_are_gone_hides_nothing(grade: Grade) -> None:
    (absent,) = grade(LIAR, [NO_GCC]).checks
    assert (absent.status, absent.line) == (Status.FAILED, 2)
    assert "/usr/share/... odd/x86_64-linux-gnu-gcc-12" in absent.got


@pytest.mark.parametrize("base", ["gcr.io/distroless/python3-debian12", "debian:bookworm-slim", "python:3.11-slim"])
def test_an_image_without_a_compiler_has_none(base: str, grade: Grade) -> None:
    result = grade(f"FROM {base}\n", [NO_GCC, {"check": "absent", "id": "two", "debian_packages": ["gcc-12"]}])
    assert [check.status for check in result.checks] == [Status.PASSED, Status.PASSED]


def test_the_compiler_of_the_full_image_is_found_in_every_way(grade: Grade) -> None:
    checks = [NO_GCC, {"check": "absent", "id": "deb", "debian_packages": ["gcc-12"]}]
    result = grade("FROM python:3.11\n", [*checks, {"check": "absent", "id": "path", "paths": ["/bin/gcc*"]}])
    assert [(check.status, check.line) for check in result.checks] == [(Status.FAILED, 1)] * 3


def test_a_purged_package_is_gone(grade: Grade) -> None:
    dockerfile = "FROM debian:bookworm-slim\nRUN dpkg --remove --force-all mawk\n"
    mawk, libc = grade(
        dockerfile,
        [
            {"check": "absent", "id": "mawk", "debian_packages": ["mawk"]},
            {"check": "absent", "id": "libc", "debian_packages": ["libc6"]},
        ],
    ).checks
    assert (mawk.status, libc.status, libc.line) == (Status.PASSED, Status.FAILED, 1)


def test_python_packages_are_found_and_uninstalled_ones_are_not(grade: Grade) -> None:
    check = {"check": "absent", "pip_packages": ["Pip"]}
    assert grade("FROM python:3.11-slim\n", [check]).status is Status.FAILED
    assert grade("FROM python:3.11-slim\nRUN pip uninstall -y pip\n", [check]).status is Status.PASSED


def test_an_app_that_knows_everything_but_the_fresh_value_fails(grade: Grade) -> None:
    fresh = {"check": "http", "get": "/{fresh}", "json": {"path": "/{fresh}"}}
    echo = served('["python3", "/server.py", "0.0.0.0", "5000"]')
    assert grade(echo, [fresh], app=APP, own={"server.py": SERVER}).status is Status.PASSED
    canned = SERVER.replace("self.path}", "'/0123456789abcdef'}")
    assert grade(echo, [fresh], app=APP, own={"server.py": canned}).status is Status.FAILED


def test_every_verdict_is_what_the_design_says(grade: Grade) -> None:
    for dockerfile in ("FROM debian:bookworm-slim\nUSER 1\n", "", None, b"\xff\x00"):
        result = grade(dockerfile, [{"check": "build"}, {"check": "size", "max": "1kB"}])
        jsonschema.validate(json.loads(json.dumps(result.to_json())), RESULT)


# --- what a result tells of the build and the app --------------------------------------------------------------------


def test_a_failed_build_tells_its_steps_and_what_they_printed(grade: Grade) -> None:
    result = grade("FROM debian:bookworm-slim\nRUN echo a word && exit 7\nRUN true\n", [{"check": "build"}])
    assert result.build is not None
    assert (result.image, result.app) == (None, None)
    steps = {step.line: step for step in result.build.steps if step.line}
    assert (steps[2].exit_code, steps[2].log) == (7, ("a word",))
    assert steps[2].error
    assert not steps[1].error
    jsonschema.validate(json.loads(json.dumps(result.to_json())), RESULT)


def test_a_second_grading_tells_what_came_from_the_cache(grade: Grade) -> None:
    dockerfile = f"FROM debian:bookworm-slim\nRUN echo {secrets.token_hex(8)} > /x && echo > /gone\nRUN rm /gone\n"
    cached = []
    for _ in range(2):
        result = grade(dockerfile, [{"check": "layers", "max_wasted": "1MB"}])
        assert result.build is not None
        cached.append([step.cached for step in result.build.steps if step.line in (2, 3)])
        assert result.image is not None
        assert (result.image.base, result.image.base_line) == ("debian:bookworm-slim", 1)
        assert [(each.path, each.size, each.added_line, each.hidden_line) for each in result.image.waste] == [
            ("gone", 1, 2, 3)
        ]
    assert cached == [[False, False], [True, True]]


def test_the_apps_log_is_told_unless_a_check_keeps_what_it_asks(grade: Grade) -> None:
    own = {"server.py": f"print('a word', flush=True)\n{SERVER}"}
    dockerfile = served('["python3", "/server.py", "0.0.0.0", "5000"]')
    asks = {"check": "http", "get": "/hidden"}
    # The engine takes down what a running app prints in its own time, which on a busy machine may be after the verdict.
    told: tuple[str, ...] = ()
    for _ in range(5):
        app = grade(dockerfile, [asks], app=APP, own=own).app
        assert app is not None
        assert app.started_in is not None
        assert app.log is not None
        if told := app.log:
            break
    assert "a word" in told
    kept = grade(dockerfile, [asks | {"show": "got-only"}], app=APP, own=own).app
    assert kept is not None
    assert kept.log is None


def test_an_app_that_ends_tells_its_log_and_no_start(grade: Grade) -> None:
    ends = served('["python3", "-c", "print(\'a word\'); exit(3)"]')
    app = grade(ends, [{"check": "http", "get": "/"}], app=APP, own={"server.py": SERVER}).app
    assert app is not None
    assert (app.port, app.started_in, app.log) == (5000, None, ("a word",))


# --- interruption -----------------------------------------------------------------------------------------------------


def test_a_signal_during_the_clean_up_waits_for_its_end() -> None:
    steps: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        _clean_up_under(2, steps)
    assert steps == ["begun", "ended"]


def test_whoever_insists_ends_the_clean_up_too() -> None:
    steps: list[str] = []
    with pytest.raises(CleanUpInterrupted):
        _clean_up_under(3, steps)
    assert steps == ["begun"]


def _clean_up_under(signals_sent: int, steps: list[str]) -> None:
    with Interruption() as interruption:
        interruption.shielded = True
        steps.append("begun")
        for _ in range(signals_sent):
            signal.raise_signal(signal.SIGINT)
        steps.append("ended")


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Maker, "prepare"), (Maker, "start"), (Maker, "seen"), (Size, "run")],
    ids=str,
)
def test_an_interruption_that_becomes_another_exception_is_no_bug_and_no_verdict(
    grade: Grade, engine: Engine, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    came: list[str] = []

    def lose(*_: object) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            came.append(name)
            raise RuntimeError("release unlocked lock")  # noqa: B904  # as a lock in Python does

    monkeypatch.setattr(owner, name, lose)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as raised:
            grade("FROM debian:bookworm-slim\n", [{"check": "size", "max": "1GB"}, {"check": "build"}])
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (raised.type, came) == (KeyboardInterrupt, [name])
    mine = {"label": leftovers.RUN}
    made = [*engine.client.containers(all=True, filters=mine), *engine.client.images(filters=mine)]
    assert not [one for one in made if f":{os.getpid()}:" in (one.get("Labels") or {}).get(leftovers.OWNER, "")]


def test_signals_are_somebody_elses_again_afterwards() -> None:
    before = [signal.getsignal(number) for number in signals()]
    with Interruption():
        assert [signal.getsignal(number) for number in signals()] != before
    assert [signal.getsignal(number) for number in signals()] == before


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Interruption():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_does_not_build_does_not_pass_even_where_nothing_asks_for_an_image(grade: Grade) -> None:
    result = grade(
        "FROM debian:bookworm-slim AS a\nRUN exit 3\n", [{"check": "dockerfile", "stages": {"min": 1, "named": False}}]
    )
    assert result.problem is not None
    assert result.status is Status.FAILED


def test_what_an_engine_finished_too_late_is_gone_after_the_next_grading(grade: Grade, engine: Engine) -> None:
    """An image whose build was given up: its owner has ended, and could not remove it."""
    labels = {leftovers.RUN: f"late-{secrets.token_hex(4)}", leftovers.OWNER: scratch.owner(1 << 30)}
    container = engine.client.create_container("debian:bookworm-slim", ["true"], labels=labels)["Id"]
    assert grade("FROM debian:bookworm-slim\n", [{"check": "build"}]).status is Status.PASSED
    assert container not in {one["Id"] for one in engine.client.containers(all=True)}

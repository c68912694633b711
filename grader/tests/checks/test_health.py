"""HEALTHCHECKs that tell a working app from a broken one, and those that only say so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from grader.checks import health
from grader.engine.content.layers import Entry
from grader.engine.running.run import Finished
from grader.errors import RubricError
from grader.result import Fault, Status
from grader.tests.checks.doing import Doer, DoersWorkshop, doing, done
from grader.tests.checks.fakes import FakeImage, check, program, subject
from grader.tests.engine.building import eventually, workshop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grader.engine.connect import Engine
    from grader.tests.conftest import Grade

PASSED, FAILED = Status.PASSED, Status.FAILED
Runs = Callable[[Any, bool], Finished]
TIMES = health._times
CONFIG: dict[str, Any] = {"Healthcheck": {"Test": ["CMD", "probe"]}}


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what a HEALTHCHECK does in which run can be written down."""
    monkeypatch.setattr(health, "_times", lambda: 1)


def in_order(*finished: Finished) -> Runs:
    left = list(finished)
    return lambda *_: left.pop(0) if len(left) > 1 else left[0]


def honest(_args: object, frozen: bool) -> Finished:  # noqa: FBT001
    return done(1 if frozen else 0)


def test_a_healthcheck_that_counts_its_runs_cannot_know_when_the_app_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def counting() -> Runs:
        return in_order(done(0), done(1), done(1), done(0))

    assert {TIMES() for _ in range(100)} == {1, 2, 3}
    outcomes = []
    for times in (1, 2, 3):
        monkeypatch.setattr(health, "_times", lambda times=times: times)
        outcomes.append(check("check: health").run(doing(Doer(runs=counting()), config=CONFIG)).status)
    assert outcomes == [PASSED, FAILED, FAILED]


@pytest.mark.parametrize(
    ("text", "runs", "words"),
    [
        ("", honest, ""),
        ("", lambda _, frozen: done(None if frozen else 0, elapsed=3.0), ""),
        ("", lambda *_: done(0), "still succeeds"),
        ("within: 300ms", lambda *_: done(1, stderr="no such file"), "exit code 1: no such file"),
        ("within: 300ms", lambda *_: done(127, refused="`curl` does not exist in the image"), "`curl` does not exist"),
        ("within: 300ms", lambda *_: done(None, elapsed=0.3), "still running after 0.3 s"),
        ("within: 300ms", in_order(done(1, stderr="no curl"), done(None, elapsed=0.1)), "exit code 1: no curl"),
        ("", in_order(done(1), done(1), done(0), done(1), done(1), done(0)), ""),
        ("", in_order(done(0), done(1), done(0)), "still succeeds"),
        ("within: 300ms", in_order(done(0), done(1), done(1), done(1)), "does not succeed again"),
        ("broken_by: nothing", lambda *_: done(0), ""),
        ("broken_by: nothing, within: 300ms", lambda *_: done(1), "never succeeded"),
        ("broken_by: {get: /break}", in_order(done(0), done(1)), ""),
        ("broken_by: {post: /break}", lambda *_: done(0), "still succeeds"),
        ("broken_by: {command: [rm, x]}", in_order(done(0), done(0), done(1)), ""),
    ],
)
def test_what_is_asked_of_a_healthcheck(text: str, runs: Runs, words: str) -> None:
    outcome = check(f"check: health, {text}").run(doing(Doer(runs=runs), config=CONFIG))
    assert (outcome.status, words in outcome.got) == (FAILED if words else PASSED, True), outcome.got


@pytest.mark.parametrize("health", [None, {}, {"Test": []}, {"Test": ["NONE"]}])
def test_an_image_without_one_is_told_so(health: dict[str, Any] | None) -> None:
    outcome = check("check: health").run(doing(config={"Healthcheck": health}))
    assert (outcome.status, outcome.got) == (FAILED, "the image has no HEALTHCHECK")


@pytest.mark.parametrize(
    ("config", "command"),
    [
        ({"Healthcheck": {"Test": ["CMD", "a", "b"]}}, ["a", "b"]),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "a b"]}}, ["/bin/sh", "-c", "a b"]),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "a"]}, "Shell": ["/bin/bash", "-ec"]}, ["/bin/bash", "-ec", "a"]),
    ],
)
def test_it_is_run_as_an_engine_runs_it(config: dict[str, Any], command: Sequence[str]) -> None:
    app = Doer(runs=honest)
    assert check("check: health").run(doing(app, config=config)).status is PASSED
    assert {tuple(args) for args, _ in app.ran} == {tuple(command)}


@pytest.mark.parametrize(
    ("given", "took", "hangs"),
    [({}, 0.1, 3.0), ({}, 2.0, 6.0), ({}, 20.0, 30.0), ({"Timeout": 1_000_000_000}, 0.1, 1.0)],
)
def test_how_long_a_broken_app_may_take_follows_how_long_it_took(
    given: dict[str, Any], took: float, hangs: float
) -> None:
    app = Doer(runs=lambda _, frozen: done(None if frozen else 0, elapsed=took))
    check("check: health").run(doing(app, config={"Healthcheck": CONFIG["Healthcheck"] | given}))
    assert app.ran[1][1]["within"] == pytest.approx(hangs)


def test_the_app_is_broken_as_asked() -> None:
    app = Doer(runs=in_order(done(0), done(1)))
    check("check: health, broken_by: {get: '/break?{fresh}'}").run(doing(app, config=CONFIG))
    assert app.asked[0][:2] == ("GET", "/break?0123456789abcdef")
    app = Doer(runs=in_order(done(0), done(0), done(1)))
    check("check: health, broken_by: {command: [rm, '{fresh}']}").run(doing(app, config=CONFIG))
    assert app.ran[1][0] == ["rm", "0123456789abcdef"]
    assert not app.frozen


@pytest.mark.parametrize(
    ("way", "told"),
    [("{post: /break}", "POST /break"), ("{get: /break}", "GET /break"), ("{command: [rm, a]}", "`rm a`")],
)
def test_how_it_is_broken_is_told_in_words(way: str, told: str) -> None:
    outcome = check(f"check: health, broken_by: {way}").run(doing(config=None))
    assert outcome.expected.endswith(f"fails once the app is broken by {told}")


def test_an_app_that_could_not_be_broken_is_not_the_learners() -> None:
    app = Doer(runs=lambda args, _: done(1 if args == ["rm", "x"] else 0, stderr="read-only"))
    with pytest.raises(RubricError, match="exit code 1: read-only"):
        check("check: health, broken_by: {command: [rm, x]}").run(doing(app, config=CONFIG))
    killed = Doer(runs=in_order(done(0), done(137), done(1)))
    outcome = check("check: health, broken_by: {command: [kill, '7']}").run(doing(killed, config=CONFIG))
    assert outcome.status is PASSED


@pytest.mark.parametrize(
    ("command", "own", "more"),
    [
        ("/usr/bin/kill", {"usr/bin/kill": program()}, {}),
        ("/usr/bin/kill", {"usr/bin/kill": Entry("whiteout")}, {}),
        ("kill", {"usr/bin/kill": program()}, {}),
        ("kill", {"usr/bin/kill": Entry("whiteout")}, {}),
        ("kill", {}, {"Env": ["PATH=/nowhere"]}),
    ],
    ids=["replaced", "deleted", "replaced by name", "deleted by name", "not on the path"],
)
def test_who_takes_the_program_away_that_breaks_the_app_has_not_kept_it_from_being_judged(
    command: str, own: dict[str, Entry], more: dict[str, Any]
) -> None:
    app = Doer(runs=lambda args, _: done(127 if args[0] == command else 0))
    image = FakeImage([{"usr/bin/kill": program()}, own], base=1, config=CONFIG | more)
    judged = subject(image=image, app=app, workshop=DoersWorkshop(app, done()))
    outcome = check(f"check: health, broken_by: {{command: [{command}, '7']}}").run(judged)
    assert outcome.status is FAILED
    assert "the Dockerfile takes it away" in outcome.got


@pytest.mark.parametrize(
    "text", ["broken_by: {}", "broken_by: {get: /a, post: /b}", "broken_by: {get: a}", "broken_by: {command: []}",
             "broken_by: rain", "broken_by: {get: '/{fresh.md5}'}"]
)  # fmt: skip
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        check(f"check: health, {text}")


# --- on a real engine -----------------------------------------------------------------------------------------------

SERVER = """\
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    status = 200
    def do_GET(self):
        if self.path == "/break": Handler.status = 500
        self.send_response(Handler.status if self.path == "/health" else 200); self.end_headers()
http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Handler).serve_forever()
"""
PROBE = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=2)"
SLIM = f'FROM python:3.11-slim\nCOPY app.py /\nRUN echo "{PROBE}" > /srv/probe.py\nCMD ["python3", "/app.py"]\n'
GOOD = 'HEALTHCHECK --interval=5m CMD ["python3", "/srv/probe.py"]'


@pytest.mark.parametrize(
    ("healthcheck", "asked", "words"),
    [
        (GOOD, {}, ""),
        ("HEALTHCHECK CMD python3 /srv/probe.py || exit 1", {"broken_by": {"get": "/break"}}, ""),
        (GOOD, {"broken_by": {"command": ["rm", "/srv/probe.py"]}}, ""),
        (GOOD, {"broken_by": {"get": "/"}}, "still succeeds"),
        ("HEALTHCHECK CMD true", {}, "still succeeds although the app is broken"),
        ("HEALTHCHECK CMD sleep 1.2", {}, "still succeeds although the app is broken"),
        ("HEALTHCHECK CMD kill -0 1", {}, "still succeeds although the app is broken"),
        ("HEALTHCHECK CMD mkdir /tmp/once", {"within": "1s"}, "does not succeed again"),
        ("HEALTHCHECK CMD curl -f http://127.0.0.1:5000/health", {"within": "1s"}, "curl: not found"),
        ('HEALTHCHECK CMD ["curl", "http://127.0.0.1:5000/"]', {"within": "1s"}, "`curl` does not exist in the image"),
        ("HEALTHCHECK CMD true", {"broken_by": "nothing"}, ""),
        ("HEALTHCHECK NONE", {}, "no HEALTHCHECK"),
    ],
)
def test_a_healthcheck_has_to_tell(grade: Grade, healthcheck: str, asked: dict[str, Any], words: str) -> None:
    check, after = grade(
        f"{SLIM}{healthcheck}\n",
        [{"check": "health", "within": "10s", **asked}, {"check": "http", "get": "/health"}],
        app={"port": 5000},
        own={"app.py": SERVER},
    ).checks
    assert (check.status, words in check.got) == (FAILED if words else PASSED, True), check.got
    assert check.fault is (Fault.LEARNER if words else None)
    assert after.status is PASSED, "other checks keep their app"


def test_elsewhere_it_is_the_same(grade: Grade, engine: Engine) -> None:
    (check,) = grade(
        f"{SLIM}{GOOD}\n",
        [{"check": "health"}],
        app={"port": 5000},
        own={"app.py": SERVER},
        on=replace(engine, local=False),
    ).checks
    assert check.status is PASSED, check.got


@pytest.mark.parametrize(
    ("command", "verdict"), [('["python3", "/srv/probe.py"]', "healthy"), ("python3 /no.py", "unhealthy")]
)
def test_the_engines_own_health_check_says_the_same(engine: Engine, command: str, verdict: str, grade: Grade) -> None:
    if engine.name == "podman":
        pytest.skip("Podman leaves health checks to an init system")
    dockerfile = f"{SLIM}HEALTHCHECK --interval=200ms --retries=2 CMD {command}\n"
    with workshop(engine) as made:
        image = made.image(dockerfile, {"app.py": SERVER})
        container = engine.client.create_container(
            image.id, labels=made.run.labels, host_config=engine.client.create_host_config(network_mode="none")
        )["Id"]
        engine.client.start(container)
        found: list[str] = []

        def settled() -> bool:
            found.append(engine.client.inspect_container(container)["State"]["Health"]["Status"])
            return found[-1] == verdict

        assert eventually(settled, 20.0), found
    (check,) = grade(
        dockerfile,
        [{"check": "health", "within": "2s", "broken_by": "nothing"}],
        app={"port": 5000},
        own={"app.py": SERVER},
    ).checks
    assert check.status is (PASSED if verdict == "healthy" else FAILED)

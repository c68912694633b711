"""A step that says itself that a fault of ours made it fail: believed when a control says so too, and not else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from grader.engine.faults import blame, doubt, network, platforms, quoted
from grader.engine.trace import Step
from grader.errors import EngineError, SubmissionError
from grader.submission import dockerfile
from grader.tests.engine.building import unique

if TYPE_CHECKING:
    from grader.tests.engine.building import Workshop

SLIM = "FROM debian:bookworm-slim\n"
SAYS = {
    "disk": "write error: No space left on device",
    "network": "dial tcp: lookup example: no such host",
    "rate": "toomanyrequests: You have reached your pull rate limit",
    "runtime": "runc run failed: unable to start container process: error during container init: broken pipe",
}


def failing(words: str) -> str:
    return SLIM + f"RUN : {unique()}; echo '{words}' >&2; exit 7\n"


@pytest.mark.parametrize("said", SAYS)
def test_nobody_chooses_not_to_be_graded(workshop: Workshop, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_APT", "true")
    told: list[str] = []
    failure = workshop.build(failing(SAYS[said]), progress=lambda event: told.append(event.text)).failure
    assert isinstance(failure, SubmissionError)
    assert (failure.line, "exit code 7" in failure.what) == (2, True)
    assert [text for text in told if "building again" in text]


@pytest.mark.parametrize("local", [True, False])
def test_a_disk_that_is_full_is_ours(workshop: Workshop, monkeypatch: pytest.MonkeyPatch, *, local: bool) -> None:
    monkeypatch.setattr(doubt, "_LITTLE_SPACE", 1 << 80)
    monkeypatch.setattr(doubt, "_FREED_WITHIN", 0.0)
    # Where the disk cannot be seen something is written to it: here more than it may be.
    monkeypatch.setattr(doubt, "_WRITES", "0 /dev/full; exit 75; ")
    with pytest.raises(EngineError, match="disk is full"):
        workshop.build(failing(SAYS["disk"]), on=replace(workshop.engine, local=local))


def test_a_network_that_is_gone_is_ours(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_APT", "false")
    with pytest.raises(EngineError, match="network failed"):
        workshop.build(failing(SAYS["network"]))


def test_what_was_wrong_and_passed_costs_nothing(workshop: Workshop) -> None:
    """The second time there is a cache mount that the first has left."""
    mount = f"RUN --mount=type=cache,id={unique()},target=/c "
    text = SLIM + mount + "test -e /c/tried || { touch /c/tried; echo No space left on device; exit 1; }\n"
    assert workshop.build(text).failure is None


def test_a_timeout_that_says_network_is_the_learners_where_there_is_one(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_APT", "true")
    failure = workshop.build(SLIM + "RUN echo connection timed out; sleep 1000\n", timeout=3.0).failure
    assert isinstance(failure, SubmissionError)
    assert "did not finish within" in failure.what


STEP = Step("[2/2] RUN x", 2, "RUN x", "", False, 1.0, "exit code: 1", 1, "no such host")


class Ended(NamedTuple):
    """A build of ours, as far as a control is looked at."""

    failure: object
    culprit: Step | None


@pytest.mark.parametrize(
    ("code", "gone"),
    [(0, False), (network.UNREACHED, True), (None, True), (1, False), (127, False)],
    ids=["reached", "not reached", "not in time", "no tool", "no shell"],
)
def test_what_a_control_finds_out(code: int | None, *, gone: bool) -> None:
    def attempt(*_: object) -> Ended:
        return Ended(None if code == 0 else "failed", replace(STEP, exit_code=code))

    parsed = dockerfile.parse(SLIM.encode() + b"RUN x\n")
    doubted = doubt.Doubt(None, None, parsed, Options(60.0, {}), lambda _: None, attempt)  # type: ignore[arg-type]
    assert doubted._unreached(STEP) is gone


class Options(NamedTuple):
    """Of a build that is none."""

    timeout: float
    labels: dict[str, str]
    cache: bool = True


def test_a_control_looks_where_the_step_looked() -> None:
    parsed = dockerfile.parse(b"FROM python:3.11 AS a\nRUN pip x\nFROM debian:12\nRUN apt x\nFROM scratch\n")
    pip = list(network.controls(parsed, replace(STEP, log="ERROR: No matching distribution found for x")))
    assert [text.split()[1] for text in pip] == ["python:3.11", "debian:12"]
    assert pip[0].index("command -v pip") < pip[0].index("command -v apt-get")
    apt = list(network.controls(parsed, replace(STEP, line=4)))
    assert [text.split()[1] for text in apt] == ["debian:12", "python:3.11"]
    assert apt[0].index("command -v apt-get") < apt[0].index("command -v pip")


# --- what engines say, with the learner's words in it ---

NAMED = [
    'failed to compute cache key: "/no space left on device" not found: not found',
    'failed to compute cache key: failed to calculate checksum of ref a::b: "/dial tcp": not found',
    "lstat /var/lib/docker/overlay2/35a6/merged/toomanyrequests: no such file or directory",
    "executor failed running [/bin/sh -c i/o timeout]: unable to find user i/o timeout: no matching entries in passwd",
    'process "/bin/sh -c bad address" did not complete successfully: unable to find user x: no matching entries in x',
    "failed to solve with frontend dockerfile.v0: failed to create LLB definition: Invalid containerPort: dial tcp",
    "invalid signal: no such host",
]


@pytest.mark.parametrize("error", NAMED)
def test_what_the_learner_called_a_thing_is_no_evidence(error: str) -> None:
    found = blame.failure(error, replace(STEP, exit_code=None, error=error, log=""))
    assert isinstance(found, SubmissionError), found.what


def test_a_folder_named_like_an_engines_is_the_learners_when_the_dockerfile_names_it() -> None:
    parsed = dockerfile.parse(b"FROM scratch AS a\nFROM scratch\nCOPY --from=a /overlay2/x /y\n")
    assert not quoted.names_engines_file("lstat /overlay2/x: no such file or directory", parsed)
    assert quoted.names_engines_file("open /var/lib/docker/overlay2/35a6/x: no such file or directory", parsed)
    assert quoted.names_engines_file("lstat /overlay2/x: no such file or directory", None)
    assert not quoted.names_engines_file("lstat /x: no such file or directory", None)


LOOKED = "failed to create LLB definition: failed to do request: Head registry: dial tcp: lookup r: no such host"


@pytest.mark.parametrize(
    ("platform", "own", "theirs"),
    [
        ("linux/s390x", "linux/amd64", True),
        ("arm64", "linux/amd64", True),
        ("$P", "linux/amd64", True),
        ("linux/amd64", "linux/amd64", False),
        ("amd64", "linux/amd64", False),
        ("linux/x86_64", "linux/amd64", False),
        ("linux/arm64/v8", "linux/arm64", False),
        ("$BUILDPLATFORM", "linux/amd64", False),
        ("${TARGETPLATFORM}", "linux/amd64", False),
        ("linux/s390x", "", False),
    ],
)
def test_another_platform_is_the_learners_wish(platform: str, own: str, *, theirs: bool) -> None:
    parsed = dockerfile.parse(f"FROM --platform={platform} debian:12\n".encode())
    found = platforms.foreign(LOOKED, parsed, own)
    assert (found is not None) is theirs
    assert found is None or found.line == 1
    assert platforms.foreign("failed to mount: invalid argument", parsed, own) is None
    told = blame.failure(LOOKED, None, asked=blame.Asked(parsed, platform=own))
    assert isinstance(told, SubmissionError if theirs else EngineError)

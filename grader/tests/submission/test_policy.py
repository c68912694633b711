"""What a Dockerfile may not ask for."""

from __future__ import annotations

import pytest

from grader.errors import ExitCode
from grader.result import Fault
from grader.submission.dockerfile import NoStageError, parse
from grader.submission.policy import PolicyError, check, is_official_syntax, normalise

ALLOWED = ["python:3.11", "python:3.11-slim", "me/tool"]
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("reference", "short"),
    [
        ("python:3.11", "python:3.11"),
        ("python", "python:latest"),
        ("library/python", "python:latest"),
        ("docker.io/library/python:3.11", "python:3.11"),
        ("index.docker.io/library/python:3.11", "python:3.11"),
        ("docker.io/python", "python:latest"),
        ("docker.io/me/x:1", "me/x:1"),
        ("me/x", "me/x:latest"),
        ("gcr.io/distroless/python3", "gcr.io/distroless/python3:latest"),
        ("localhost:5000/x", "localhost:5000/x:latest"),
        ("example.com/library/python:1", "example.com/library/python:1"),
        (f"docker.io/library/python@{DIGEST}", f"python@{DIGEST}"),
        (f"python:3.11@{DIGEST}", f"python:3.11@{DIGEST}"),
    ],
)
def test_normalise(reference: str, short: str) -> None:
    assert normalise(reference) == short
    assert normalise(short) == short


@pytest.mark.parametrize(
    "text",
    [
        "FROM python:3.11",
        "FROM docker.io/library/python:3.11",
        "FROM me/tool:latest",
        "FROM --platform=linux/arm64 python:3.11",
        "FROM scratch",
        "FROM scratch\nCOPY --from=scratch a b",
        "FROM python:3.11 AS b\nFROM b\nCOPY --from=b a b2\nCOPY --from=0 a b3",
        "FROM python:3.11\nCOPY --from=python:3.11-slim a b",
        "FROM python:3.11\nRUN --mount=type=bind,from=me/tool,target=/t x",
        "FROM python:3.11\nRUN --mount=type=cache,target=/t --network=none --security=sandbox x",
        "FROM python:3.11\nRUN --network=default x",
        "ARG V=3.11\nFROM python:$V",
        "# syntax=docker/dockerfile:1\nFROM python:3.11",
        "FROM python:3.11\nRUN <<EOF\nFROM evil\nEOF",
        "FROM python:3.11\nCOPY <<EOF /Dockerfile\nFROM evil\nCOPY --from=other a b\nEOF",
        "# escape=`\nFROM python:3.11\nRUN x `\n  y",
    ],
)
def test_allowed(text: str) -> None:
    check(parse(text.encode()), ALLOWED)


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("FROM evil", 1, "evil"),
        ("FROM python", 1, "python:3.11"),
        ("FROM pyton:3.11", 1, "Did you mean python:3.11?"),
        ("FROM example.com/library/python:3.11", 1, "example.com"),
        ("FROM python:3.11\nFROM scratch\nFROM evil\nFROM worse", 3, "evil"),
        ("FROM python:3.11\n\nCOPY --from=evil a b", 3, "evil"),
        ("FROM python:3.11\nRUN --mount=from=evil,target=/x y", 2, "evil"),
        ("FROM python:3.11\nRUN --mount=type=cache,target=/x,FROM=evil y", 2, "evil"),
        ("FROM python:3.11\nONBUILD COPY --from=evil a b", 2, "evil"),
        ("FROM python:3.11\nONBUILD RUN --mount=from=evil,target=/x y", 2, "evil"),
        ("FROM python:3.11\nCOPY --from=$X a b", 2, "variable"),
        (f"FROM python:3.11@{DIGEST}", 1, "Drop the digest"),
        (f"FROM python@{DIGEST}", 1, "not allow"),
        ("# syntax=evil/x\nFROM python:3.11", 1, "front end"),
        ("# escape=`\n# syntax=evil/x\nFROM python:3.11", 2, "front end"),
        ("# what=ever\n# syntax=evil/x\nFROM python:3.11", 2, "front end"),
        ("FROM python:3.11\nRUN --network=host x", 2, "--network"),
        ("FROM python:3.11\nONBUILD RUN --network=host x", 2, "--network"),
        ("FROM python:3.11\nRUN --security=insecure x", 2, "--security"),
        ("FROM python:3.11\nRUN --device=nvidia.com/gpu x", 2, "--device"),
        # What a front end that knows no heredocs, or not this escape character, would build on.
        ("FROM python:3.11\nRUN cat <<CMD\nFROM evil\nCMD", 3, "evil"),
        ('FROM python:3.11\nRUN ["x"] <<"CMD"\nFROM evil\nCMD', 3, "evil"),
        ("FROM python:3.11\nONBUILD RUN cat <<CMD\nFROM evil\nCMD", 3, "evil"),
        ("# check=skip=all\n# escape=`\nFROM python:3.11\nRUN x `\nFROM evil", 5, "evil"),
    ],
)
def test_refused(text: str, line: int, word: str) -> None:
    with pytest.raises(PolicyError) as caught:
        check(parse(text.encode()), ALLOWED)
    error = caught.value
    assert (error.line, error.where) == (line, f"Dockerfile:{line}")
    assert word in f"{error.what} {error.fix}"
    assert error.fix
    assert (error.fault, error.exit_code) == (Fault.LEARNER, ExitCode.NOT_PASSED)


def test_a_text_that_would_bring_an_old_engine_down_is_refused() -> None:
    # To Engine 20.10 `# check=` ends the directives, so that the backslash continues ARG and swallows FROM.
    with pytest.raises(NoStageError):
        check(parse(b"# check=skip=all\n# escape=`\nARG X=1\\\nFROM scratch\n"), ALLOWED)


def test_a_pinned_image_is_allowed_when_exactly_it_is_listed() -> None:
    check(parse(f"FROM python:3.11@{DIGEST}".encode()), [f"docker.io/library/python:3.11@{DIGEST}"])


def test_the_message_lists_what_is_allowed() -> None:
    with pytest.raises(PolicyError) as caught:
        check(parse(b"FROM evil"), ALLOWED)
    assert all(image in caught.value.fix for image in ALLOWED)


@pytest.mark.parametrize(
    ("value", "official"),
    [
        ("docker/dockerfile", True),
        ("docker/dockerfile:1", True),
        ("docker/dockerfile:1.7-labs", True),
        ("docker.io/docker/dockerfile:1", True),
        (f"docker/dockerfile:1@{DIGEST}", True),
        ("docker/dockerfile:1 --option", True),
        ("docker/dockerfile-upstream", False),
        ("docker/dockerfile-upstream:master", False),
        ("dockerfile", False),
        ("docker/dockerfile/x", False),
        ("evil/docker/dockerfile", False),
        ("example.com/docker/dockerfile:1", False),
        ("docker/dockerfile:1\tx", False),
        ("docker/dockerfile@evil", False),
        ("", False),
    ],
)
def test_official_syntax(value: str, official: bool) -> None:  # noqa: FBT001 - a table's column
    assert is_official_syntax(value) is official


@pytest.mark.parametrize("wrong", ["COPY --from=bulider /a /b", "RUN --mount=from=buidler,target=/m true"])
def test_a_mistyped_stage_is_no_image(wrong: str) -> None:
    parsed = parse(f"FROM python:3.11 AS builder\nFROM python:3.11\n{wrong}\n".encode())
    with pytest.raises(PolicyError) as caught:
        check(parsed, ["python:3.11"])
    assert "There is no stage" in caught.value.what
    assert "`builder`" in caught.value.fix


ADDRESSES = [
    "ADD https://example.org/x /x",
    "ADD http://169.254.169.254/latest/ /x",
    'ADD "https://example.org/x" /x',
    "ADD h\\ttps://example.org/x /x",
    "ADD a.txt ftp://example.org/x /x/",
    "ADD git@example.org:me/x.git /x",
    "ADD me@example.org:x.git#main /x",
    "ADD github.com/me/x /x",
    "ADD ssh://example.org/x /x",
    'ADD ["https://example.org/x", "/x"]',
    "ADD --checksum=sha256:0 https://example.org/x /x",
    "ONBUILD ADD https://example.org/x /x",
    "ARG A=https\nADD ${A}://example.org/x /x",
    "ENV A=https://example.org/x\nADD $A /x",
    "ENV A=ttps://example.org/x\nADD h$A /x",
]


@pytest.mark.parametrize("text", ADDRESSES)
def test_add_takes_nothing_from_the_network(text: str) -> None:
    with pytest.raises(PolicyError, match="from the network") as caught:
        check(parse(f"FROM scratch\n{text}\n".encode()), [])
    assert caught.value.line == text.count("\n") + 2


@pytest.mark.parametrize(
    "text", ["ADD x.tar.gz /x", "ADD ./a-$V.tar.gz /x", "ADD a/$V /x", "ADD x http://example.org/", "COPY $V /x"]
)
def test_add_takes_files(text: str) -> None:
    check(parse(f"FROM scratch\nARG V=1\n{text}\n".encode()), [])


def test_add_takes_from_where_the_rubric_lets_it() -> None:
    allowed = ["https://example.org/data/*", "git@example.org:*"]
    for source in ("https://example.org/data/x", "git@example.org:me/x.git"):
        check(parse(f"FROM scratch\nADD {source} /x\n".encode()), [], addresses=allowed)
    for source in ("https://example.org/", "https://example.org.evil/data/", "https://example.org/data/$X"):
        with pytest.raises(PolicyError):
            check(parse(f"FROM scratch\nADD {source} /x\n".encode()), [], addresses=allowed)

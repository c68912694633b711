"""The names of BuildKit's steps, of a build alone and of builds side by side, to the instructions they are about."""

from __future__ import annotations

import pytest

from grader.submission.dockerfile import parse
from grader.submission.steps import told

STAGES = b"""FROM img AS builder
ENV A=1
WORKDIR /w
RUN a
COPY a b
FROM scratch
COPY c d
FROM builder
ADD e f
"""


def line(name: str, dockerfile: bytes = STAGES) -> int | None:
    found = told(name, parse(dockerfile)).instruction
    return found.line if found else None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("[builder 1/4] FROM docker.io/library/img", 1),
        ("[builder 2/4] WORKDIR /w", 3),
        ("[builder 4/4] COPY a b", 5),
        ("[Builder 4/4] COPY a b", 5),
        ("[builder  4/10] COPY a b", 5),
        ("[stage-1 1/1] COPY c d", 7),
        ("[stage-2 1/1] ADD e f", 9),
        ("[1/1] ADD e f", 9),
        ("[linux/amd64 builder 3/4] RUN a", 4),
        ("[linux/arm64->amd64 stage-2 1/1] ADD e f", 9),
        ("[linux/amd64 1/1] ADD e f", 9),
        ("[internal] load build context", None),
        ("exporting to image", None),
        ("[builder 5/4] RUN b", None),
        ("[stage-3 1/1] COPY x y", None),
        ("[stage-99999999999 1/1] COPY x y", None),
        ("[] x", None),
        ("", None),
    ],
)
def test_the_line_of_a_step(name: str, expected: int | None) -> None:
    assert line(name) == expected
    # A name that fits is told as it is; the label may be missing where there is one stage.
    if expected and "[1/1]" not in name and "64 1/1]" not in name:
        assert told(name, parse(STAGES)).name == name


@pytest.mark.parametrize(
    ("written", "shown"),
    [("img", "docker.io/library/img:latest"), ("img@sha256:00", "docker.io/library/img@sha256:00")],
)
def test_a_digest_is_told_to_whoever_wrote_one(written: str, shown: str) -> None:
    found = told(f"[1/1] FROM {shown.partition('@')[0]}@sha256:00", parse(f"FROM {written}\n".encode()))
    assert (found.name, found.instruction is not None) == (f"[1/1] FROM {shown}", True)


def test_triggers_of_the_parent_stage_are_steps() -> None:
    text = b"FROM scratch AS p\nONBUILD ENV A=1\nONBUILD COPY a t\nFROM p\nCOPY a y\n"
    assert [line("[stage-1 1/2] ONBUILD COPY a t", text), line("[stage-1 1/2] COPY a t", text)] == [3, 3]
    assert line("[stage-1 2/2] COPY a y", text) == 5


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ('RUN ["echo", "$V",   "x"]', 'RUN ["echo", "hello",   "x"]'),
        ("run   a   ${W} \\\n  # comment\n  && b", "RUN   a   w    && b"),
        ('COPY ["f", "g/"]', "COPY [f, g/]"),
        ("RUN echo 'a\\$b' \\\"x\\\"", "RUN echo 'a$b' \"x\""),
        ("RUN <<EOF\necho $V\nEOF", "RUN <<EOF (echo hello)"),
        ("copy --chown=0:0 f /d/$V", "COPY --chown=0:0 f /d/hello"),
        ("RUN --mount=type=cache,target=/c ls", "RUN --mount=type=secret,id=ours --mount=type=cache,target=/c ls"),
        ("WORKDIR $V/d", "WORKDIR hello/d"),
    ],
)
def test_an_instruction_is_known_however_the_front_end_shows_it(written: str, shown: str) -> None:
    text = f"FROM a\nENV X=1\n{written}\n".encode()
    name = f"[2/2] {shown}"
    assert (line(name, text), told(name, parse(text)).name) == (3, name)


MINE = b"""FROM img:1 AS mine
ENV A=1
RUN a
RUN b $X
COPY --from=img:2 x y
FROM img:2
RUN c
"""


@pytest.mark.parametrize(
    ("name", "expected", "as_told"),
    [
        # In the other build the stage has another name, or another number of steps before this one.
        ("[theirs 1/9] FROM docker.io/library/img:1", 1, "[mine 1/4] FROM docker.io/library/img:1"),
        ("[theirs 2/9] RUN a", 3, "[mine 2/4] RUN a"),
        ("[theirs 3/9] RUN b whatever", 4, "[mine 3/4] RUN b whatever"),
        ("[7/9] RUN c", 7, "[stage-1 2/2] RUN c"),
        # The same place is another instruction here.
        ("[mine 2/9] RUN c", 7, "[stage-1 2/2] RUN c"),
        ("[stage-1 2/2] RUN a", 3, "[mine 2/4] RUN a"),
        ("[stage-1 1/9] FROM img:1@sha256:00", 1, "[mine 1/4] FROM img:1"),
        # Nothing like it is here: another's stage is not told, and no line is made up.
        ("[theirs 2/9] RUN z", None, "RUN z"),
        ("[theirs 2/9] COPY x y", None, "COPY x y"),
        ("[mine 2/9] COPY x y", None, "[mine 2/9] COPY x y"),
    ],
)
def test_a_step_that_another_build_has_named(name: str, expected: int | None, as_told: str) -> None:
    found = told(name, parse(MINE))
    assert (found.instruction.line if found.instruction else None, found.name) == (expected, as_told)
    assert "theirs" not in found.label


@pytest.mark.parametrize("name", ["[theirs 2/9] RUN r", "[2/2] RUN r", "[stage-1 3/3] RUN r"])
def test_the_only_stage_has_no_label(name: str) -> None:
    found = told(name, parse(b"FROM a AS mine\nRUN r\n"))
    assert (found.name, found.label) == ("[2/2] RUN r", "")


def test_of_several_that_fit_the_one_at_its_place_is_meant() -> None:
    text = b"FROM a AS x\nRUN r\nRUN r\nFROM a AS y\nRUN r\n"
    assert [line(f"[{place}/9] RUN r", text) for place in ("x 2", "x 3", "y 2", "z 3")] == [2, 3, 5, 3]

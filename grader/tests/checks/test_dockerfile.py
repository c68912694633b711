from __future__ import annotations

import re

import pytest

from grader.result import Status
from grader.tests.checks.dockerfiles import faults, judged, lines

TWO = "check: dockerfile, stages: {min: 2}"
NAMED = "check: dockerfile, stages: {min: 2, named: true}"
CROSSES = "check: dockerfile, copies_from_stage: true"

GOOD = "FROM full AS builder\nRUN make\nFROM slim AS runtime\nCOPY --from=builder /a /a\n"
MOUNTED = "FROM full AS builder\nRUN make\nFROM slim\nRUN --mount=type=bind,from=builder,target=/b cp /b/a /a\n"
CHAINED = "FROM full AS builder\nFROM slim AS base\nCOPY --from=builder /a /a\nFROM base\nUSER 1\n"
SINGLE = "FROM full\nRUN make\n"
HEREDOC = "FROM full\nRUN <<FROM\nFROM slim AS second\nFROM\n"
COMMENT = "FROM full\n# FROM slim AS second\nRUN make\n"
CONTINUED = "FROM full\nRUN echo \\\n# a comment\nFROM slim AS second\n"
IDLE = "FROM full AS builder\nRUN make\nFROM slim\nRUN make\n"
BY_NUMBER = "FROM full\nFROM slim\nCOPY --from=0 /a /a\n"
NAMED_BY_NUMBER = "FROM full AS builder\nFROM slim\nCOPY --from=0 /a /a\n"
ONBUILD = "FROM full AS builder\nFROM slim\nONBUILD COPY --from=builder /a /a\n"
ONBUILD_BELOW = "FROM full AS builder\nFROM slim AS base\nONBUILD COPY --from=builder /a /a\nFROM base\n"
ONBUILD_ASIDE = "FROM one AS one\nFROM two AS two\nONBUILD COPY --from=one /a /a\nFROM slim\nCOPY --from=two /b /b\n"
OTHER_IMAGE = "FROM full AS builder\nFROM slim\nCOPY --from=elsewhere /a /a\n"


@pytest.mark.parametrize("dockerfile", [GOOD, MOUNTED, CHAINED, ONBUILD_BELOW])
@pytest.mark.parametrize("text", [TWO, NAMED, CROSSES])
def test_stages_that_hand_something_on(text: str, dockerfile: str) -> None:
    assert judged(text, dockerfile).status is Status.PASSED


@pytest.mark.parametrize(
    ("dockerfile", "line"),
    [(SINGLE, 1), (HEREDOC, 1), (COMMENT, 1), (CONTINUED, 1), (IDLE, 1), (ONBUILD, 1), (OTHER_IMAGE, 1)],
)
def test_a_second_stage_that_is_none(dockerfile: str, line: int) -> None:
    outcome = judged(TWO, dockerfile)
    assert (outcome.status, outcome.line) == (Status.FAILED, line)
    assert "1 stage" in outcome.got


@pytest.mark.parametrize("dockerfile", [SINGLE, IDLE, ONBUILD, OTHER_IMAGE])
def test_nothing_crosses(dockerfile: str) -> None:
    assert "takes nothing" in judged(CROSSES, dockerfile).got


def test_an_idle_stage_is_counted_and_named_as_such() -> None:
    assert judged(TWO, IDLE).got == "1 stage, and 1 that the final image takes nothing from"
    assert judged("check: dockerfile, stages: {min: 1}", IDLE).got.startswith("2 stages, of which the image needs 1;")


def test_what_only_a_trigger_would_take_is_idle() -> None:
    assert judged("check: dockerfile, stages: {min: 3}", ONBUILD_ASIDE).got.startswith("2 stages, and 1")


@pytest.mark.parametrize(
    ("dockerfile", "words", "line"),
    [(BY_NUMBER, "has no name", 1), (NAMED_BY_NUMBER, "by its number", 3)],
)
def test_stages_without_a_name_or_not_used_by_it(dockerfile: str, words: str, line: int) -> None:
    outcome = judged(NAMED, dockerfile)
    assert (outcome.status, outcome.line) == (Status.FAILED, line)
    assert words in outcome.got
    assert judged(TWO, dockerfile).status is Status.PASSED


def test_a_most() -> None:
    text = "check: dockerfile, stages: {max: 1}"
    assert judged(text, SINGLE).status is Status.PASSED
    assert judged(text, IDLE).status is Status.PASSED
    assert (judged(text, GOOD).status, judged(text, GOOD).line) == (Status.FAILED, 3)


@pytest.mark.parametrize(
    ("wanted", "base", "fits"),
    [
        ("python:3.11-slim", "python:3.11-slim", True),
        ("python:3.11-slim", "docker.io/library/python:3.11-slim", True),
        ("python:3.11-slim", "python:3.11", False),
        ("python:3.11-slim", "evil/python:3.11-slim", False),
        ("python:*-slim", "python:3.12-slim", True),
        ("python:*-slim", "python:3.12", False),
        ("python*", "python:3.12", True),
        ("python*", "pythonic", True),
        ("python", "python:latest", True),
        ("python", "python:3.11", False),
        ("gcr.io/distroless/*", "gcr.io/distroless/python3-debian12", True),
        ("gcr.io/distroless/*", "gcr.io/other/python3", False),
        ("scratch", "scratch", True),
    ],
)
def test_the_image_of_the_final_stage(wanted: str, base: str, fits: bool) -> None:  # noqa: FBT001
    outcome = judged(f'check: dockerfile, final_base: ["{wanted}"]', f"FROM full AS builder\nFROM {base}\n")
    assert (outcome.status is Status.PASSED) is fits
    if not fits:
        assert (outcome.got, outcome.line) == (f"the final stage starts from {base}", 2)


def test_the_image_below_a_chain_is_the_base() -> None:
    dockerfile = "FROM python:3.11-slim AS base\nFROM base AS more\nFROM more\n"
    text = 'check: dockerfile, final_base: ["{}"]'
    assert judged(text.format("python:3.11-slim"), dockerfile).status is Status.PASSED
    outcome = judged(text.format("debian"), dockerfile)
    assert (outcome.got, outcome.line) == ("the final stage starts from python:3.11-slim", 1)


@pytest.mark.parametrize("text", ["", ", copies_from_stage: false", ", stages: {min: 3, max: 2}", ", stages: {min: 0}"])
def test_what_asks_nothing_or_too_much_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"asks for nothing|max is less|greater than"):
        judged(f"check: dockerfile{text}", SINGLE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stages: {names: [builder, runtime]}", ""),
        ("stages: {names: [BUILDER]}", ""),
        ("stages: {names: [test]}", "no stage is named `test`: the names are `builder` and `runtime`"),
        ("copies_from: builder", ""),
        ("copies_from: [Builder]", ""),
        ("copies_from: runtime", "the final image takes from `builder`, nothing from `runtime`"),
        ("copies_from: [builder, assets]", "no stage is named `assets`"),
    ],
)
def test_stages_by_name(text: str, words: str) -> None:
    assert [what for what, _ in faults(text, GOOD)] == ([words] if words else [])


@pytest.mark.parametrize(
    ("dockerfile", "fits"),
    [
        (NAMED_BY_NUMBER, True),
        (MOUNTED, True),
        (CHAINED, True),
        (ONBUILD_BELOW, True),
        (ONBUILD, False),
        (IDLE, False),
        (SINGLE, False),
        (HEREDOC, False),
        (
            "FROM full AS builder\nFROM slim AS mid\nCOPY --from=builder /a /a\nFROM slim\nCOPY --from=mid /a /a\n",
            False,
        ),
    ],
)
def test_the_stage_that_the_final_image_takes_from(dockerfile: str, fits: bool) -> None:  # noqa: FBT001
    assert bool(faults("copies_from: builder", dockerfile)) is not fits


@pytest.mark.parametrize(
    ("dockerfile", "found"),
    [
        (CHAINED, []),
        ("FROM slim AS base\nFROM base AS more\nFROM more\n", []),
        (GOOD, [("the final stage starts from slim", 3)]),
        ("FROM slim AS base\n", [("the final stage starts from slim", 1)]),
        ("FROM slim AS base\nFROM slim\nCOPY --from=base /a /a\n", [("the final stage starts from slim", 2)]),
    ],
)
def test_the_stage_that_the_final_one_starts_from(dockerfile: str, found: list[tuple[str, int]]) -> None:
    assert faults("stages: {final_from: base}", dockerfile) == found


DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("dockerfile", "pinned", "digested"),
    [
        ("FROM python:3.11\n", [], [1]),
        ("FROM python\n", [1], [1]),
        ("FROM python:latest\n", [1], [1]),
        ("FROM docker.io/library/python\n", [1], [1]),
        ("FROM registry:5000/python\n", [1], [1]),
        ("FROM registry:5000/python:3.11-latest\n", [], [1]),
        (f"FROM python@{DIGEST}\n", [], []),
        (f"FROM python:latest@{DIGEST}\n", [], []),
        ("FROM scratch\n", [], []),
        ("ARG TAG=latest\nFROM python:$TAG\n", [2], [2]),
        ("ARG TAG=3.11\nFROM python:${TAG}\n", [], [2]),
        ("FROM python:3.11 AS a\nFROM a\n", [], [1]),
        ("FROM a:1\nCOPY --from=busybox /sh /sh\nRUN --mount=from=b:latest,target=/x x\n", [2, 3], [1, 2, 3]),
        ("FROM python:3.11\n# FROM python\nRUN <<EOF\nFROM python\nEOF\n", [], [1]),
    ],
)  # fmt: skip
def test_images_that_may_be_others_tomorrow(dockerfile: str, pinned: list[int], digested: list[int]) -> None:
    assert lines("pinned: true", dockerfile) == pinned
    assert lines("digest: true", dockerfile) == digested


def test_a_missing_tag_is_explained() -> None:
    assert faults("pinned: true", "FROM python\n") == [("line 1 names python, which means latest", 1)]


def test_all_faults_are_told_and_no_more_than_three_at_once() -> None:
    text = "check: dockerfile, instructions: {forbidden: [ADD]}, copies_from_stage: true"
    outcome = judged(text, "FROM a\n" + "ADD x /x\n" * 4)
    assert outcome.got.startswith("the final image takes nothing from an earlier stage; line 2 is `ADD x /x`; line 3")
    assert outcome.got.endswith("; and 2 more")
    assert len(outcome.evidence["faults"]) == 5


def test_what_is_expected_is_said() -> None:
    text = (
        "check: dockerfile, stages: {min: 2, max: 3, names: [builder], final_from: base}, copies_from: builder, "
        "pinned: true, order: [COPY a, RUN b], instructions: {required: [USER], forbidden: [ADD], stage: final}, "
        "run: {required: [x], forbidden: [y, z]}"
    )
    assert judged(text, "FROM a\n").expected == (
        "2 to 3 stages; stages named `builder`; a final stage from the stage `base`; files taken from the stage "
        "`builder`; every image by a tag other than latest; `COPY a`, then `RUN b`; `USER` in the final stage; "
        "no `ADD` in the final stage; RUN with `x`; no RUN with `y` or `z`"
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("instructions: {forbidden: [AD]}", "`AD` begins with no instruction; did you mean ADD"),
        ("instructions: {forbidden: ['']}", "begins with no instruction"),
        ("instructions: {}", "asks for nothing"),
        ("instructions: {required: [COPY --chwon]}", "COPY has no flag `--chwon`"),
        ("instructions: {required: [USER --x]}", "USER has no flag `--x`; it has none"),
        ("instructions: {required: [USER], stage: builder}", "'final' or 'any'"),
        ("order: [COPY .]", "one pattern"),
        ("order: [COPY ., pip install]", "`pip install` begins with no instruction"),
        ("run: {forbidden: ['(']}", "no regular expression"),
        ("run: {}", "asks for nothing"),
        ("pinned: false", "asks for nothing"),
    ],
)
def test_a_rubric_that_makes_no_sense_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        judged(f"check: dockerfile, {text}", SINGLE)

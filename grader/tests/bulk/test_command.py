"""The command that a gradebook gives for what could not be graded: the same again, and only that."""

from __future__ import annotations

import shlex

import pytest

from grader.cli import bulk


def again(*words: str, runtime: str = "") -> list[str]:
    with bulk.bulk.make_context("bulk", list(words)):
        return shlex.split(bulk._again(runtime))


@pytest.mark.parametrize(
    "given",
    [
        ["03", "in", "--out", "out"],
        ["03", "in", "--out", "my out", "--roster", "who.csv", "--jobs", "2", "--attempts", "best"],
        ["3", "in", "--out", "o", "--due", "2026-12-01T23:59+01:00", "--for", "canvas", "--for", "moodle"],
        ["3", "in", "--out", "o", "--patience", "5.0", "--cache-bound", "5000000000", "--cluster", "tcp://host:8786"],
        ["3", "in", "--out", "o", "--require-fences", "--yes", "--course", "elsewhere", "--plain"],
    ],
)
def test_it_has_all_that_was_given(given: list[str]) -> None:
    assert again(*given) == ["grader", "bulk", *given, "--rerun", "errors"]


def test_what_was_graded_again_before_is_not_now() -> None:
    told = again("3", "in", "--out", "o", "--rerun", "all")
    assert told == ["grader", "bulk", "3", "in", "--out", "o", "--rerun", "errors"]


def test_what_the_surroundings_say_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADER_COURSE", "elsewhere")
    told = again("3", "in", "--out", "o", runtime="runsc")
    named = ["3", "in", "--out", "o", "--course", "elsewhere", "--runtime", "runsc"]
    assert told == ["grader", "bulk", *named, "--rerun", "errors"]


def test_a_size_is_the_same_when_it_is_read_again() -> None:
    told = again("3", "in", "--out", "o", "--cache-bound", "5GB")
    with bulk.bulk.make_context("bulk", told[2:]) as context:
        assert context.params["bound"] == 5_000_000_000

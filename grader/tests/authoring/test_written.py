"""What is found by reading alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.authoring import trial, written
from grader.checks import types
from grader.tests.authoring.tiny import BASE, TWO_STAGES, Tiny
from grader.tests.conftest import write_files

if TYPE_CHECKING:
    from pathlib import Path

    from grader.authoring.proof import Fact
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.result import GradeResult


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    monkeypatch.chdir(tmp_path)
    return Tiny(tmp_path)


def bench(tiny: Tiny) -> trial.Bench:
    def never(_exercise: Exercise, _rubric: Rubric, _folder: Path, _name: str) -> GradeResult:
        raise AssertionError("nothing is graded to read what is written")

    return trial.bench(tiny.write(), tiny.root / "solutions", types(), never)


def hints(tiny: Tiny) -> list[str]:
    found = bench(tiny)
    return lines(*written.hints(found.rubric, found.source))


def bases(tiny: Tiny) -> list[str]:
    found = bench(tiny)
    return lines(written.bases(found.exercise, found.rubric, found.solution, found.source))


def files(tiny: Tiny) -> list[str]:
    found = bench(tiny)
    return lines(written.files(found.exercise, found.rubric, found.solution, found.source))


def lines(*facts: Fact) -> list[str]:
    findings = [finding for fact in facts for finding in fact.findings]
    assert all(finding.fix for finding in findings)
    return [f"{finding.what}; {finding.where}" for finding in findings]


RUBRIC = "exercises/01-tiny/rubric.yaml"


def test_nothing_is_found_where_all_is_well(tiny: Tiny) -> None:
    assert hints(tiny) + bases(tiny) + files(tiny) == []


# --- hints ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([], [f"`builds` has no hints; {RUBRIC}:10"]),
        (["Look.", "it builds!"], [f"Hint 2 of `builds` repeats the title; {RUBRIC}:17"]),
        (["Look.", "Try.", " look "], [f"Hint 3 of `builds` repeats hint 1; {RUBRIC}:18"]),
        (["Look.", "…"], [f"Hint 2 of `builds` says nothing; {RUBRIC}:17"]),
        (["Look.", "Look closer."], []),
    ],
)
def test_hints_are_there_and_say_something(given: list[str], found: list[str], tiny: Tiny) -> None:
    tiny.check("builds")["hints"] = given
    assert hints(tiny) == found


def test_what_is_worth_nothing_needs_no_hint(tiny: Tiny) -> None:
    tiny.rubric["checks"].append({"id": "advice", "check": "build", "points": 0})
    assert hints(tiny) == []


# --- base images ------------------------------------------------------------------------------------------------------

DIGEST = f"debian@sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("reference", "pinned"),
    [
        ("debian:bookworm-slim", True),
        ("debian", False),
        ("debian:latest", False),
        ("docker.io/library/debian", False),
        ("localhost:5000/debian", False),
        ("localhost:5000/debian:12", True),
        (DIGEST, True),
        (DIGEST.replace("@", ":latest@"), True),
    ],
)
def test_bases_have_a_tag_or_a_digest(reference: str, pinned: bool, tiny: Tiny) -> None:  # noqa: FBT001
    tiny.rubric["bases"].append(reference)
    assert bases(tiny) == ([] if pinned else [f"The base image `{reference}` is not pinned; {RUBRIC}:9"])


def test_so_have_those_of_the_starter_and_the_solution(tiny: Tiny) -> None:
    tiny.starter = "ARG TAG=latest\nFROM debian:${TAG}\n"
    tiny.solution = f"{TWO_STAGES}COPY --from=python /x /x\nFROM made\n"
    assert bases(tiny) == [
        "The base image `debian:latest` is not pinned; exercises/01-tiny/starter/Dockerfile:2",
        "The base image `python` is not pinned; solutions/01-tiny/Dockerfile:5",
    ]


def test_a_dockerfile_that_cannot_be_read_has_none(tiny: Tiny) -> None:
    tiny.starter = "FORM debian\n"
    assert bases(tiny) == []


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "found"),
    [
        ("exercises/01-tiny/notes.txt", "Nothing uses this file"),
        ("exercises/01-tiny/rubric.yaml.orig", "Nothing uses this file"),
        ("exercises/01-tiny/old/app.py", "Nothing uses this file"),
        ("exercises/01-tiny/map.svg", "Nothing uses this file"),
        ("solutions/01-tiny/app.py", "Nothing uses this file"),
        ("solutions/01-tiny/broken/README.md", "Nothing uses this file"),
        ("solutions/01-tiny/broken/junk/app.py", "Nothing uses this file"),
        ("solutions/01-tiny/broken/junk/deeper/Dockerfile", "Nothing uses this file"),
        ("exercises/01-tiny/starter/deep/er/anything", None),
        ("exercises/01-tiny/__pycache__/x.pyc", None),
        ("exercises/01-tiny/roadmap.svg", None),
        ("exercises/01-tiny/test_image.py", None),
        ("exercises/01-tiny/tests/helper.py", None),
        ("solutions/01-tiny/README.md", None),
        ("solutions/01-tiny/.dockerignore", None),
        ("solutions/01-tiny/src/deep/app.c", None),
        ("solutions/01-tiny/broken/junk/.dockerignore", None),
    ],
)
def test_something_uses_each_file(file: str, found: str | None, tiny: Tiny) -> None:
    tiny.files = {file: "x\n", "exercises/01-tiny/README.md": "# Tiny\n\n![The way](roadmap.svg)\n"}
    tiny.rubric["submit"].append("src/**/*.c")
    tiny.rubric["app"] = {"port": 5000, "env": {"FILE": "./test_image.py", "FOLDER": "tests"}}
    assert files(tiny) == ([f"{found}; {file}"] if found else [])


def test_a_broken_folder_has_a_dockerfile(tiny: Tiny) -> None:
    tiny.files = {"solutions/01-tiny/broken/empty/.dockerignore": "x\n"}
    assert files(tiny) == ["There is no Dockerfile in this folder; solutions/01-tiny/broken/empty"]


@pytest.mark.parametrize("task", ["", " \n\t\n"])
def test_the_task_is_written(task: str, tiny: Tiny) -> None:
    tiny.files = {"exercises/01-tiny/README.md": task}
    assert files(tiny) == ["The task is empty; exercises/01-tiny/README.md"]


def test_there_is_a_task(tiny: Tiny) -> None:
    found = bench(tiny)
    found.exercise.readme.unlink()
    fact = written.files(found.exercise, found.rubric, found.solution, found.source)
    assert lines(fact) == ["There is no task; exercises/01-tiny/README.md"]


def test_solutions_of_no_exercise(tiny: Tiny) -> None:
    tiny.write()
    write_files(tiny.root / "solutions", {"README.md": "# Solutions\n"})
    assert written.strays(tiny.root / "solutions", {"01-tiny"}) is None
    write_files(tiny.root / "solutions/02-gone", {"Dockerfile": BASE})
    proof = written.strays(tiny.root / "solutions", {"01-tiny"})
    assert proof is not None
    assert lines(*proof.facts) == ["This is the solution of no exercise; solutions/02-gone"]

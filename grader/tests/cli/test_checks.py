from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import pytest
import yaml

from grader.checks import types
from grader.checks._reference import describe
from grader.checks.base import Check
from grader.cli import reference
from grader.course.model import Model, field, keys, names
from grader.course.units import ByteSize, Duration
from grader.tests.cli.programs import run

if TYPE_CHECKING:
    from grader.checks._reference import Facts


class Part(Model):
    """Some keys."""

    least: int = field(default=1, ge=1, le=5, description="The least.")
    parts: tuple[Part, ...] = field(default=(), description="More of it.")


class Made(Check):
    """Looks at what
    was made.

    A paragraph.

    - an item of a list that is laid out by hand and stays as it is, however long the line is that it stands on
    """

    example = "- id: a\n  check: made\n  points: 1\n"
    reason = "It matters."
    advice = "Try this."

    check: Literal["made"]
    target: str = field(default="last", description="Another target than that of every check.")
    size: ByteSize | None = field(default=None, description="A size.")
    odd_size: ByteSize = field(default=33_554_432, description="A size.")
    within: Duration = field(default=90, description="A time.")
    colour: Literal["red", "blue"] = field(default="red", description="A choice.")
    words: tuple[str, ...] = field(description="Words.")
    status: int | list[int] = field(default=200, description="A number or more.")
    env: dict[str, str] = field(default={}, description="Variables.")
    sizes: list[ByteSize] = field(default=[], description="Sizes.")
    answer: Any = field(default=None, alias="json", description="Any JSON.")
    part: Part | None = field(default=None, description="A part.")


def fact(name: str) -> Facts:
    return next(each for each in describe(Made).fields if each.name == name)


@pytest.mark.parametrize(
    ("name", "words", "default"),
    [
        ("size", "size, such as 220MB", None),
        ("odd_size", "size, such as 220MB", 33_554_432),
        ("within", "time, such as 90s", "1min30s"),
        ("colour", "`red` or `blue`", "red"),
        ("words", "list of texts", None),
        ("status", "whole number or list of whole numbers", 200),
        ("env", "names, each with text", None),
        ("sizes", "list of sizes", None),
        ("json", "anything", None),
        ("part", "keys", None),
        ("target", "text", "last"),
    ],
)
def test_types_in_words(name: str, words: str, default: object) -> None:
    found = fact(name)
    assert (found.type, found.default) == (words, default)
    assert found.required is (name == "words")


def test_a_model_in_a_model_is_shown_once() -> None:
    least, parts = fact("part").fields
    assert (least.type, least.default) == ("whole number, 1 to 5", 1)
    assert (parts.type, parts.fields) == ("list of groups of keys", ())


def test_own_fields_come_first_and_what_they_stand_for_not_again() -> None:
    found = describe(Made)
    assert "target" in [each.name for each in found.fields]
    assert [each.name for each in found.common] == [name for name in names(Check) if name not in ("check", "target")]


def test_a_page() -> None:
    text = reference.page(describe(Made))
    assert text.startswith("made: Looks at what was made.\n\nA paragraph.\n\n- an item of a list that is laid out by")
    assert "\n  within: time, such as 90s; default 1min30s\n      A time.\n" in text
    assert "\n  words: list of texts; required\n" in text
    assert "\n  part: keys\n      A part.\n    least: whole number, 1 to 5; default 1\n        The least.\n" in text
    assert "\n  It matters.\n  Try this.\n" in text
    assert text.endswith("Example:\n\n  - id: a\n    check: made\n    points: 1")


@pytest.mark.parametrize("name", sorted(types()))
def test_every_type_has_a_page(name: str) -> None:
    kind = types()[name]
    text = reference.page(describe(kind))
    assert [line for line in text.splitlines() if len(line) > 80 or line != line.rstrip()] == []
    for key, facts in keys(kind).items():
        assert key == "check" or f"\n  {key}: " in text
        assert " ".join(facts.metadata.get("description", "").split()) in " ".join(text.split()) or key == "check"
    assert " anything\n" not in text or name == "http", "a type is not told in words"
    examples = yaml.safe_load(text.rpartition("Example:\n")[2])
    assert {each["check"] for each in examples} <= set(types())
    assert name in [each["check"] for each in examples]


def test_the_overview_names_every_type() -> None:
    done = run("grader", "checks")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert {line.split()[0] for line in done.stdout.splitlines() if line} >= set(types())


def test_a_page_from_the_command() -> None:
    done = run("grader", "checks", "size")
    assert done.stdout == reference.page(describe(types()["size"])) + "\n"


def test_a_form_for_machines() -> None:
    one = json.loads(run("grader", "checks", "dockerfile", "--json").stdout)
    stages = next(each for each in one["fields"] if each["name"] == "stages")
    assert {"name": "min", "type": "whole number, at least 1", "required": False, "default": 1,
            "description": "The fewest stages.", "fields": []} in stages["fields"]  # fmt: skip
    assert yaml.safe_load(one["example"])[0]["check"] == "dockerfile"
    every = json.loads(run("grader", "checks", "--json").stdout)["types"]
    assert {each["name"] for each in every} == set(types())
    assert one in every


def test_a_mistyped_type() -> None:
    done = run("grader", "checks", "dockerfil")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean dockerfile?" in done.stderr

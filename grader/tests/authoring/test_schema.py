"""`grader schema` and the grader agree: what an editor accepts loads, and what it marks is refused."""

from __future__ import annotations

import copy
from functools import cache
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import yaml

from grader.authoring.new import TEMPLATE
from grader.checks import types
from grader.course.exercise import find_course
from grader.course.rubric import json_schema, load
from grader.errors import RubricError
from grader.tests.authoring.tiny import RUBRIC

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUBRICS = [exercise.rubric_path for exercise in find_course().exercises] + [TEMPLATE / "exercises/rubric.yaml"]


@cache
def validator() -> jsonschema.Draft202012Validator:
    schema = json_schema(types())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("path", RUBRICS, ids=lambda path: path.parent.name)
def test_an_editor_accepts_every_rubric_that_ships(path: Path) -> None:
    validator().validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert load(path, types()).checks


@pytest.mark.parametrize("name", sorted(types()))
def test_an_editor_accepts_the_example_of_every_check(name: str) -> None:
    checks = yaml.safe_load(types()[name].example)
    validator().validate(RUBRIC | {"checks": checks})


def put(*path: str | int, value: Any) -> Callable[[Any], None]:
    def change(rubric: Any) -> None:
        for part in path[:-1]:
            rubric = rubric[part]
        rubric[path[-1]] = value

    return change


def take(*path: str | int) -> Callable[[Any], None]:
    def change(rubric: Any) -> None:
        for part in path[:-1]:
            rubric = rubric[part]
        del rubric[path[-1]]

    return change


@pytest.mark.parametrize(
    "change",
    [
        put("titel", value="Tiny"),
        take("pass"),
        put("submit", value=[]),
        put("format", value=2),
        put("checks", 0, "check", value="biuld"),
        put("checks", 0, "withn", value="2s"),
        put("checks", 1, "paths", value=5),
        put("checks", 0, "points", value=-1),
        take("checks", 0, "id"),
        put("checks", 0, "id", value="Not An Id"),
    ],
    ids=["key", "no pass", "no submit", "format", "type", "key of a check", "paths", "points", "no id", "id"],
)
def test_an_editor_marks_what_the_grader_refuses(change: Callable[[Any], None], tmp_path: Path) -> None:
    rubric = copy.deepcopy(RUBRIC)
    change(rubric)
    assert not validator().is_valid(rubric)
    file = tmp_path / "rubric.yaml"
    file.write_text(yaml.safe_dump(rubric))
    with pytest.raises(RubricError):
        load(file, types())


def test_the_rubric_that_is_changed_here_is_accepted_as_it_is() -> None:
    validator().validate(RUBRIC)

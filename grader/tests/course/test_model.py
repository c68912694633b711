"""What a rubric is made of: dataclasses that pydantic validates, and that are made without it."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from pydantic import TypeAdapter, ValidationError

from grader.course.model import UNSET, Model, Rule, field, keys, names, validated

if TYPE_CHECKING:
    from collections.abc import Mapping


def _even(value: int) -> int:
    if value % 2:
        raise ValueError(f"{value} is odd; add one")
    return value


class Inner(Model):
    """A part."""

    name: str = field(min_length=2, description="Its name.")


class Whole(Model):
    """All of it."""

    size: Annotated[int, Rule(_even, ge=0)] = field(alias="how-big", description="How much.")
    lines: Annotated[tuple[str, ...], Rule(before=str.split, schema={"type": "string"})] = field(default=())
    word: Annotated[str, Rule(more={"format": "word"}, pattern="^[a-z]+$")] = "a"
    settings: dict[str, int] = field(default={})
    anything: Any = field(default=UNSET)
    inner: Inner | None = None

    def __post_init__(self) -> None:
        if self.size == 4 and self.inner:
            raise ValueError("inner has no room; make it more than 4")

    @classmethod
    def refuse(cls, written: Mapping[str, Any]) -> None:
        if "word" in written and "lines" in written:
            raise ValueError("word and lines are one thing; drop one")


def errors(written: object) -> list[tuple[str, tuple[int | str, ...]]]:
    with pytest.raises(ValidationError) as raised:
        validated(Whole, written)
    return [(error["msg"], error["loc"]) for error in raised.value.errors()]


def test_what_is_written_is_taken_and_the_rest_is_the_default() -> None:
    made = validated(Whole, {"how-big": 2, "lines": "b c", "anything": None, "inner": {"name": "ab"}})
    assert (made.size, made.lines, made.word, made.settings, made.anything) == (2, ("b", "c"), "a", {}, None)
    assert made.inner == Inner(name="ab")
    assert validated(Whole, {"how-big": 2}).anything is UNSET


def test_each_has_a_mapping_of_its_own() -> None:
    one, other = validated(Whole, {"how-big": 2}), validated(Whole, {"how-big": 2})
    assert one.settings is not other.settings


@pytest.mark.parametrize(
    ("written", "words", "loc"),
    [
        ({}, "Field required", ("how-big",)),
        ({"how-big": 3}, "Value error, 3 is odd; add one", ("how-big",)),
        ({"how-big": -2}, "Input should be greater than or equal to 0", ("how-big",)),
        ({"how-big": 2, "size": 2}, "Unexpected keyword argument", ("size",)),
        ({"how-big": 2, "inner": {"name": "a"}}, "String should have at least 2 characters", ("inner", "name")),
        ({"how-big": 2, "word": "A"}, "String should match pattern '^[a-z]+$'", ("word",)),
        ({"how-big": 4, "inner": {"name": "ab"}}, "Value error, inner has no room; make it more than 4", ()),
        ({"how-big": 2, "word": "b", "lines": "c"}, "Value error, word and lines are one thing; drop one", ()),
    ],
)
def test_what_is_wrong_is_told_with_its_place(written: object, words: str, loc: tuple[int | str, ...]) -> None:
    assert errors(written) == [(words, loc)]


def test_several_mistakes_are_told_together() -> None:
    assert len(errors({"how-big": 3, "word": "A", "x": 1})) == 3


def test_an_editors_schema_says_the_same() -> None:
    schema = TypeAdapter(Whole).json_schema()
    assert (schema["required"], schema["additionalProperties"]) == (["how-big"], False)
    told = schema["properties"]
    assert told["how-big"] == {"title": "How-Big", "type": "integer", "minimum": 0, "description": "How much."}
    assert (told["lines"]["type"], told["word"]["format"], told["word"]["pattern"]) == ("string", "word", "^[a-z]+$")
    assert "default" not in told["anything"]


def test_it_is_a_value() -> None:
    one, other = Inner(name="ab"), Inner(name="ab")
    assert (one, hash(one), repr(one)) == (other, hash(other), "Inner(name='ab')")
    assert one != Inner(name="cd")
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "cd"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(validated(Whole, {"how-big": 2}))).anything is UNSET


def test_its_fields_are_known_by_name_and_by_key() -> None:
    assert names(Whole)[:2] == ("size", "lines")
    assert list(keys(Whole))[:2] == ["how-big", "lines"]
    assert keys(Whole)["how-big"].metadata["description"] == "How much."


def test_none_of_it_takes_pydantic_before_something_is_read() -> None:
    program = "import sys\nimport grader.course.parts, grader.checks.http, grader.checks.dockerfile\n"
    program += "print([name for name in ('pydantic', 'pydantic_core', 'yaml') if name in sys.modules])\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

"""Check types -> what an author may write in them, read from the same models that read the rubric."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import cleandoc
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from grader.checks.base import Check
from grader.course.suggest import listed
from grader.course.units import ByteSize, Duration, human_size, human_time, parse_duration, parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Schema = Mapping[str, Any]

_SIZE = TypeAdapter(ByteSize).json_schema()["anyOf"]
_TIME = TypeAdapter(Duration).json_schema()["anyOf"]
#: One of it, and several.
_WORDS = {
    "string": ("text", "texts"),
    "integer": ("whole number", "whole numbers"),
    "number": ("number", "numbers"),
    "boolean": ("true or false", "truth values"),
}


@dataclass(frozen=True)
class Facts:
    """A field: its name and type as in YAML, the type in words. ``default`` is as YAML has it, None for nothing."""

    name: str
    type: str
    required: bool
    default: Any
    description: str
    fields: tuple[Facts, ...] = ()


@dataclass(frozen=True)
class Reference:
    """A check type. ``why`` and ``hint`` are what a learner is told where the rubric says nothing."""

    name: str
    summary: str
    description: str
    why: str
    hint: str
    fields: tuple[Facts, ...]
    common: tuple[Facts, ...]
    example: str


def describe(kind: type[Check]) -> Reference:
    """All there is to know of a check type to write one; a field of its own may stand for a common one."""
    summary, _, more = cleandoc(kind.__doc__ or "").partition("\n\n")
    schema, base = TypeAdapter(kind).json_schema(), TypeAdapter(Check).json_schema()
    is_common = {name: _same(base["properties"].get(name), field) for name, field in schema["properties"].items()}
    fields = [each for each in _fields(schema, schema.get("$defs", {}), ()) if each.name != "check"]
    return Reference(
        name=kind.type_name(),
        summary=" ".join(summary.split()),
        description=more.strip(),
        why=kind.reason,
        hint=kind.advice,
        fields=tuple(each for each in fields if not is_common[each.name]),
        common=tuple(each for each in fields if is_common[each.name]),
        example=kind.example,
    )


def _same(common: Schema | None, field: Schema) -> bool:
    return common is not None and common.get("description") == field.get("description")


def _fields(schema: Schema, models: Schema, inside: tuple[str, ...]) -> Iterator[Facts]:
    """The fields of a model. ``inside`` are the models around it, so that one that holds itself has an end."""
    for name, field in schema.get("properties", {}).items():
        model = _model(field, models)
        nested = _fields(models[model], models, (*inside, model)) if model and model not in inside else ()
        yield Facts(
            name=name,
            type=_words(field, models),
            required=name in schema.get("required", ()),
            default=_default(field),
            description=field.get("description", ""),
            fields=tuple(nested),
        )


def _model(field: Schema, models: Schema) -> str:
    """The name of the model that a field holds, alone, in a list or under names; empty when there is none."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return name if "properties" in models[name] else ""
    below = [*field.get("anyOf", ()), *field.get("allOf", ()), field.get("items"), field.get("additionalProperties")]
    return next((found for each in below if isinstance(each, dict) and (found := _model(each, models))), "")


def _words(field: Schema, models: Schema, *, many: bool = False) -> str:
    """A field's type as an author would say it."""
    if "$ref" in field:
        return _words(models[field["$ref"].rpartition("/")[2]], models, many=many)
    for known, one, several in ((_SIZE, "size, such as 220MB", "sizes"), (_TIME, "time, such as 90s", "times")):
        if field.get("anyOf") == known:
            return several if many else one
    ways = [each for key in ("anyOf", "oneOf", "allOf") for each in field.get(key, ()) if each.get("type") != "null"]
    if ways:
        return " or ".join(dict.fromkeys(_words(each, models, many=many) for each in ways))
    if "const" in field or "enum" in field:
        return listed(map(str, field.get("enum") or [field["const"]]), last="or")
    return _plain_words(field, models, many=many)


def _plain_words(field: Schema, models: Schema, *, many: bool) -> str:
    kind = str(field.get("type"))
    if kind == "array":
        each = field.get("items")
        return f"list of {_words(each, models, many=True)}" if each else "list"
    if kind == "object" and "properties" in field:
        return "groups of keys" if many else "keys"
    if kind == "object":
        values = field.get("additionalProperties")
        return (
            f"names, each with {_words(values, models)}" if isinstance(values, dict) and values else "keys and values"
        )
    return _WORDS.get(kind, ("anything", "anything"))[many] + _bounds(field)


def _bounds(field: Schema) -> str:
    least, most = field.get("minimum"), field.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    words = {
        "minimum": "at least",
        "maximum": "at most",
        "exclusiveMinimum": "more than",
        "exclusiveMaximum": "less than",
    }
    return "".join(f", {words[key]} {field[key]:g}" for key in words if key in field)


def _default(field: Schema) -> Any:
    value = field.get("default")
    ways = [field, *field.get("anyOf", ())]
    for known, human, parse in ((_SIZE, human_size, parse_size), (_TIME, human_time, parse_duration)):
        if value is not None and any(way.get("anyOf") == known for way in ways):
            text = human(value).replace(" ", "")
            return text if parse(text) == value else value
    return None if value in ([], {}, "") else value

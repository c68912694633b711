"""What pydantic found wrong, in words for the author of a rubric: what, where in the file, how to mend it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from pydantic import ValidationError

from grader.course.model import M, Model, keys
from grader.course.model import validated as model_of
from grader.course.suggest import closest, listed
from grader.course.yamlfile import START, DataPath, Document, Position

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

_NEEDS = {
    "string_type": ("a text", "Write it in quotes."),
    "bool_type": ("true or false", "Write true or false, without quotes."),
    "bool_parsing": ("true or false", "Write true or false, without quotes."),
    "int_type": ("a whole number", "Write digits alone."),
    "int_parsing": ("a whole number", "Write digits alone."),
    "int_from_float": ("a whole number", "Leave out the fraction."),
    "float_type": ("a number", "Write digits alone."),
    "float_parsing": ("a number", "Write digits alone."),
    "finite_number": ("a number that ends", "Write digits alone."),
    "list_type": ("a list", "Write it as `[one, two]`, or one a line after `- `."),
    "tuple_type": ("a list", "Write it as `[one, two]`, or one a line after `- `."),
    "set_type": ("a list", "Write it as `[one, two]`, or one a line after `- `."),
    "frozen_set_type": ("a list", "Write it as `[one, two]`, or one a line after `- `."),
    "dict_type": ("keys and values", "Write it as `{key: value}`, or one a line, indented."),
    "dataclass_type": ("keys of its own", "Write them as `{key: value}`, or one a line, indented."),
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


#: What pydantic calls a key that is no field of a dataclass.
_UNKNOWN = "unexpected_keyword_argument"


def validated(model: type[M], document: Document, path: DataPath = ()) -> M | None:
    """The model made from the document's data at ``path``, or None with its mistakes noted in the document.

    Where a text is meant and the YAML reads as a number or a truth value (``python: 3.10``), the source's own text
    is taken.
    """
    while True:
        try:
            return model_of(model, _value_at(document.data, path))
        except ValidationError as failure:
            errors = failure.errors(include_url=False)
        if not _take_source_texts(document, path, errors):
            _note(model, document, path, errors)
            return None


def _value_at(data: Any, path: DataPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _located(document: Document, path: DataPath, loc: Iterable[str | int]) -> DataPath:
    """The deepest place that an error's ``loc`` reaches; pydantic mixes the names of union branches into it."""
    value = _value_at(document.data, path)
    for part in loc:
        if (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        ):
            value = _value_at(value, (part,))
            path = (*path, part)
    return path


def _take_source_texts(document: Document, path: DataPath, errors: Iterable[ErrorDetails]) -> bool:
    taken = False
    for error in errors:
        place = _located(document, path, error["loc"])
        if error["type"] == "string_type" and error["input"] is not None and place in document.texts:
            holder: Any = _value_at(document.data, place[:-1])
            holder[place[-1]] = document.texts.pop(place)
            taken = True
    return taken


def _note(model: type[Model], document: Document, path: DataPath, errors: list[ErrorDetails]) -> None:
    found: dict[Position, list[tuple[str, str]]] = {}
    meant = {_meant(model, error["loc"]) for error in errors if error["type"] == _UNKNOWN}
    for error in errors:
        if error["type"] == "missing" and error["loc"] in meant:
            continue  # It is there, misspelt.
        place = _place(document, path, error)
        found.setdefault(_position(document, place, error), []).append(_words(model, document, place, error))
    for position, words in found.items():
        # Every branch of a union complains for itself: one mistake, several ways to mend it.
        what = "; or ".join(dict.fromkeys(what for what, _ in words))
        document.add(position, what, " Or: ".join(dict.fromkeys(fix for _, fix in words)))


def _place(document: Document, path: DataPath, error: ErrorDetails) -> DataPath:
    place = _located(document, path, error["loc"])
    if error["type"] != "value_error":
        return place
    # A model's complaint about several of its keys points at the one that it names first.
    word = error["msg"].removeprefix("Value error, ").split(" ", 1)[0].strip("`:,")
    value = _value_at(document.data, place)
    return (*place, word) if isinstance(value, dict) and word in value else place


def _position(document: Document, place: DataPath, error: ErrorDetails) -> Position:
    """A value's own place; its key's when the key is what is wrong or nothing stands after it."""
    about_key = error["type"] == _UNKNOWN or error["loc"][-1:] == ("[key]",) or error["input"] is None
    if about_key and place in document.keys:
        return document.keys[place]
    return document.values.get(place, START)


def _words(model: type[Model], document: Document, place: DataPath, error: ErrorDetails) -> tuple[str, str]:
    """What is wrong and how to mend it."""
    where = _inside(document, place)
    name = ".".join(part for part in _within_check(place) if isinstance(part, str))
    if error["type"] == _UNKNOWN:
        return _unknown_key(model, place, error["loc"], where)
    if error["type"] == "missing":
        return _missing_key(model, error["loc"], name, where)
    if error["input"] is None:
        return f"Nothing stands after `{name}:`{where}", "Write its value, or leave the key out."
    return _wrong_value(f"`{name}`{where}" if name else where.removeprefix(" of ").capitalize(), error)


def _wrong_value(subject: str, error: ErrorDetails) -> tuple[str, str]:
    kind, shown, context = error["type"], _shown(error["input"]), error.get("ctx", {})
    if kind in _NEEDS:
        need, fix = _NEEDS[kind]
        return f"{subject} needs {need}, not {shown}", fix
    if kind in _BOUNDS:
        bound, key = _BOUNDS[kind]
        return f"{subject} is {shown}; it has to be {bound} {context[key]}", "Change the number."
    if kind == "literal_error":
        return _no_such_choice(subject, error)
    if kind in {"too_short", "string_too_short"}:
        return f"{subject} is empty", "Write at least one."
    if kind == "string_pattern_mismatch":
        return f"{subject} is {shown}, which does not fit", _pattern_fix(subject, context["pattern"])
    # Our own validators say what is wrong and, after a semicolon, how to mend it.
    what, _, fix = error["msg"].removeprefix("Value error, ").partition("; ")
    return (
        f"{subject}: {what}",
        f"{fix[:1].upper()}{fix[1:]}{'' if fix.endswith('?') else '.'}" if fix else "Change it.",
    )


def _within_check(place: DataPath) -> DataPath:
    return place[2:] if len(place) > 1 and place[0] == "checks" else place


def _inside(document: Document, place: DataPath) -> str:
    if place[:1] != ("checks",) or len(place) < 2:
        return ""
    check = _value_at(document.data, place[:2])
    given = check.get("id") if isinstance(check, dict) else None
    return f" of check `{given}`" if isinstance(given, str) else f" of check number {int(place[1]) + 1}"


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "keys and values" if isinstance(value, dict) else "a list"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}...`"


def _unknown_key(model: type[Model], place: DataPath, loc: tuple[int | str, ...], where: str) -> tuple[str, str]:
    key = str(loc[-1])
    parents = [part for part in _within_check(place)[:-1] if isinstance(part, str)]
    inside = f" in `{'.'.join(parents)}`{where}" if parents else where.replace(" of ", " in ", 1)
    known = list(keys(_model_at(model, loc[:-1])))
    what = f"Unknown key `{key}`{inside}"
    if near := closest(key, known):
        return f"{what}. Did you mean `{near}`?", f"Keys that may stand here: {listed(known)}."
    return what, f"Delete it. Keys that may stand here: {listed(known)}."


def _missing_key(model: type[Model], loc: tuple[int | str, ...], name: str, where: str) -> tuple[str, str]:
    key = str(loc[-1])
    owner = f"`{name}`{where}" if name else where.removeprefix(" of ").capitalize() or "The rubric"
    field = keys(_model_at(model, loc[:-1])).get(key)
    about = field.metadata.get("description", "") if field else ""
    return f"{owner} has no `{key}`", f"Add `{key}:`" + (f" ({about.rstrip('.')})." if about else ".")


def _meant(model: type[Model], loc: tuple[int | str, ...]) -> tuple[int | str | None, ...]:
    """The place of the key that an unknown one was probably meant to be."""
    return (*loc[:-1], closest(str(loc[-1]), list(keys(_model_at(model, loc[:-1])))))


def _model_at(model: type[Model], loc: Iterable[int | str]) -> type[Model]:
    for part in loc:
        if isinstance(part, str) and (field := keys(model).get(part)):
            model = _first_model(get_type_hints(model)[field.name]) or model
    return model


def _first_model(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _first_model(arg))), None)


def _no_such_choice(subject: str, error: ErrorDetails) -> tuple[str, str]:
    expected = error.get("ctx", {}).get("expected", "")
    choices = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    what = f"{subject} is {_shown(error['input'])}"
    if near := closest(str(error["input"]), choices):
        what += f". Did you mean `{near}`?"
    return what, f"It has to be {listed(choices, last='or')}."


def _pattern_fix(subject: str, pattern: str) -> str:
    if subject.startswith("`id`"):
        return "Use small letters, digits and hyphens."
    return f"It has to match `{pattern}`."

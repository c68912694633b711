"""JSON that an app answers with, held against what a rubric wants of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from grader.checks._text import shown
from grader.course.units import human_time
from grader.errors import EngineError, RubricError

#: Seconds that a rubric's schema may take on an answer.
_VALIDATE_WITHIN = 10.0
#: Run on its own, for the reason that `violation` gives. No reference is ever fetched: the registry is empty.
_VALIDATE = """
import json, sys
from jsonschema.exceptions import best_match
from jsonschema.validators import Draft202012Validator, validator_for
from referencing import Registry
schema, instance = json.load(sys.stdin)
validator = validator_for(schema, default=Draft202012Validator)(schema, registry=Registry())
worst = best_match(validator.iter_errors(instance))
print(json.dumps(None if worst is None else [worst.json_path, worst.message[:2000]]))
"""


def missing(wanted: Any, found: Any, path: str = "") -> str:
    """The first place where ``found`` does not contain ``wanted``, in words; empty when it does.

    Objects may have more keys and lists more items than are wanted; items must come in the order given.
    """
    here = path or "the body"
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping):
            return f"{here} is {shown(_written(found))}, not an object"
        for key, item in wanted.items():
            name = f"{path}.{key}" if path else str(key)
            if str(key) not in found:
                return f"no {name} in the JSON: {shown(_written(found))}"
            if difference := missing(item, found[str(key)], name):
                return difference
        return ""
    if isinstance(wanted, list):
        return _missing_items(wanted, found, here)
    # True == 1 in Python, not in JSON.
    same = wanted == found and isinstance(wanted, bool) == isinstance(found, bool)
    return "" if same else f"{here} is {shown(_written(found))}"


def _missing_items(wanted: list[Any], found: Any, here: str) -> str:
    if not isinstance(found, list):
        return f"{here} is {shown(_written(found))}, not a list"
    items = iter(found)
    for item in wanted:
        if not any(not missing(item, candidate) for candidate in items):
            return f"{here} has no {shown(_written(item))} (in this order): {shown(_written(found))}"
    return ""


def _written(value: Any) -> str:
    """As JSON; an app can answer with lists nested deeper than can be written back."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "JSON nested very deep"


def refuse_schema(schema: Any) -> None:
    """Raises ValueError, in words for the author of a rubric, for what is no JSON Schema or refers to another one."""
    # Takes longer to import than most checks to run.
    from jsonschema.exceptions import SchemaError  # noqa: PLC0415
    from jsonschema.validators import Draft202012Validator, validator_for  # noqa: PLC0415

    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        raise ValueError("json_schema is no JSON Schema; write its keywords, such as type and properties")  # noqa: TRY004  # pydantic takes no TypeError
    elsewhere = next((ref for ref in _references(schema) if not ref.startswith("#")), None)
    if elsewhere is not None:
        raise ValueError(f"json_schema refers to {elsewhere}, which is not in it; put it under $defs")
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)
    except SchemaError as error:
        raise ValueError(
            f"json_schema is no JSON Schema: {error.json_path}: {shown(error.message)}; mend it"
        ) from error


def _references(schema: Any) -> list[str]:
    """Every `$ref` and the like, at whatever depth."""
    if isinstance(schema, list):
        return [ref for item in schema for ref in _references(item)]
    if not isinstance(schema, Mapping):
        return []
    own = [value for key, value in schema.items() if key in ("$ref", "$dynamicRef") and isinstance(value, str)]
    return own + [ref for value in schema.values() for ref in _references(value)]


def violation(schema: Any, body: str) -> str:
    """The first place where ``body``, which is JSON, does not keep ``schema``, in words; empty when it does.

    Another process looks: an answer can be made so that a pattern or a comparison of all items takes for ever, and then
    this raises ``RubricError``.
    """
    # -P: nothing of the folder that somebody stands in is imported.
    command = [sys.executable, "-P", "-c", _VALIDATE]
    sent = f"[{json.dumps(schema)}, {body}]"
    try:
        done = subprocess.run(command, input=sent.encode(), capture_output=True, timeout=_VALIDATE_WITHIN, check=False)
    except subprocess.TimeoutExpired as error:
        raise RubricError(
            f"The JSON Schema takes more than {human_time(_VALIDATE_WITHIN)} on the app's answer",
            "Write it without uniqueItems of objects and without patterns that repeat a repetition.",
        ) from error
    if b"RecursionError" in done.stderr:
        return "the body is JSON nested too deep"
    if done.returncode != 0:
        log = tuple(done.stderr.decode(errors="replace").splitlines()[-5:])
        raise EngineError("The JSON Schema could not be tried", "Please report it, with the log.", log=log)
    worst = json.loads(done.stdout)
    return "" if worst is None else f"{_place(worst[0])}: {shown(worst[1])}"


def _place(json_path: str) -> str:
    """`$.items[0]` as the other words here have it."""
    return json_path.removeprefix("$").removeprefix(".") or "the body"

"""Reads a rubric from its ``rubric.yaml``, and tells editors what may stand there.

The types of checks are handed in, so that this package never imports them.
"""

from __future__ import annotations

import hashlib
import math
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from grader.course import wheelhouse, yamlfile
from grader.course.messages import validated
from grader.course.parts import File, Rubric
from grader.course.suggest import closest, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from grader.checks.base import Check
    from grader.course.model import Model
    from grader.course.yamlfile import Document

__all__ = ["Rubric", "json_schema", "load"]


def load(path: Path, check_types: Mapping[str, type[Check]], *, whole: bool = True) -> Rubric:
    """Reads a rubric; ``check_types`` says which model stands behind each ``check:``.

    ``whole`` also asks for what the exercise has to bring: `grader wheelhouse` is about to make it.
    Raises RubricError with every mistake of the file, each with its line and column.
    """
    content = yamlfile.read_bytes(path)
    document = yamlfile.parse(content, path)
    file = validated(File, document)
    checks = _checks(document, check_types)
    _refuse_same_ids(document)
    _refuse_unmet_needs(document)
    _refuse_missing_app(document, check_types)
    if file is not None:
        _refuse_unoffered(document, file, path.parent if whole else None)
    if file is not None and not any(fnmatchcase("Dockerfile", entry) for entry in file.submit):
        what = "`submit` does not name the Dockerfile: every learner would be graded by the starter's"
        document.add(document.values["submit",], what, "Write `submit: [Dockerfile]`, and what else is taken.")
    document.refuse()
    assert file is not None, "a file without mistakes is valid"  # noqa: S101 - tells mypy what refuse() has settled
    _weigh(document, file, checks)
    document.refuse()
    return Rubric(
        title=file.title,
        submit=file.submit,
        pass_score=file.pass_score,
        bases=file.bases,
        build=file.build,
        app=file.app,
        limits=file.limits,
        checks=tuple(checks),
        digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
        path=path,
        hint_cost=file.hint_cost,
    )


def _checks(document: Document, check_types: Mapping[str, type[Check]]) -> list[Check]:
    given = document.data.get("checks")
    items = given if isinstance(given, list) else []
    found = [_check(document, index, item, check_types) for index, item in enumerate(items)]
    return [check for check in found if check is not None]


def _check(document: Document, index: int, item: Any, check_types: Mapping[str, type[Check]]) -> Check | None:
    place = document.values["checks", index]
    if not isinstance(item, dict):
        document.add(
            place, "A check needs keys of its own", "Start it with `- id: ...` and `check: ...`, indented alike."
        )
        return None
    kind = item.get("check")
    if kind is None:
        document.add(
            place, f"Check {_called(item, index)} does not say its type", f"Add `check:`, {_one_of(check_types)}."
        )
        return None
    if not isinstance(kind, str) or kind not in check_types:
        near = closest(str(kind), check_types)
        what = f"Unknown check type `{kind}`" + (f". Did you mean `{near}`?" if near else "")
        document.add(document.values["checks", index, "check"], what, f"It can be {_one_of(check_types)}.")
        return None
    return validated(check_types[kind], document, ("checks", index))


def _one_of(check_types: Mapping[str, type[Check]]) -> str:
    return f"one of {listed(sorted(check_types))}"


def _called(item: dict[str, Any], index: int) -> str:
    return f"`{item['id']}`" if isinstance(item.get("id"), str) else f"number {index + 1}"


def _refuse_same_ids(document: Document) -> None:
    first: dict[Any, int] = {}
    items = document.data.get("checks")
    for index, item in enumerate(items if isinstance(items, list) else []):
        given = item.get("id") if isinstance(item, dict) else None
        if not isinstance(given, str):
            continue
        place = document.values["checks", index, "id"]
        if given in first:
            what = f"Two checks have the id `{given}`, in lines {first[given]} and {place.line}"
            document.add(place, what, "Give each check an id of its own.")
        first.setdefault(given, place.line)


def _refuse_unmet_needs(document: Document) -> None:
    """`needs` names checks that are judged before, so that it is known whether they passed."""
    before: list[str] = []
    items = document.data.get("checks")
    for index, item in enumerate(items if isinstance(items, list) else []):
        needs = item.get("needs") if isinstance(item, dict) else None
        for number, needed in enumerate(needs if isinstance(needs, list) else []):
            if isinstance(needed, str) and needed not in before:
                near = closest(needed, before)
                what = f"`needs` names `{needed}`, and no check of that id comes before"
                fix = "Name checks that come before this one." + (f" Did you mean `{near}`?" if near else "")
                document.add(document.values["checks", index, "needs", number], what, fix)
        if isinstance(item, dict) and isinstance(item.get("id"), str):
            before.append(item["id"])


def _refuse_missing_app(document: Document, check_types: Mapping[str, type[Check]]) -> None:
    items = document.data.get("checks")
    if document.data.get("app") is not None or not isinstance(items, list):
        return
    for index, item in enumerate(items):
        kind = item.get("check") if isinstance(item, dict) else None
        if isinstance(kind, str) and kind in check_types and "app" in check_types[kind].uses:
            what = f"Check {_called(item, index)} asks the running app, but the rubric has no `app:`"
            fix = "Add `app: {port: 5000}` with the port that the app listens on."
            document.add(document.values["checks", index], what, fix)


def _refuse_unoffered(document: Document, file: File, folder: Path | None) -> None:
    """What a build without a network cannot do, and what it is promised and not given; ``folder`` is the exercise's."""
    build = file.build
    if build.network == "none" and build.remote_add:
        what = "`remote_add` lets ADD fetch from the network, and `network: none` takes that from builds"
        document.add(document.keys["build", "remote_add"], what, "Keep one of the two.")
    if build.wheelhouse is not None and folder is not None:
        for what, fix in wheelhouse.faults(folder, build.wheelhouse):
            document.add(document.values["build", "wheelhouse"], what, fix)


def _weigh(document: Document, file: File, checks: Sequence[Check]) -> None:
    """Whether the points add up to something that can be passed."""
    # Rounded, because 0.7 and 0.1 would come to a little less than 0.8.
    total = round(math.fsum(check.points for check in checks if not check.bonus), 6)
    if not 0 < total < math.inf:
        place = document.values["checks", 0, "points"]
        document.add(place, f"The points of all checks add up to {total:g}", "Give at least one check some points.")
    elif file.pass_score > total:
        what = f"`pass` is {file.pass_score:g}, but the points of all checks add up to {total:g}: nobody could pass"
        document.add(document.values["pass",], what, "Lower `pass` or raise the points.")


def json_schema(check_types: Mapping[str, type[Check]]) -> dict[str, Any]:
    """A JSON Schema (draft 2020-12) of the rubric file, for editors; one branch a check type, told by ``check``."""
    models: dict[str, type[Model]] = {"": File, **check_types}
    refs, schema = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(model)) for name, model in models.items()]
    )
    definitions = schema["$defs"]
    root = definitions.pop(_definition(refs["", "validation"]))
    branches = []
    for name in check_types:
        ref = refs[name, "validation"]
        properties = definitions[_definition(ref)]["properties"]
        properties["check"] = {"const": name, "description": "The check type."}
        branches.append(ref)
    root["properties"]["checks"]["items"] = {"oneOf": branches}
    root["title"] = "Rubric"
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **root, "$defs": definitions}


def _definition(ref: dict[str, Any]) -> str:
    return str(ref["$ref"]).rsplit("/", 1)[-1]

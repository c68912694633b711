from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

from grader.reports import Telling, load, names
from grader.tests.reports.results import ALL, FAILED, HOSTILE
from grader.tests.reports.schema import RESULT

if TYPE_CHECKING:
    from grader.result import GradeResult

GOLDEN = Path(__file__).parent / "golden"


def told(result: GradeResult) -> str:
    out = io.StringIO()
    load("json")(result, Telling(), out)
    return out.getvalue()


@pytest.mark.parametrize("name", sorted(ALL))
def test_golden(name: str) -> None:
    assert told(ALL[name]) == (GOLDEN / f"{name}.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("result", [*ALL.values(), HOSTILE])
def test_it_is_what_the_design_says(result: GradeResult) -> None:
    jsonschema.Draft202012Validator.check_schema(RESULT)
    jsonschema.validate(json.loads(told(result)), RESULT)


def test_nothing_is_cut_or_changed() -> None:
    assert json.loads(told(HOSTILE))["checks"][0]["got"] == HOSTILE.checks[0].got
    told(HOSTILE).encode("ascii")


def test_whole_points_have_no_fraction() -> None:
    content = json.loads(told(FAILED))
    assert '"score": 10,' in told(FAILED)
    assert content["checks"][1]["max_score"] == 22.5


def test_both_formats_are_found_and_no_other() -> None:
    assert {"terminal", "json"} <= set(names())
    assert not [name for name in names() if name.startswith("_")]
    with pytest.raises(KeyError):
        load("_text")

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from grader.reports import Telling, plain
from grader.tests.reports.results import ALL, DOCKERFILE, FAILED, HOSTILE, HOSTILE_DOCKERFILE

if TYPE_CHECKING:
    from grader.result import GradeResult

GOLDEN = Path(__file__).parent / "golden"


def told(result: GradeResult, telling: Telling) -> str:
    out = io.StringIO()
    plain.write(result, telling, out)
    return out.getvalue()


@pytest.mark.parametrize("name", sorted(ALL))
def test_golden(name: str) -> None:
    hint = "grader hint" if name == "failed" else ""
    text = told(ALL[name], Telling(DOCKERFILE, before=(("starter", 1_000_000_000),), hint=hint))
    assert text == (GOLDEN / f"plain-{name}.txt").read_text(encoding="utf-8")


def test_every_line_is_a_statement_of_its_own_without_anything_drawn() -> None:
    for line in told(FAILED, Telling(DOCKERFILE, verbose=True)).splitlines():
        assert line == line.strip()
        assert line
        assert not set(line) & set("#|─│█>")


def test_what_a_learner_writes_is_never_control_and_never_a_line_of_its_own() -> None:
    text = told(HOSTILE, Telling(HOSTILE_DOCKERFILE, verbose=True))
    assert [c for c in text if c != "\n" and (not c.isprintable() or ord(c) in range(0x202A, 0x2070))] == []
    known = {line.partition(":")[0] for line in told(FAILED, Telling(DOCKERFILE, verbose=True)).splitlines()}
    starts = {line.partition(":")[0].split(";")[0] for line in text.splitlines()}
    assert not [start for start in starts if start.startswith(("red", "title", "gnp"))], starts - known

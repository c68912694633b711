"""Two verdicts side by side, and one after the other for a screen reader."""

from __future__ import annotations

import io
from dataclasses import replace

from grader.cli import compare
from grader.reports import Telling
from grader.tests.reports.results import DOCKERFILE, FAILED, PASSED


def test_one_by_one_is_two_verdicts_in_plain_statements() -> None:
    out = io.StringIO()
    compare.one_by_one([FAILED, PASSED], [Telling(DOCKERFILE)] * 2, out)
    lines = out.getvalue().splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("Not passed:", "Passed with"))] == ["Not", "Passed"]
    assert any(line.startswith("Dockerfile line ") for line in lines)
    assert not [line for line in lines if "not in the Dockerfile" in line or "##" in line or "   " in line]


def test_verdicts_are_paired_by_their_ids() -> None:
    parts = [replace(FAILED.checks[0], id=f"tests/{name}", title=f"Part {name}") for name in "ab"]
    skipped = replace(FAILED.checks[0], id="tests", title="All parts")
    out = io.StringIO()
    compare.write([replace(FAILED, checks=(skipped,)), replace(PASSED, checks=tuple(parts))], [Telling()] * 2, out)
    lines = out.getvalue().splitlines()
    assert [line.split()[:2] for line in lines if line.startswith(("All", "Part"))] == [
        ["All", "parts"], ["Part", "a"], ["Part", "b"],
    ]  # fmt: skip
    assert next(line for line in lines if line.startswith("All parts")).rstrip().endswith(" -")


def test_with_all_that_is_known_each_verdict_quotes_its_dockerfile() -> None:
    out = io.StringIO()
    compare.write([FAILED, FAILED], [Telling(DOCKERFILE, verbose=True)] * 2, out)
    assert any(line.lstrip().startswith("line ") and ">" in line for line in out.getvalue().splitlines())

"""Whatever a learner's program prints: each format is still what it is, and says nothing that the grader did not."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from fluidattacks_core.sarif import SarifLog
from junitparser import JUnitXml
from markdown_it import MarkdownIt

from grader.reports import _workflow, names
from grader.tests.reports.hostile import STRINGS, dockerfile, results
from grader.tests.reports.reporter import report
from grader.tests.reports.runner import commands, variables
from grader.tests.reports.schema import RESULT
from grader.tests.reports.telling import told
from grader.tests.reports.test_classroom50 import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

#: Formats whose text is never a command, wherever it is printed; the others are commands or are kept between tokens.
INERT = sorted(set(names()) - {"terminal", "annotations"})
CASES = [(name, kind) for name in sorted(STRINGS) for kind in ("failed", "refused", "error")]
each_case = pytest.mark.parametrize(("name", "kind"), CASES, ids=lambda part: part)


@pytest.fixture(autouse=True)
def _in_a_workflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for variable in ("GITHUB_SHA", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(variable, raising=False)


def hostile(form: str, name: str, kind: str) -> str:
    return told(form, results(STRINGS[name])[kind], dockerfile=dockerfile(STRINGS[name]))


def controls(text: str) -> set[str]:
    """Characters that no reader sees: all formats but JSON, which escapes them, are without."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")}


@each_case
def test_nothing_is_a_command_to_githubs_runner(name: str, kind: str) -> None:
    for form in INERT:
        assert commands(hostile(form, name, kind)) == [], form


@each_case
def test_on_a_log_the_terminals_verdict_is_between_tokens(name: str, kind: str) -> None:
    out = io.StringIO()
    with _workflow.unheard(out):
        out.write(hostile("terminal", name, kind))
    assert commands(out.getvalue() + "\n::notice::after") == commands("::notice::after")
    assert not controls(out.getvalue())


@each_case
def test_annotations_are_those_of_the_grader(name: str, kind: str) -> None:
    text = hostile("annotations", name, kind)
    found = commands(text)
    assert len(found) == len(text.splitlines()) == {"failed": 3, "refused": 2, "error": 2}[kind]
    assert {command.name for command in found} <= {"error", "warning", "notice"}
    assert {key for command in found for key in command.properties} <= {"file", "line", "title"}
    assert all(command.properties.get("file", "Dockerfile") == "Dockerfile" for command in found)
    assert not controls(text)


@each_case
def test_json_says_all_of_it(name: str, kind: str) -> None:
    content = json.loads(hostile("json", name, kind))
    jsonschema.validate(content, RESULT)
    if name != "lone surrogates that pair":  # which JSON cannot tell from the character that they are together
        assert content["submission"]["name"] == results(STRINGS[name])[kind].submission.name
        assert content["checks"][0]["got"] == results(STRINGS[name])[kind].checks[0].got


@each_case
def test_gradescope_and_classroom50_are_what_they_should_be(name: str, kind: str) -> None:
    content = json.loads(hostile("gradescope", name, kind))
    assert ("score" in content) is (kind != "error")
    assert {test["output_format"] for test in content["tests"]} == {"text"}
    assert not controls("".join(strings(content)))
    content = json.loads(hostile("classroom50", name, kind))
    assert not controls("".join(strings(content)))
    if kind != "error":
        jsonschema.validate(content, SCHEMA)


@each_case
def test_sarif_is_sarif(name: str, kind: str) -> None:
    content = json.loads(hostile("sarif", name, kind))
    SarifLog.model_validate(content)
    assert len(content["runs"][0]["results"]) == {"failed": 2, "refused": 1, "error": 0}[kind]
    assert not controls("".join(strings(content)))


@each_case
def test_junit_is_xml_with_as_many_cases(name: str, kind: str) -> None:
    text = hostile("junit", name, kind)
    assert not controls(text)
    assert len(list(ET.fromstring(text).iter("testcase"))) == {"failed": 5, "refused": 2, "error": 3}[kind]
    suites = JUnitXml.fromstring(text.encode())
    assert [len(suite) for suite in suites] == [suites.tests]


@each_case
def test_csv_has_its_rows_and_no_formula(name: str, kind: str) -> None:
    text = hostile("csv", name, kind)
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == len(text.splitlines()) == {"failed": 6, "refused": 2, "error": 3}[kind]
    assert {len(row) for row in rows} == {len(rows[0])}
    cells = [cell for row in rows for part in row for cell in part.split(";")]
    assert [
        cell for cell in cells if cell.strip()[:1] in tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20") and cell.strip()
    ] == []
    assert not controls(text)


@each_case
def test_markdown_has_it_in_fences_alone(name: str, kind: str) -> None:
    text = hostile("markdown", name, kind)
    # One of ours, in place of a mention.
    assert not controls(text.replace("&#8203;", ""))
    assert len(text) < 70_000
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    markup = [token for token in walked(tokens) if token.type in ("link_open", "image", "html_inline", "s_open", "hr")]
    assert markup == []
    ours = {"<details><summary>Log</summary>\n", "</details>\n"}
    assert {token.content for token in tokens if token.type == "html_block"} <= ours
    assert [token.tag for token in tokens if token.type == "heading_open"] == {
        "failed": ["h2", "h3", "h3", "h3"], "refused": ["h2"], "error": ["h2"],
    }[kind]  # fmt: skip
    rows = [token for token in tokens if token.type == "tr_open"]
    assert len(rows) == {"failed": 6, "refused": 2, "error": 3}[kind]
    assert {token.type for token in tokens} & {"blockquote_open", "bullet_list_open", "ordered_list_open"} == set()
    prose = "".join(token.content for token in walked(tokens) if token.type == "text")
    assert "@somebody" not in prose


@each_case
def test_the_reporter_prints_no_command_and_counts_no_other_points(name: str, kind: str) -> None:
    result = results(STRINGS[name])[kind]
    found = variables(hostile("github-classroom", name, kind))
    assert found["score"] == {"failed": "10", "refused": "22.5", "error": ""}[kind]
    environment = {f"{runner.upper()}_RESULTS": found[runner] for runner in found["runners"].split(",")}
    said = report(found["runners"], environment)
    assert commands("\n".join(said.printed)) == []
    assert not controls("\n".join(said.printed))
    if kind == "failed":
        assert said.notice == said.console == (result.score, result.max_score)


def test_the_model_of_the_runner_hears_what_github_hears() -> None:
    heard = commands("x\n  ::notice title=a,b=c%2Cd::e%0Af\nall ##[error]no\n::unknown::x\nx ::error::y\r::error::z")
    assert [(command.name, command.data) for command in heard] == [
        ("notice", "e\nf"),
        ("old error", "no"),
        ("error", "z"),
    ]
    assert heard[0].properties == {"title": "a", "b": "c,d"}
    assert commands("::stop-commands::t\n::error::x\n::u::\n::T::\n::error::y") == commands("::error::y")


def test_the_corpus_would_be_heard() -> None:
    heard = [name for name, text in STRINGS.items() if commands(text)]
    assert {"command", "indented command", "old command", "command after odd blanks"} <= set(heard)


def strings(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        content = [*content, *content.values()]
    if isinstance(content, list):
        for part in content:
            yield from strings(part)
    elif isinstance(content, str):
        yield content.replace("\n", "")


def walked(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from walked(token.children or [])

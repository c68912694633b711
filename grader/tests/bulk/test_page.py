"""The gradebook's page: what it says, that it holds whatever a learner is called, and that thousands of rows work."""

from __future__ import annotations

import base64
import hashlib
import re
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from grader.bulk import gradebook, outcome
from grader.bulk.gradebook import Grade
from grader.bulk.groups import Groups
from grader.bulk.journal import Journal
from grader.bulk.learner import Learner
from grader.bulk.page import Page, Tally
from grader.files import put
from grader.tests.bulk.classes import ASKED, ENGINE, RUBRIC, keep, mixed, row, verdict
from grader.tests.reports.pages import elements, parsed, tag, text_of
from grader.tests.reports.poison import CORPUS

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from grader.tests.reports.browser import Browser

NAMES = [f"learner-{number:04}" for number in range(20)]
MANY = [f"learner-{number:04}" for number in range(5000)]


def page(out: Path, names: list[str]) -> Path:
    """The page of a class, with one change since the last gradebook."""
    rows, journal = mixed(out, names)
    groups = Groups.of(rows)
    put(out / "changes.csv", f"learner,change\n{names[0]},failed 1 -> passed 2\n")
    made = Page(RUBRIC, "03-multi-stage-builds", "grader bulk 03 in --out out --rerun errors")
    for grade in gradebook.grades(rows, journal, groups, best=False):
        made.add(grade)
    made.write(out, groups)
    journal.close()
    return out / "gradebook.html"


def tree(file: Path) -> Element:
    return parsed(file.read_text(encoding="ascii"))


def section(whole: Element, name: str) -> str:
    (found,) = (element for element in elements(whole) if element.attrib.get("id") == name)
    return " ".join(text_of(found).split())


def test_it_says_what_an_instructor_looks_for(tmp_path: Path) -> None:
    whole = tree(page(tmp_path, NAMES))
    assert "Nobody passes it: look at the check itself" in section(whole, "checks")
    assert section(whole, "checks").count("Nobody passes it") == 1
    errors = section(whole, "errors")
    assert "grader bulk 03 in --out out --rerun errors" in errors
    assert "learner-0003" in errors
    assert "learner-0000" not in errors
    assert "failed 1 -> passed 2" in section(whole, "changes")
    alike = section(whole, "alike")
    assert "not an accusation" in alike
    assert "learner-0002, learner-0007, learner-0012, learner-0017" in alike
    assert "15 to pass" in section(whole, "scores")
    links = [element.attrib["href"] for element in elements(whole) if tag(element) == "a"]
    assert "feedback/learner-0000.html" in links
    assert not [link for link in links if "learner-0004" in link], "who handed in nothing has no feedback"


def test_a_class_that_is_as_it_should_be_hears_of_nothing_else(tmp_path: Path) -> None:
    made = Page(RUBRIC, "x", "again")
    made.add(Grade(row("ada", "d"), verdict(small=True).to_json(), file="ada"))
    made.write(tmp_path, Groups())
    whole = tree(tmp_path / "gradebook.html")
    ids = {element.attrib.get("id") for element in elements(whole)}
    assert {"scores", "checks", "learners"} <= ids
    assert not ids & {"errors", "changes", "alike"}


def test_nobody_at_all_is_a_page_too(tmp_path: Path) -> None:
    made = Page(RUBRIC, "x", "again")
    made.write(tmp_path, Groups())
    assert "Nobody has a score yet" in text_of(tree(tmp_path / "gradebook.html"))


@pytest.mark.parametrize(
    ("judged", "passed", "note"),
    [(10, 0, "Nobody"), (10, 10, "Everybody"), (10, 3, ""), (1, 0, ""), (0, 0, "")],
)
def test_a_check_that_parts_nobody_is_pointed_at(judged: int, passed: int, note: str) -> None:
    assert Tally("x", "x", 1, judged, passed).note.partition(" ")[0] == note


def test_the_policy_allows_our_style_and_script_by_their_hash_and_nothing_else(tmp_path: Path) -> None:
    whole = tree(page(tmp_path, NAMES))
    hashes = {
        tag(element): f"'sha256-{base64.b64encode(hashlib.sha256((element.text or '').encode()).digest()).decode()}'"
        for element in elements(whole)
        if tag(element) in ("style", "script")
    }
    (policy,) = (e.attrib["content"] for e in elements(whole) if e.attrib.get("http-equiv"))
    assert policy.split("; ") == [
        "default-src 'none'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        f"style-src {hashes['style']}",
        f"script-src {hashes['script']}",
    ]
    assert not [element for element in elements(whole) if "style" in element.attrib]


def test_the_same_again_is_the_same_page(tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        texts.append(page(tmp_path / name, NAMES).read_bytes())
    assert texts[0] == texts[1]


# --- in a browser -----------------------------------------------------------------------------------------------------


def shown(browser: Browser) -> list[str]:
    """The names in the table that are not filtered away, in order."""
    found: list[str] = browser.run(
        "return [...document.querySelectorAll('#table tbody tr')].filter(row => !row.hidden)"
        ".map(row => row.cells[0].textContent)"
    )
    return found


def sort(browser: Browser, column: int) -> list[str]:
    """Clicks a column's name; what it then holds, from the top."""
    browser.run(f"document.querySelectorAll('#table thead button')[{column}].click()")
    cells: list[str] = browser.run(
        f"return [...document.querySelectorAll('#table tbody tr')].map(row => row.cells[{column}].textContent)"
    )
    return cells


def choose(browser: Browser, **values: str) -> None:
    for name, value in values.items():
        browser.run(
            f"const field = document.getElementById('{name}'); field.value = {value!r};"
            "field.dispatchEvent(new Event('input', {bubbles: true}))"
        )


def asked_for(browser: Browser) -> set[str]:
    events: list[tuple[str, Any]] = browser.events()
    return {
        params["request"]["url"].partition(",")[0] for name, params in events if name == "Network.requestWillBeSent"
    }


def test_five_thousand_rows_are_sorted_and_filtered(browser: Browser, tmp_path: Path) -> None:
    file = page(tmp_path, MANY)
    browser.open(file)
    assert len(shown(browser)) == 5000
    assert browser.run("return document.getElementById('count').textContent") == "5000 of 5000 rows"

    scores = sort(browser, 2)
    assert [float(score) for score in scores if score] == sorted(float(score) for score in scores if score)
    assert scores[-1000:] == [""] * 1000, "who has no score comes last"
    scores = sort(browser, 2)
    assert float(scores[0]) == 32.5
    assert scores[-1] == ""
    assert sort(browser, 0)[:2] == ["learner-0000", "learner-0001"]
    assert browser.run("return document.querySelectorAll('th[aria-sort]').length") == 1

    choose(browser, status="error")
    assert shown(browser)[:2] == ["learner-0003", "learner-0008"]
    choose(browser, search="LEARNER-0008")
    assert shown(browser) == ["learner-0008"]
    choose(browser, status="", search="", lost="0")
    assert shown(browser)[:2] == ["learner-0001", "learner-0006"]
    assert browser.messages() == []
    assert asked_for(browser) <= {file.as_uri(), "data:image/svg+xml"}


def test_a_click_leads_to_the_feedback(browser: Browser, tmp_path: Path) -> None:
    rows = [row("zoë #1?&", "d")]
    with outcome_journal(tmp_path) as journal:
        keep(journal, rows, verdict())
        outcome.write(tmp_path, rows, journal, [Learner("zoë #1?&")], ASKED)
    browser.open(tmp_path / "gradebook.html")
    browser.run("document.querySelector('#table tbody a').click()")
    assert "feedback/" in browser.driver.current_url
    assert "zoë #1?&" in browser.run("return document.body.textContent")


def outcome_journal(folder: Path) -> Any:
    from grader.bulk.journal import opened  # noqa: PLC0415

    return opened(folder / "j.db")


def test_hostile_names_are_text(browser: Browser, tmp_path: Path) -> None:
    file = page(tmp_path, [text for text in CORPUS.values() for _ in range(5)])
    browser.open(file)
    for column in range(4):
        sort(browser, column)
    choose(browser, search="script")
    browser.run("document.querySelectorAll('details').forEach(each => { each.open = true })")
    browser.run("for (const element of document.querySelectorAll('*')) element.dispatchEvent(new Event('mouseover'))")
    assert browser.run("return window.owned") is None
    assert browser.run("return document.querySelectorAll('script, style').length") == 2
    assert browser.run("return document.querySelectorAll('iframe, img, base, object, math').length") == 0
    assert browser.run("return document.title").startswith("Gradebook:")
    assert browser.messages() == []
    assert asked_for(browser) <= {file.as_uri(), "data:image/svg+xml"}


def test_hostile_names_end_no_element(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = tree(page(tmp_path, [text for text in CORPUS.values() for _ in range(5)]))
    attributes = [each for element in elements(whole) for each in element.attrib.items()]
    assert not [name for name, _ in attributes if name.startswith("on") or name in ("style", "src", "srcdoc")]
    links = [value for name, value in attributes if name == "href"]
    ours = re.compile(r"#[a-z]+|feedback/[\w.@+%-]+\.html|data:image/svg\+xml,.*")
    assert not [link for link in links if not ours.fullmatch(link)]


@pytest.mark.parametrize("width", [1400, 390])
def test_a_wide_table_scrolls_in_its_own_box(browser: Browser, tmp_path: Path, width: int) -> None:
    browser.open(page(tmp_path, NAMES), width=width)
    assert browser.run("return document.querySelector('#table thead th').getBoundingClientRect().height") < 60
    assert browser.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_an_engine_without_fences_is_told_once(tmp_path: Path) -> None:
    def notes(folder: Path, **engine: Any) -> str:
        rows, journal = [row("ada", "a"), row("bob", "b")], Journal(folder / "journal.db")
        keep(journal, rows, replace(verdict(), engine=replace(ENGINE, **engine)))
        made = Page(RUBRIC, "03", "grader bulk")
        for grade in gradebook.grades(rows, journal, Groups.of(rows), best=False):
            made.add(grade)
        made.write(folder, Groups.of(rows))
        journal.close()
        return (folder / "gradebook.html").read_text(encoding="ascii")

    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    assert notes(tmp_path / "without", missing_fences=("build disk",)).count("lacked: build disk.") == 1
    assert "lacked: " not in notes(tmp_path / "with")

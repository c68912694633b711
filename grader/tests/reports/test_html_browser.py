"""The page in a real Chromium: one browser for all of these tests, and for none before them."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from grader.tests.reports.pages import ALL_PAGES, EVERYTHING, page, poisoned_page
from grader.tests.reports.poison import CORPUS, poisoned
from grader.tests.reports.results import FAILED

if TYPE_CHECKING:
    from pathlib import Path

    from grader.result import GradeResult
    from grader.tests.reports.browser import Browser

#: All of a learner's worst at once; the longest of it in a page of its own.
WORST = "\n".join(text for name, text in CORPUS.items() if not name.startswith("long"))
LONG = "x" * 100_000
EVERY_PAGE = [*sorted(ALL_PAGES), "everything", "worst", "long"]


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages as files, as a learner opens them."""
    texts = {name: page(result) for name, result in ALL_PAGES.items()}
    texts |= {"everything": page(EVERYTHING), "worst": poisoned_page(WORST)[0], "long": page(*_long())}
    folder = tmp_path_factory.mktemp("pages")
    for name, text in texts.items():
        (folder / f"{name}.html").write_text(text, encoding="ascii")
    return {name: folder / f"{name}.html" for name in texts}


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_it_renders_without_a_complaint_and_nothing_leaves_it(
    name: str, browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages[name])
    assert browser.run("return document.querySelector('main').getBoundingClientRect().height") > 500
    assert browser.run("return getComputedStyle(document.querySelector('.verdict')).borderTopWidth") == "6px"
    assert browser.run("return document.compatMode") == "CSS1Compat"
    asked = {params["request"]["url"].partition(",")[0] for method, params in browser.events() if _is_request(method)}
    assert asked <= {pages[name].as_uri(), "data:image/svg+xml"}
    assert pages[name].as_uri() in asked
    assert browser.messages() == []


def _long() -> tuple[GradeResult, tuple[str, ...]]:
    """A long word in every field, and longer ones where a program's output goes."""
    result, _ = poisoned(EVERYTHING, "x" * 2000)
    crashed = replace(result.checks[2], got=LONG, evidence={"log": [LONG, "end"]})
    return replace(result, checks=(*result.checks, crashed)), (f"RUN {LONG}", "")


def _is_request(method: str) -> bool:
    return method == "Network.requestWillBeSent"


def test_a_learners_script_does_not_run(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["worst"])
    _open_all(browser)
    browser.run("for (const element of document.querySelectorAll('*')) element.dispatchEvent(new Event('mouseover'))")
    assert browser.run("return window.owned") is None
    assert "owned" not in browser.driver.title.partition("<script>")[0]
    assert browser.run("return document.querySelectorAll('script, iframe, img, base, object, form, math').length") == 0
    assert browser.run("return document.querySelectorAll('style, h1, main, body').length") == 4
    assert browser.driver.current_url == pages["worst"].as_uri()


def test_even_markup_could_neither_run_nor_load_nor_style_anything(browser: Browser, pages: dict[str, Path]) -> None:
    """The policy, on its own: what is put into the page here has got past everything else."""
    browser.open(pages["failed"])
    browser.run(
        """
        window.refused = [];
        document.addEventListener('securitypolicyviolation', event => window.refused.push(event.effectiveDirective));
        const script = document.createElement('script');
        script.textContent = 'window.owned = 1';
        const image = document.createElement('img');
        image.src = 'http://127.0.0.1:9/leak';
        const box = document.createElement('div');
        box.innerHTML = '<p id=styled style="color: rgb(1, 2, 3)" onclick="window.owned = 1">x</p>';
        document.body.append(script, image, box);
        document.getElementById('styled').click();
        """
    )
    wanted = {"script-src-elem", "script-src-attr", "img-src", "style-src-attr"}
    WebDriverWait(browser.driver, 10).until(lambda _: wanted <= set(browser.run("return window.refused")))
    assert browser.run("return window.owned") is None
    assert browser.run("return getComputedStyle(document.getElementById('styled')).color") != "rgb(1, 2, 3)"
    blocked = [params for method, params in browser.events() if method == "Network.loadingFailed"]
    assert [params["blockedReason"] for params in blocked] == ["csp"]


def test_the_keyboard_reaches_every_control_and_works_it(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["failed"])
    controls: int = browser.run(
        "return [...document.querySelectorAll('a[href], summary, [tabindex]')].filter(e => e.checkVisibility()).length"
    )
    reached = []
    for _ in range(controls):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        reached.append(browser.run("return document.activeElement.outerHTML.slice(0, 300)"))
        outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
        assert outline not in ("none", ""), f"focus cannot be seen on {reached[-1]}"
    assert "Skip to the checks" in reached[0]
    assert not [element for element in reached if element.startswith("<body")]
    assert sum(element.startswith("<summary") for element in reached) > len(FAILED.checks)
    browser.run("document.querySelector('.check.passed summary').focus()")
    ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
    assert browser.run("return document.querySelector('.check.passed').open") is True
    ActionChains(browser.driver).send_keys(Keys.SPACE).perform()
    assert browser.run("return document.querySelector('.check.passed').open") is False


def test_a_screen_reader_finds_its_way(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["everything"])
    _open_all(browser)
    browser.command("Accessibility.enable")
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    browser.command("Accessibility.disable")
    found = [(_value(node, "role"), _value(node, "name")) for node in nodes if not node.get("ignored")]
    roles = [role for role, _ in found]
    assert {"banner", "main", "navigation", "heading", "table", "list", "image"} <= set(roles)
    assert ("navigation", "On this page") in found
    assert ("table", "Dockerfile") in found
    assert ("rowheader", "1") in found
    unnamed = [role for role, name in found if role in ("heading", "image", "link", "button", "table") and not name]
    assert unnamed == []
    regions = {name for role, name in found if role == "region"}
    assert {"Checks", "Dockerfile", "What the image is made of", "Build", "The app", "The same by hand"} <= regions


def _value(node: dict[str, Any], name: str) -> str:
    return str(node.get(name, {}).get("value") or "")


def test_light_and_dark_differ(browser: Browser, pages: dict[str, Path]) -> None:
    seen = {}
    for scheme in ("light", "dark"):
        browser.open(pages["failed"], scheme=scheme)
        seen[scheme] = browser.run(
            "const style = e => getComputedStyle(document.querySelector(e));"
            "return [style('body').backgroundColor, style('body').color, style('rect.earned').fill]"
        )
    assert all(light != dark for light, dark in zip(seen["light"], seen["dark"], strict=True))
    light, dark = (sum(map(int, colours[0][4:-1].split(","))) for colours in seen.values())
    assert dark < 128
    assert light > 640


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_on_a_phone_nothing_is_wider_than_the_screen(name: str, browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages[name], width=360)
    _open_all(browser)
    assert browser.run("return document.documentElement.scrollWidth") <= 360
    cut = browser.run(
        "return [...document.querySelectorAll('main *')].filter(e => !e.closest('.apart, svg')"
        " && e.getBoundingClientRect().right > 361).map(e => e.outerHTML.slice(0, 200))"
    )
    assert cut == []


def test_on_paper_everything_is_open_and_nothing_scrolls(browser: Browser, pages: dict[str, Path]) -> None:
    closed = "return [...document.querySelectorAll('details > :not(summary)')].filter(e => !e.checkVisibility()).length"
    browser.open(pages["everything"])
    assert browser.run(closed) > 0
    browser.open(pages["everything"], media="print")
    assert browser.run(closed) == 0
    hidden = "return [...document.querySelectorAll('details > :not(summary)')].filter(e => !e.offsetHeight).length"
    assert browser.run(hidden) == 0
    browser.open(pages["long"], media="print")
    scrolling = "return [...document.querySelectorAll('pre')].filter(e => e.scrollHeight > e.clientHeight + 2).length"
    assert browser.run(scrolling) == 0


def test_it_prints(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["everything"])
    paper = browser.command("Page.printToPDF", printBackground=True)
    assert base64.b64decode(paper["data"]).startswith(b"%PDF-")


def test_a_link_leads_from_a_failure_to_its_line_and_back(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["failed"])
    browser.run("document.querySelector('.quote').click()")
    line = "return document.querySelector(':target')?.id"
    WebDriverWait(browser.driver, 10).until(lambda _: browser.run(line) == "line-1")
    browser.run("document.querySelector('.row:target .fault').click()")
    WebDriverWait(browser.driver, 10).until(lambda _: browser.run(line) == "check-2")


def _open_all(browser: Browser) -> None:
    browser.run("for (const each of document.querySelectorAll('details')) each.open = true")

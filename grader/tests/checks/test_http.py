from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from grader.checks._fresh import refresh
from grader.checks._text import found
from grader.checks.http import missing
from grader.engine.namespace import Answer
from grader.errors import RubricError
from grader.result import Status
from grader.tests.checks.fakes import FRESH, FakeApp, answer, check, subject

if TYPE_CHECKING:
    from grader.checks.base import Outcome

DEEP = '{"a": ' + "[" * 900 + "]" * 900 + "}"


def asked(text: str, given: Any) -> Outcome:
    app = given if isinstance(given, FakeApp) else FakeApp(given if isinstance(given, Answer) else answer(given))
    return check(f"check: http, {text}").run(subject(app=app))


@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "head", "patch", "options"])
def test_every_method_is_asked(method: str) -> None:
    app = FakeApp(answer())
    assert asked(f"{method}: /x, headers: {{X-A: b}}, body: hello, within: 2s", app).status is Status.PASSED
    (sent,) = app.asked
    assert sent[:2] == (method.upper(), "/x")
    assert sent[2]["headers"] == [("X-A", "b")]
    assert (sent[2]["body"], sent[2]["within"]) == (b"hello", 2.0)


HTML, PLAIN = ((("Content-Type", kind),) for kind in ("Text/HTML; q=1", "text/plain"))


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        ("get: /", answer(status=404), "status 404"),
        ("get: /, status: 404", answer(status=404), ""),
        ("get: /, text: hello", "oh hello there", ""),
        ("get: /, text: hello", "bye", "without that text: bye"),
        ("get: /, matches: 'h.llo$'", "hello", ""),
        ("get: /, matches: '^bye'", "hello", "without such a match"),
        ("get: /, matches: 'id-[0-9a-f]{4}'", "id-00ff", ""),
        ("get: /, matches: 'id-[0-9a-f]{4}'", "id-0f", "without such a match"),
        ("get: /, response_headers: {X-A: b}", answer(headers=(("x-a", "b"),)), ""),
        ("get: /, response_headers: {X-A: b}", answer(headers=(("x-a", "a"), ("x-a", "b"))), ""),
        ("get: /, response_headers: {X-A: b}", answer(headers=(("x-a", "B"),)), "X-A: B"),
        ("get: /, response_headers: {X-A: b}", answer(), "no header X-A"),
        ("get: /, response_headers: {Content-Type: text/html}", answer(headers=HTML), ""),
        ("get: /, response_headers: {Content-Type: text/html}", answer(headers=PLAIN), "text/"),
        ("get: /, json: {a: 1}", "<html>Internal Server Error</html>", "no JSON: <html>Internal"),
        ("get: /, json: {a: 1}", "", "no JSON"),
        ("get: /, json: {a: 1}", b"\xff\xfe", "no JSON"),
        ("get: /, json: {a: 1}", '\ufeff{"a": 1}', ""),
        ("get: /, json: {a: 1}", "[" * 100_000, "no JSON"),
        ("get: /, json: {a: 1}", "9" * 10_000, "no JSON"),
        ("get: /, json: {a: 1}", DEEP, "a is "),
        ("get: /", answer("x" * 10, cut=True), ""),
        ("get: /, text: x", answer("x" * 10, cut=True), "more than 1 MB"),
        ("get: /", Answer(kind="timeout", error="no complete answer in time", elapsed=10.0), "no answer: no complete"),
    ],
)  # fmt: skip
def test_what_is_asked_of_the_answer(text: str, given: Any, words: str) -> None:
    outcome = asked(text, given)
    assert outcome.status is (Status.FAILED if words else Status.PASSED), outcome
    if words:
        assert words in outcome.got
        assert outcome.evidence["app_log"] == ["the app's last words"]
        json.dumps(outcome.evidence, allow_nan=False)


def test_every_fault_of_an_answer_is_told() -> None:
    outcome = asked("get: /, text: hello, json: {a: 1}, response_headers: {X-A: b}", answer("oops", status=500))
    assert outcome.got.split("; ") == [
        "status 500", "no header X-A", "a body without that text: oops", "a body that is no JSON: oops",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "given", "words"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, ""),
        ({"a": 1}, {"a": 1.0}, ""),
        ({"a": 1}, {"a": True}, "a is true"),
        ({"a": True}, {"a": 1}, "a is 1"),
        ({"a": False}, {"a": 0}, "a is 0"),
        ({"a": None}, {"a": None}, ""),
        ({"a": None}, {}, "no a in the JSON: {}"),
        ({"a": "1"}, {"a": 1}, "a is 1"),
        ({"a": {"b": {"c": 1}}}, {"a": {"b": {"c": 2}}}, "a.b.c is 2"),
        ({"a": {"b": 1}}, {"a": [1]}, "a is [1], not an object"),
        ([1, 3], [1, 2, 3], ""),
        ([3, 1], [1, 2, 3], "the body has no 1 (in this order): [1, 2, 3]"),
        ([{"id": 1}, {"id": 2}], [{"id": 1, "x": 0}, {"id": 2}], ""),
        ([{"id": 1}], {"id": 1}, 'the body is {"id": 1}, not a list'),
        ([[1], [2]], [[1, 9], [2]], ""),
        ([1, 1], [1], "the body has no 1"),
        ([], [1], ""),
        ({}, {"a": 1}, ""),
        ("hi", "hi", ""),
        ({"1": "a"}, {"1": "a"}, ""),
    ],
)
def test_json_contains(wanted: Any, given: Any, words: str) -> None:
    said = missing(wanted, given)
    assert said.startswith(words) if words else said == ""


def test_the_fresh_value_goes_everywhere() -> None:
    text = (
        "post: '/x?t={fresh}', headers: {X-T: '{fresh.upper}'}, body: '{fresh.reversed}', text: '{fresh}', "
        "json: ['{fresh}'], matches: '{fresh}', response_headers: {X-T: '{fresh.sha256}'}"
    )
    digest = hashlib.sha256(FRESH.encode()).hexdigest()
    app = FakeApp(answer([FRESH], headers=(("X-T", digest),)))
    assert asked(text, app).status is Status.PASSED
    assert app.asked == [
        (
            "POST",
            f"/x?t={FRESH}",
            {"headers": [("X-T", FRESH.upper())], "body": FRESH[::-1].encode(), "within": 10.0, "limit": 1_000_000},
        )
    ]


@pytest.mark.parametrize("form", ["", ".sha256", ".reversed", ".upper"])
def test_a_canned_answer_cannot_know_the_fresh_value(form: str) -> None:
    canned = answer({"text": refresh(f"{{fresh{form}}}", "another run's")})
    outcome = asked(f"get: '/?t={{fresh}}', json: {{text: '{{fresh{form}}}'}}", canned)
    assert outcome.status is Status.FAILED
    assert "text is" in outcome.got


def test_what_is_no_form_of_fresh_stays_as_it_is() -> None:
    assert refresh({"{fresh}": ["{0}", "{FRESH}", "x{4}"]}, "v") == {"v": ["{0}", "{FRESH}", "x{4}"]}


def test_a_regular_expression_that_never_ends_is_the_authors() -> None:
    began = time.monotonic()
    with pytest.raises(RubricError, match="takes more than"):
        found(r"^(a+)+$", "a" * 60 + "b")
    assert time.monotonic() - began < 30


def test_any_body_can_be_searched() -> None:
    assert found("é", "caf\u00e9\n")
    assert found(r"\AA.*Z\Z", "A" + "\x00�" + "Z")
    assert found("-c", "-c")
    assert not found("a", "")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "get: /, post: /",
        "get: x",
        "get: '/a b'",
        "get: /é",
        'get: "/a\\nb"',
        "get: '/{fresh.md5}'",
        "get: /, json: {a: ['{fresh.md5}']}",
        "get: /, headers: {'a b': c}",
        'get: /, headers: {a: "b\\nc: d"}',
        "get: /, response_headers: {a: '→'}",
        "get: /, matches: '(a'",
        "get: /, text: ''",
        "get: /, json: null",
        "head: /, text: x",
        "head: /, json: {a: 1}",
        "get: /, status: 204, text: x",
        "get: /, status: 99",
        "get: /, statsu: 200",
        "get: /, expected_json: {a: 1}",
    ],
)
def test_what_cannot_be_asked_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check(f"check: http, {text}".rstrip(", "))

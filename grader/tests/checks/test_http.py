from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from grader.checks._fresh import refresh
from grader.checks._json import missing, violation
from grader.checks._text import found
from grader.engine.running.namespace import Answer
from grader.errors import RubricError
from grader.result import Status
from grader.tests.checks.fakes import FRESH, FakeApp, answer, check, subject

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.checks.base import Outcome
    from grader.tests.conftest import Grade

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
    # An app is waited for longer than it may take: how slow it is can be told then.
    assert (sent[2]["body"], sent[2]["within"]) == (b"hello", 10.0)


HTML, PLAIN = ((("Content-Type", kind),) for kind in ("Text/HTML; q=1", "text/plain"))
TO_ITSELF = (("Location", "http://localhost:5000/x?a=b#c"),)
AWAY = (("Location", "http://example.org"),)


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
        ("get: /, status: [200, 404]", answer(status=404), ""),
        ("get: /, status: [200, 404]", answer(status=403), "status 403"),
        ("get: /, status: [200, 204], text: x", "x", ""),
        ("get: /", answer(status=302, headers=(("Location", "/x"),)), "status 302"),
        ("get: /, status: 302, location: /x", answer(status=302, headers=(("location", "/x"),)), ""),
        ("get: /a/b, status: 302, location: /a/x", answer(status=302, headers=(("Location", "x"),)), ""),
        ("get: /, status: 302, location: '/x?a=b'", answer(status=302, headers=TO_ITSELF), ""),
        ("get: /, status: 302, location: '/{fresh}'", answer(status=302, headers=(("Location", f"/{FRESH}"),)), ""),
        ("get: /, status: 302, location: /x", answer(status=302, headers=(("Location", "/y"),)), "a redirect to /y"),
        ("get: /, status: 302, location: /x", answer(status=302), "no redirect"),
        ("get: /, status: 302, location: /", answer(status=302, headers=AWAY), "a redirect to http://example.org"),
        ("get: /, status: 302, location: 'http://example.org'", answer(status=302, headers=AWAY), ""),
        ("get: /, status: 302, location: /x", answer(status=302, headers=(("Location", "http://[x"),)), "redirect to"),
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
    with pytest.raises(RubricError, match="takes more than"):
        found(r"^(a+)+$", "a" * 60 + "b")


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
        "get: /, matches: ''",
        "get: /, status: []",
        "get: /, status: [200, 999]",
        "post: /, body: x, json_body: {a: 1}",
        "post: /, json_body: {a: '{fresh.md5}'}",
        "get: /, json_schema: {type: text}",
        "get: /, json_schema: text",
        "get: /, json_schema: null",
        "get: /, json_schema: {$ref: 'http://127.0.0.1/s.json'}",
        "get: /, json_schema: {items: [{$ref: other.json}]}",
        "get: /, json_schema: {pattern: '('}",
        "get: /, status: [204, 304], json_schema: {}",
        "get: /, location: /x, follow_redirects: true",
        "get: /, redirects: follow",
        "requests: []",
        "requests: [{}]",
        "requests: [{get: /, post: /}]",
        "requests: [{get: /}], get: /",
        "requests: [{get: /}], status: 200",
        "requests: [{get: /}, {get: x}]",
        "requests: [{get: /, requests: []}]",
        "requests: [{get: /, points: 3}]",
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


@pytest.mark.parametrize(
    ("schema", "body", "words"),
    [
        ({"type": "object", "required": ["id"]}, '{"id": 1}', ""),
        ({"type": "object", "required": ["id"]}, "{}", "the body: 'id' is a required property"),
        ({"items": {"properties": {"id": {"type": "integer"}}}}, '[{"id": "x"}]', "[0].id: 'x' is not of type"),
        ({"$defs": {"n": {"type": "null"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}, '{"a": null}', ""),
        ({"$defs": {"n": {"type": "null"}}, "properties": {"a": {"$ref": "#/$defs/n"}}}, '{"a": 1}', "a: 1 is not"),
        ({"prefixItems": [{"const": "é"}]}, '["é"]', ""),
        (
            {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True},
            "1",
            "the body",
        ),
        (False, "1", "the body"),
        (True, "1", ""),
    ],
)
def test_json_keeps_a_schema(schema: Any, body: str, words: str) -> None:
    said = violation(schema, body)
    assert said.startswith(words) if words else said == ""


def test_a_schema_is_one_of_the_things_asked() -> None:
    text = "get: /, json_schema: {title: A list, type: array, items: {const: '{fresh}'}}"
    assert asked(text, [FRESH]).status is Status.PASSED
    outcome = asked(text, ["canned"])
    assert outcome.status is Status.FAILED
    assert outcome.got.startswith("[0]: ")
    assert "keeps the schema “A list”" in outcome.expected
    assert "no JSON" in asked(text, "oops").got
    assert "no JSON" in asked(text, DEEP.replace("[", "[" * 200)).got
    assert "status 500" in asked(text, answer([FRESH], status=500)).got


def test_a_schema_that_never_ends_is_the_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.checks._json._VALIDATE_WITHIN", 1.5)
    with pytest.raises(RubricError, match="takes more than"):
        violation({"pattern": "^(a+)+$"}, json.dumps("a" * 60 + "b"))


def test_json_is_sent_as_such() -> None:
    app = FakeApp(answer())
    asked("post: /, json_body: {a: ['{fresh}', é]}", app)
    asked("post: /, json_body: null, headers: {content-type: application/vnd.api+json}", app)
    asked("post: /", app)
    bodies = [(options["headers"], options["body"]) for _, _, options in app.asked]
    assert bodies == [
        ([("Content-Type", "application/json")], json.dumps({"a": [FRESH, "é"]}).encode()),
        ([("content-type", "application/vnd.api+json")], b"null"),
        ([], b""),
    ]


def test_a_slow_answer_says_how_slow() -> None:
    outcome = asked("get: /, within: 3s", Answer(status=200, elapsed=4.2))
    assert (outcome.status, outcome.got) == (Status.FAILED, "an answer after 4.2 s")
    assert "GET / gives 200, within 3.0 s" in outcome.expected
    assert asked("get: /, within: 3s", Answer(status=200, elapsed=2.9)).status is Status.PASSED


@pytest.mark.parametrize(
    ("text", "times", "words"),
    [
        ("get: /, within: 100ms", [0.3, 0.2, 0.05], ""),
        ("get: /, within: 100ms", [0.05], ""),
        ("get: /, within: 100ms", [0.3, 0.2, 0.4], "an answer after 0.2 s, the best of 3"),
        ("get: /, within: 2s", [2.5], "an answer after 2.5 s"),
        ("post: /, within: 100ms", [0.3], "an answer after 0.3 s"),
        ("delete: /, within: 100ms", [0.3], "an answer after 0.3 s"),
    ],
)
def test_a_moment_of_the_machines_is_not_the_apps(text: str, times: list[float], words: str) -> None:
    left = iter(times)
    app = FakeApp(lambda *_args, **_more: Answer(status=200, elapsed=next(left)))
    outcome = asked(text, app)
    assert outcome.got == words if words else outcome.status is Status.PASSED
    assert len(app.asked) == len(times)


def test_an_app_that_hangs_is_given_up_when_the_checks_own_time_is_up() -> None:
    app = FakeApp(lambda *_args, **options: Answer(kind="timeout", error="no answer", elapsed=options["within"]))
    outcome = asked("get: /, timeout: 1500ms, within: 100ms", app)
    assert outcome.status is Status.FAILED
    assert all(options["within"] <= 1.5 for _, _, options in app.asked)
    asked("get: /, timeout: 1m, within: 20s", app)
    assert 19.9 < app.asked[-1][2]["within"] <= 20


def moved(*steps: tuple[int, str]) -> Callable[..., Answer]:
    """An app that redirects so many times, and then answers."""
    left = iter(steps)

    def give(*_args: Any, **_more: Any) -> Answer:
        step = next(left, None)
        return answer("there") if step is None else answer(status=step[0], headers=(("Location", step[1]),))

    return give


@pytest.mark.parametrize(
    ("method", "steps", "sent"),
    [
        ("get", [(302, "/b")], ["GET /a", "GET /b"]),
        ("get", [(301, "b?c=d#e"), (308, "http://localhost:5000/f")], ["GET /a", "GET /b?c=d", "GET /f"]),
        ("post", [(302, "/b")], ["POST /a", "GET /b"]),
        ("post", [(307, "/b")], ["POST /a", "POST /b"]),
        ("put", [(301, "/b")], ["PUT /a", "PUT /b"]),
        ("put", [(303, "/b")], ["PUT /a", "GET /b"]),
        ("get", [(302, "http://localhost:5000")], ["GET /a", "GET /"]),
    ],
)
def test_redirects_are_followed_as_browsers_do(method: str, steps: list[tuple[int, str]], sent: list[str]) -> None:
    app = FakeApp(moved(*steps))
    outcome = asked(f"{method}: /a, json_body: {{a: 1}}, follow_redirects: true, text: there", app)
    assert outcome.status is Status.PASSED, outcome
    assert [f"{verb} {path}" for verb, path, _ in app.asked] == sent
    for verb, _, options in app.asked:
        assert bool(options["body"]) is (not (verb == "GET" and method != "get"))
        assert bool(options["headers"]) is bool(options["body"])
    assert outcome.evidence["redirects"] == [each.partition(" ")[2] for each in sent[1:]]


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ([(302, "http://example.org/x")], "leads out of the app, to http://example.org/x"),
        ([(302, "//example.org/x")], "leads out of the app, to http://example.org/x"),
        ([(302, "http://localhost:22/")], "leads out of the app"),
        ([(302, "file:///etc/passwd")], "leads out of the app"),
        ([(302, "http://[::")], "leads out of the app"),
        ([(302, " ")], "leads out of the app, to nowhere"),
        ([(302, "/a")] * 9, "more than 5 redirects"),
    ],
)
def test_redirects_out_of_the_app_and_without_end_are_not_followed(steps: list[tuple[int, str]], words: str) -> None:
    app = FakeApp(moved(*steps))
    outcome = asked("get: /a, follow_redirects: true", app)
    assert outcome.status is Status.FAILED
    assert words in outcome.got
    assert len(app.asked) <= 6


def test_requests_are_asked_in_order_until_one_is_wrong() -> None:
    store: list[str] = []

    def notes(method: str, _path: str, **options: Any) -> Answer:
        if method == "POST":
            store.append(json.loads(options["body"])["text"])
        return answer(store, status=201 if method == "POST" else 200)

    text = "requests: [{post: /n, json_body: {text: '{fresh}'}, status: 201}, {get: /n, json: ['{fresh}']}]"
    outcome = asked(text, FakeApp(notes))
    assert outcome.status is Status.PASSED, outcome
    assert outcome.expected == f'POST /n gives 201; then GET /n gives 200, JSON with ["{FRESH}"]'
    assert [one["request"] for one in outcome.evidence["requests"]] == ["POST /n", "GET /n"]
    forgetful = FakeApp(lambda method, *_args, **_more: answer([], status=201 if method == "POST" else 200))
    outcome = asked(text, forgetful)
    assert outcome.got.startswith("request 2, GET /n: the body has no")
    assert outcome.evidence["app_log"] == ["the app's last words"]
    broken = FakeApp(answer(status=500))
    assert asked(text, broken).got == "request 1, POST /n: status 500"
    assert len(broken.asked) == 1


APP = """\
import json, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NOTES = []

class Handler(BaseHTTPRequestHandler):
    def give(self, status, body=None, **headers):
        raw = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        if self.path == "/old":
            return self.give(301, Location="/notes")
        if self.path == "/away":
            return self.give(302, Location="http://example.org/")
        if self.path == "/slow":
            time.sleep(0.3)
        self.give(200, NOTES)

    def do_POST(self):
        note = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        NOTES.append({"id": len(NOTES), **note})
        self.give(201, NOTES[-1], Location=f"/notes/{len(NOTES) - 1}")

ThreadingHTTPServer(("0.0.0.0", 5000), Handler).serve_forever()
"""


def test_a_real_app_is_asked_several_things(grade: Grade) -> None:
    schema = {
        "type": "array",
        "minItems": 1,
        "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer"}}},
    }
    post = {"post": "/notes", "json_body": {"text": "{fresh}"}, "status": 201, "location": "/notes/0"}
    checks: list[dict[str, Any]] = [
        {
            "id": "keeps",
            "check": "http",
            "requests": [post, {"get": "/notes", "json": [{"text": "{fresh}"}], "json_schema": schema, "within": "1s"}],
        },
        {"id": "moved", "check": "http", "get": "/old", "follow_redirects": True, "json": [{"text": "{fresh}"}]},
        {"id": "stays", "check": "http", "get": "/old", "status": 301, "location": "/notes"},
        {"id": "away", "check": "http", "get": "/away", "follow_redirects": True},
        {"id": "slow", "check": "http", "get": "/slow", "within": "100ms"},
        {"id": "shape", "check": "http", "get": "/notes", "json_schema": {"items": {"required": ["author"]}}},
    ]
    dockerfile = 'FROM python:3.11-slim\nCOPY app.py /\nCMD ["python", "/app.py"]\n'
    result = grade(dockerfile, checks, own={"app.py": APP}, app={"port": 5000})
    verdicts = {one.id: one for one in result.checks}
    for name in ("keeps", "moved", "stays"):
        assert verdicts[name].status is Status.PASSED, verdicts[name]
    assert verdicts["away"].got == "status 302 leads out of the app, to http://example.org/"
    assert verdicts["slow"].got == "an answer after 0.3 s, the best of 3"
    assert verdicts["shape"].got == "[0]: 'author' is a required property"

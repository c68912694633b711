"""What does the app answer?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from grader.checks._fresh import refresh, refuse_unknown_forms
from grader.checks._text import Regex, found, shown
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.units import ByteSize, Duration, human_size, human_time

if TYPE_CHECKING:
    from grader.checks.subject import Subject
    from grader.engine.namespace import Answer

_METHODS = ("get", "post", "put", "delete", "head", "patch", "options")
#: A header's name (RFC 9110, 5.6.2), and what no value may hold.
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_VALUE = re.compile(r"[^\t\x20-\x7e\xa0-\xff]")


class Http(Check):
    """The running app answers a request as it should, asked from outside the image.

    In paths, headers, bodies and expected texts, `{fresh}` stands for a random value of this run, and `{fresh.sha256}`,
    `{fresh.reversed}` and `{fresh.upper}` for what the app has to work out from it: a canned answer cannot know them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)
    uses: ClassVar[frozenset[str]] = frozenset({"app"})
    example: ClassVar[str] = """\
- id: answers
  check: http
  get: /echo?text={fresh}
  status: 200
  json: {text: "{fresh}"}
  points: 25
"""

    reason: ClassVar[str] = "An image is there to run, and this is what others ask of it."
    advice: ClassVar[str] = (
        "Start it yourself with `docker run --rm -p PORT:PORT IMAGE`, ask it, and read what it prints."
    )

    check: Literal["http"]
    get: str | None = Field(default=None, description="The path to ask for with GET.")
    post: str | None = Field(default=None, description="The path to ask for with POST.")
    put: str | None = Field(default=None, description="The path to ask for with PUT.")
    delete: str | None = Field(default=None, description="The path to ask for with DELETE.")
    head: str | None = Field(default=None, description="The path to ask for with HEAD.")
    patch: str | None = Field(default=None, description="The path to ask for with PATCH.")
    options: str | None = Field(default=None, description="The path to ask for with OPTIONS.")
    headers: dict[str, str] = Field(default={}, description="Headers of the request.")
    body: str = Field(default="", description="Body of the request.")
    within: Duration = Field(default=10.0, description="How long the whole exchange may take.")
    limit: ByteSize = Field(default=1_000_000, description="What is read of the answer's body.")
    status: int = Field(default=200, ge=100, le=599, description="The status that is expected.")
    response_headers: dict[str, str] = Field(default={}, description="Headers that the answer must carry.")
    text: str | None = Field(default=None, description="A text that the body must contain.")
    matches: Regex | None = Field(default=None, description="A regular expression that must be found in the body.")
    expected_json: Any = Field(
        default=None, alias="json", description="JSON that the body must contain: every key and item given here."
    )

    @model_validator(mode="after")
    def _has_one_request(self) -> Self:
        given = [method for method in _METHODS if getattr(self, method) is not None]
        if len(given) != 1:
            raise ValueError(f"http asks for {len(given)} requests; give it exactly one of {', '.join(_METHODS)}")
        if not re.fullmatch(r"/[!-~]*", self.request[1]):
            raise ValueError(f"{given[0]} is no path; begin it with a slash, and write %20 for a space")
        refuse_unknown_forms([*self._strings()])
        return self

    @model_validator(mode="after")
    def _can_be_asked(self) -> Self:
        for name, value in [*self.headers.items(), *self.response_headers.items()]:
            if not _HEADER.fullmatch(name) or _NO_VALUE.search(value):
                raise ValueError(f"{name!r} is no header that HTTP can carry; use plain letters on one line")
        if self.text == "":
            raise ValueError("text is empty, and every body contains that; give a text or leave it out")
        if "expected_json" in self.model_fields_set and self.expected_json is None:
            raise ValueError("json is empty; say what it must contain, or leave it out")
        bodiless = self.head is not None or self.status in (204, 304) or self.status < 200
        if self._wants_body() and bodiless:
            why = "head" if self.head is not None else f"status {self.status}"
            raise ValueError(f"an answer to {why} has no body; drop text, matches and json")
        return self

    def _wants_body(self) -> bool:
        return self.text is not None or self.matches is not None or self.expected_json is not None

    @property
    def request(self) -> tuple[str, str]:
        """Method and path, the path as the rubric writes it."""
        method = next(method for method in _METHODS if getattr(self, method) is not None)
        return method.upper(), getattr(self, method)

    def run(self, subject: Subject) -> Outcome:
        """Asks once, and names everything in the answer that is not as it should be."""
        method, path = self.request
        fresh = subject.fresh
        answer = subject.app.ask(
            method,
            refresh(path, fresh),
            headers=[(name, refresh(value, fresh)) for name, value in self.headers.items()],
            body=refresh(self.body, fresh).encode(),
            within=self.within,
            limit=self.limit,
        )
        evidence = _evidence(answer, method, refresh(path, fresh))
        faults = list(self._faults(answer, fresh))
        if not faults:
            body = answer.body.decode(errors="replace")
            got = f"{answer.status} in {human_time(answer.elapsed)}" + (f": {shown(body, 80)}" if body.strip() else "")
            return passed(expected=self.expectation(fresh), got=got, **evidence)
        evidence["app_log"] = list(subject.app.log())
        return failed(expected=self.expectation(fresh), got="; ".join(faults), **evidence)

    def expectation(self, fresh: str = "") -> str:
        """What is expected, in words."""
        method, path = self.request
        parts = [f"{method} {path} gives {self.status}"]
        if self.expected_json is not None:
            parts.append(f"JSON with {json.dumps(self.expected_json, ensure_ascii=False)}")
        if self.text is not None:
            parts.append(f"the text “{self.text}”")
        if self.matches is not None:
            parts.append(f"a match of {self.matches}")
        parts.extend(f"{name}: {value}" for name, value in self.response_headers.items())
        text = ", ".join(parts)
        return refresh(text, fresh) if fresh else text

    def _faults(self, answer: Answer, fresh: str) -> Iterator[str]:
        if answer.error:
            yield f"no answer: {answer.error} (after {human_time(answer.elapsed)})"
            return
        if answer.status != self.status:
            yield f"status {answer.status}"
        yield from self._header_faults(answer, fresh)
        if not self._wants_body():
            return
        if answer.cut:
            yield f"a body of more than {human_size(self.limit)}"
            return
        body = answer.body.decode(errors="replace")
        if self.text is not None and refresh(self.text, fresh) not in body:
            yield f"a body without that text: {shown(body)}"
        if self.matches is not None and not found(refresh(self.matches, fresh), body):
            yield f"a body without such a match: {shown(body)}"
        if self.expected_json is not None:
            yield from self._json_faults(body, fresh)

    def _header_faults(self, answer: Answer, fresh: str) -> Iterator[str]:
        for name, value in self.response_headers.items():
            given = [each.strip() for sent, each in answer.headers if sent.lower() == name.lower()]
            wanted = refresh(value, fresh)
            if not given:
                yield f"no header {name}"
            elif not any(_same_header(name, wanted, each) for each in given):
                yield f"{name}: {shown(', '.join(given))}"

    def _json_faults(self, body: str, fresh: str) -> Iterator[str]:
        try:
            answered = json.loads(body.removeprefix("\ufeff"))
        except (ValueError, RecursionError):
            yield f"a body that is no JSON: {shown(body)}"
            return
        difference = missing(refresh(self.expected_json, fresh), answered)
        if difference:
            yield difference

    def _strings(self) -> Iterator[str]:
        texts = (self.request[1], self.body, self.text, self.matches, json.dumps(self.expected_json))
        yield from (text for text in texts if text)
        yield from [*self.headers.values(), *self.response_headers.values()]


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


def _evidence(answer: Answer, method: str, path: str) -> dict[str, Any]:
    return {
        "request": f"{method} {path}",
        "status": answer.status or None,
        "headers": [list(pair) for pair in answer.headers],
        # The beginning; a whole megabyte a check would make a class's results unreadable.
        "body": answer.body[:4096].decode(errors="replace"),
        "body_size": len(answer.body),
        "elapsed": round(answer.elapsed, 4),
        "error": answer.error,
    }


def _same_header(name: str, wanted: str, given: str) -> bool:
    """Equal, but that a media type asked for without parameters may come with some: `; charset=utf-8`."""
    if name.lower() == "content-type" and ";" not in wanted:
        return given.partition(";")[0].strip().lower() == wanted.strip().lower()
    return given == wanted


def _written(value: Any) -> str:
    """As JSON; an app can answer with lists nested deeper than can be written back."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return "JSON nested very deep"

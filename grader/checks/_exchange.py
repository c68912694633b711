"""One HTTP request of a rubric, and what it expects of the answer."""

from __future__ import annotations

import json
import re
import shlex
from typing import Annotated, Any

from grader.checks._fresh import refresh, refuse_unknown_forms
from grader.checks._json import refuse_schema
from grader.checks._text import Regex
from grader.course.model import UNSET, Model, Rule, field, names
from grader.course.units import ByteSize, Duration, human_time

METHODS = ("get", "post", "put", "delete", "head", "patch", "options")
#: A header's name (RFC 9110, 5.6.2), and what no value may hold.
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NO_VALUE = re.compile(r"[^\t\x20-\x7e\xa0-\xff]")
#: Seconds that an app is waited for where the rubric does not say, and when it is slower than that says.
PATIENCE = 10.0

StatusCode = Annotated[int, Rule(ge=100, le=599)]


def _some_status(value: int | tuple[int, ...]) -> int | tuple[int, ...]:
    if value == ():
        raise ValueError("status is empty, and no answer has none; give one or several")
    return value


def _a_schema(value: Any) -> Any:
    refuse_schema(value)
    return value


class Exchange(Model):
    """A request, and what its answer has to be like."""

    get: str | None = field(default=None, description="The path to ask for with GET.")
    post: str | None = field(default=None, description="The path to ask for with POST.")
    put: str | None = field(default=None, description="The path to ask for with PUT.")
    delete: str | None = field(default=None, description="The path to ask for with DELETE.")
    head: str | None = field(default=None, description="The path to ask for with HEAD.")
    patch: str | None = field(default=None, description="The path to ask for with PATCH.")
    options: str | None = field(default=None, description="The path to ask for with OPTIONS.")
    headers: dict[str, str] = field(default={}, description="Headers of the request.")
    body: str = field(default="", description="Body of the request.")
    json_body: Any = field(default=UNSET, description="Body of the request, as JSON and with its Content-Type.")
    follow_redirects: bool = field(
        default=False, description="Whether the answer that counts is the one that redirects inside the app lead to."
    )
    within: Duration = field(
        default=PATIENCE,
        description="How soon the answer is complete. Below 2 s the best of three counts, but for requests that change "
        "something.",
    )
    limit: ByteSize = field(default=1_000_000, description="What is read of the answer's body.")
    status: Annotated[StatusCode | tuple[StatusCode, ...], Rule(_some_status)] = field(
        default=200, description="The status that is expected, or several."
    )
    location: str | None = field(
        default=None, min_length=1, description="Where the answer redirects to: a path of the app, or a whole URL."
    )
    response_headers: dict[str, str] = field(default={}, description="Headers that the answer must carry.")
    text: str | None = field(default=None, min_length=1, description="A text that the body must contain.")
    matches: Regex | None = field(default=None, description="A regular expression that must be found in the body.")
    expected_json: Any = field(
        default=UNSET, alias="json", description="JSON that the body must contain: every key and item given here."
    )
    json_schema: Annotated[Any, Rule(_a_schema)] = field(
        default=UNSET,
        json_schema_extra={"type": ["object", "boolean"]},
        description="A JSON Schema (2020-12 unless it says) that the body must keep.",
    )

    def __post_init__(self) -> None:
        """Raises ValueError, in words for the author of a rubric."""
        self._refuse_other_requests()
        self._refuse_what_cannot_be_asked()
        self._refuse_what_cannot_be_answered()

    def _refuse_other_requests(self) -> None:
        refuse_other_than_one_request(self)

    def _refuse_what_cannot_be_asked(self) -> None:
        refuse_unknown_forms([getattr(self, name) for name in names(Exchange)])
        for name, value in [*self.headers.items(), *self.response_headers.items()]:
            if not _HEADER.fullmatch(name) or _NO_VALUE.search(value):
                raise ValueError(f"{name!r} is no header that HTTP can carry; use plain letters on one line")
        if self.body and self.json_body is not UNSET:
            raise ValueError("body and json_body are one thing; give one of them")
        if self.expected_json is None:
            raise ValueError("json is empty; say what it must contain, or leave it out")
        if self.location and self.follow_redirects:
            raise ValueError("location is that of an answer which follow_redirects passes over; drop one of them")

    def _refuse_what_cannot_be_answered(self) -> None:
        bodiless = self.head is not None or all(code in (204, 304) or code < 200 for code in self.statuses)
        if self.wants_body and bodiless:
            why = "head" if self.head is not None else f"status {self.statuses[0]}"
            raise ValueError(f"an answer to {why} has no body; drop text, matches, json and json_schema")

    @property
    def statuses(self) -> tuple[int, ...]:
        """Each status that is as good as the others."""
        return (self.status,) if isinstance(self.status, int) else self.status

    @property
    def wants_json(self) -> bool:
        """Whether the body has to be JSON."""
        return self.expected_json is not UNSET or self.json_schema is not UNSET

    @property
    def wants_body(self) -> bool:
        """Whether anything is expected of the body."""
        return self.text is not None or self.matches is not None or self.wants_json

    @property
    def request(self) -> tuple[str, str]:
        """Method and path, the path as the rubric writes it."""
        method = next(method for method in METHODS if getattr(self, method) is not None)
        return method.upper(), getattr(self, method)

    def expectation(self) -> str:
        """What is expected, in words, with `{fresh}` as the rubric writes it."""
        method, path = self.request
        parts = [f"{method} {path} gives {' or '.join(map(str, self.statuses))}"]
        if self.within != PATIENCE:
            parts.append(f"within {human_time(self.within)}")
        if self.location is not None:
            parts.append(f"a redirect to {self.location}")
        if self.expected_json is not UNSET:
            parts.append(f"JSON with {json.dumps(self.expected_json, ensure_ascii=False)}")
        if self.json_schema is not UNSET:
            title = self.json_schema.get("title") if isinstance(self.json_schema, dict) else None
            parts.append(f"JSON that keeps the schema{f' “{title}”' if title else ''}")
        if self.text is not None:
            parts.append(f"the text “{self.text}”")
        if self.matches is not None:
            parts.append(f"a match of {self.matches}")
        parts.extend(f"{name}: {value}" for name, value in self.response_headers.items())
        return ", ".join(parts)


def refuse_other_than_one_request(exchange: Exchange) -> None:
    """Raises ValueError, in words for the author of a rubric, unless there is one path to ask for."""
    given = [method for method in METHODS if getattr(exchange, method) is not None]
    if len(given) != 1:
        raise ValueError(f"http asks for {len(given)} requests; give it exactly one of {', '.join(METHODS)}")
    if not re.fullmatch(r"/[!-~]*", exchange.request[1]):
        raise ValueError(f"{given[0]} is no path; begin it with a slash, and write %20 for a space")


def curl(exchange: Exchange, port: int) -> str:
    """The request for a person's shell; `hello` stands for the random value."""
    method, path = exchange.request
    words = ["curl", "-i", "-s", "-S"]
    words += ["-I"] if method == "HEAD" else [] if method == "GET" else ["-X", method]
    words += ["-L"] if exchange.follow_redirects else []
    headers = dict(exchange.headers)
    body = exchange.body
    if exchange.json_body is not UNSET:
        headers = {"Content-Type": "application/json"} | headers
        body = json.dumps(exchange.json_body, ensure_ascii=False)
    words += [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    words += ["--data-raw", body] if body else []
    return shlex.join([*map(str, refresh(words, "hello")), f"http://localhost:{port}{refresh(path, 'hello')}"])

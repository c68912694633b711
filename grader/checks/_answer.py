"""A request of a rubric asked of an app, and everything in the answer that is not as it should be."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urldefrag, urljoin, urlsplit

from grader.checks._exchange import PATIENCE
from grader.checks._fresh import refresh
from grader.checks._json import missing, violation
from grader.checks._text import found, shown
from grader.course.model import UNSET
from grader.course.units import human_size, human_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks._exchange import Exchange
    from grader.engine.running.app import App
    from grader.engine.running.namespace import Answer

#: Methods that change nothing (RFC 9110, 9.2.1), so that asking again is asking the same.
_SAFE = ("GET", "HEAD", "OPTIONS")
#: Seconds below which a busy machine, and not the app, may be what is slow; then the best of some tries counts.
_NOISE = 2.0
_TRIES = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
#: The names under which an app knows itself.
_OWN_NAMES = ("localhost", "127.0.0.1", "::1")


class Asked(NamedTuple):
    """What was asked first, the answer that counts, how long it all took, and where redirects led, in order."""

    method: str
    path: str
    answer: Answer
    elapsed: float
    hops: tuple[str, ...] = ()
    #: Why the redirects were not followed to their end.
    lost: str = ""

    def evidence(self) -> dict[str, Any]:
        """What is worth keeping."""
        answer = self.answer
        return {
            "request": f"{self.method} {self.path}",
            "status": answer.status or None,
            "headers": [list(pair) for pair in answer.headers],
            # The beginning; a whole megabyte a check would make a class's results unreadable.
            "body": answer.body[:4096].decode(errors="replace"),
            "body_size": len(answer.body),
            "elapsed": round(self.elapsed, 4),
            "error": answer.error,
        } | ({"redirects": list(self.hops)} if self.hops else {})

    def summary(self) -> str:
        """The answer in a few words."""
        body = self.answer.body.decode(errors="replace")
        told = f": {shown(body, 80)}" if body.strip() else ""
        return f"{self.answer.status} in {human_time(self.elapsed)}{told}"


def ask(app: App, exchange: Exchange, fresh: str, until: float = math.inf) -> Asked:
    """Asks; where a moment of the machine's could be what is slow, up to three times, and the quickest counts.

    ``until`` is when to give up (time.monotonic).
    """
    best = _ask_once(app, exchange, fresh, until)
    for _ in range(_tries(exchange) - 1):
        if best.elapsed <= exchange.within:
            break
        again = _ask_once(app, exchange, fresh, until)
        best = min(best, again, key=lambda asked: (bool(asked.answer.error), asked.elapsed))
    return best


def _tries(exchange: Exchange) -> int:
    return _TRIES if exchange.request[0] in _SAFE and exchange.within < _NOISE else 1


def _ask_once(app: App, exchange: Exchange, fresh: str, until: float) -> Asked:
    first, written = exchange.request
    start = refresh(written, fresh)
    headers, body = _sent(exchange, fresh)
    # Longer than it may take: how much too slow an app is says more than that it is.
    patience = min(max(exchange.within, PATIENCE), until - time.monotonic())
    method, path, elapsed, hops = first, start, 0.0, list[str]()
    while True:
        left = max(patience - elapsed, 0.01)
        answer = app.ask(method, path, headers=headers, body=body, within=left, limit=exchange.limit)
        elapsed += answer.elapsed
        if not exchange.follow_redirects or answer.status not in _REDIRECTS:
            return Asked(first, start, answer, elapsed, tuple(hops))
        path = _target(path, answer, app.port)
        if lost := _lost(path, answer, hops):
            return Asked(first, start, answer, elapsed, tuple(hops), lost)
        hops.append(path)
        if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
            # As browsers do, and RFC 9110, 15.4, lets them.
            method, body = ("HEAD" if method == "HEAD" else "GET"), b""
            headers = [pair for pair in headers if not pair[0].lower().startswith("content-")]


def _sent(exchange: Exchange, fresh: str) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of a request."""
    headers = [(name, refresh(value, fresh)) for name, value in exchange.headers.items()]
    if exchange.json_body is UNSET:
        return headers, refresh(exchange.body, fresh).encode()
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    return headers, json.dumps(refresh(exchange.json_body, fresh)).encode()


def _lost(target: str, answer: Answer, hops: list[str]) -> str:
    """Why a redirect is not followed; empty when it is."""
    if len(hops) == _MOST_REDIRECTS:
        return f"more than {_MOST_REDIRECTS} redirects"
    if target.startswith("/"):
        return ""
    return f"status {answer.status} leads out of the app, to {target or 'nowhere'}"


def _target(path: str, answer: Answer, port: int) -> str:
    """Where an answer redirects to: a path when that is in the app, else a URL; empty when it does not say."""
    given = next((value for name, value in answer.headers if name.lower() == "location"), "")
    return _within_app(path, given.strip(), port) if given.strip() else ""


def _within_app(path: str, location: str, port: int) -> str:
    try:
        url = urldefrag(urljoin(f"http://localhost:{port}{path}", location)).url
        parts = urlsplit(url)
        own = parts.scheme == "http" and parts.hostname in _OWN_NAMES and (parts.port or 80) in (80, port)
    except ValueError:
        return location
    return parts._replace(scheme="", netloc="").geturl() or "/" if own else url


def faults(exchange: Exchange, asked: Asked, fresh: str, port: int) -> Iterator[str]:
    """What is wrong with an answer, in words; nothing when all is as it should be."""
    answer = asked.answer
    if answer.error:
        yield f"no answer: {answer.error} (after {human_time(asked.elapsed)})"
        return
    if asked.elapsed > exchange.within:
        best = f", the best of {_TRIES}" if _tries(exchange) > 1 else ""
        yield f"an answer after {human_time(asked.elapsed)}{best}"
    if asked.lost:
        yield asked.lost
    elif answer.status not in exchange.statuses:
        yield f"status {answer.status}"
    yield from _header_faults(exchange, asked, fresh, port)
    if exchange.wants_body and answer.cut:
        yield f"a body of more than {human_size(exchange.limit)}"
    elif exchange.wants_body:
        yield from _body_faults(exchange, answer.body.decode(errors="replace"), fresh)


def _header_faults(exchange: Exchange, asked: Asked, fresh: str, port: int) -> Iterator[str]:
    if exchange.location is not None:
        target = _target(asked.path, asked.answer, port)
        if target != _within_app(asked.path, refresh(exchange.location, fresh), port):
            yield f"a redirect to {shown(target)}" if target else "no redirect"
    for name, value in exchange.response_headers.items():
        given = [each.strip() for sent, each in asked.answer.headers if sent.lower() == name.lower()]
        if not given:
            yield f"no header {name}"
        elif not any(_same_header(name, refresh(value, fresh), each) for each in given):
            yield f"{name}: {shown(', '.join(given))}"


def _same_header(name: str, wanted: str, given: str) -> bool:
    """Equal, but that a media type asked for without parameters may come with some: `; charset=utf-8`."""
    if name.lower() == "content-type" and ";" not in wanted:
        return given.partition(";")[0].strip().lower() == wanted.strip().lower()
    return given == wanted


def _body_faults(exchange: Exchange, body: str, fresh: str) -> Iterator[str]:
    if exchange.text is not None and refresh(exchange.text, fresh) not in body:
        yield f"a body without that text: {shown(body)}"
    if exchange.matches is not None and not found(refresh(exchange.matches, fresh), body):
        yield f"a body without such a match: {shown(body)}"
    if not exchange.wants_json:
        return
    try:
        answered = json.loads(body.removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        yield f"a body that is no JSON: {shown(body)}"
        return
    if exchange.expected_json is not UNSET and (gap := missing(refresh(exchange.expected_json, fresh), answered)):
        yield gap
    schema = exchange.json_schema is not UNSET
    if schema and (broken := violation(refresh(exchange.json_schema, fresh), body.removeprefix("\ufeff"))):
        yield broken

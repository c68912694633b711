"""What does the app answer?"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from grader.checks import _hand as hand
from grader.checks._answer import ask, faults
from grader.checks._exchange import Exchange, curl, refuse_other_than_one_request
from grader.checks._fresh import refresh
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import field, keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.checks._answer import Asked
    from grader.checks.subject import Subject


class Http(Check, Exchange):
    """The running app answers a request as it should, or several one after the other, asked from outside the image.

    In paths, headers, bodies and expectations, `{fresh}` stands for a random value of this run, and `{fresh.sha256}`,
    `{fresh.reversed}` and `{fresh.upper}` for what the app has to work out from it: a canned answer cannot know them.
    What one request changes in the app is there for the next, and for the checks after this one.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"app"})
    example: ClassVar[str] = """\
- id: keeps-notes
  check: http
  requests:
    - {post: /notes, json_body: {text: "{fresh}"}, status: 201}
    - {get: /notes, within: 500ms, json: [{text: "{fresh}"}]}
    - {get: /notes, json_schema: {type: array}}
  points: 25
"""

    reason: ClassVar[str] = "An image is there to run, and this is what others ask of it."
    advice: ClassVar[str] = (
        "Start it yourself with `docker run --rm -p PORT:PORT IMAGE`, ask it, and read what it prints."
    )

    looks_at: ClassVar[str] = (
        "What the running app answers to HTTP requests that come from outside the container. Random values in "
        "them show whether an answer was worked out or only written down."
    )

    check: Literal["http"]
    requests: tuple[Exchange, ...] = field(
        default=(), description="Several requests, asked in this order until one is not answered as it should be."
    )

    def _refuse_other_requests(self) -> None:
        if not self.requests:
            refuse_other_than_one_request(self)

    @classmethod
    def refuse(cls, written: Mapping[str, Any]) -> None:
        own = keys(Exchange).keys() & written.keys()
        if written.get("requests") == []:
            raise ValueError("requests is empty; give it at least one")
        if own and "requests" in written:
            raise ValueError(f"requests stands alone; move {min(own)} into one of them")

    def run(self, subject: Subject) -> Outcome:
        """Asks, and names everything in the first wrong answer that is not as it should be."""
        fresh, app = subject.fresh, subject.app
        until = math.inf if self.timeout is None else time.monotonic() + self.timeout
        answers: list[Asked] = []
        for exchange in self._exchanges():
            asked = ask(app, exchange, fresh, until)
            answers.append(asked)
            wrong = list(faults(exchange, asked, fresh, app.port))
            if wrong:
                got = "; ".join(wrong)
                if self.requests:
                    got = f"request {len(answers)}, {asked.method} {asked.path}: {got}"
                evidence = self._evidence(answers) | {"app_log": list(app.log())}
                return failed(expected=self.expectation(fresh), got=got, **evidence)
        got = ", then ".join(asked.summary() for asked in answers)
        return passed(expected=self.expectation(fresh), got=got, **self._evidence(answers))

    def expectation(self, fresh: str = "") -> str:
        """What is expected, in words."""
        text = "; then ".join(Exchange.expectation(exchange) for exchange in self._exchanges())
        return refresh(text, fresh) if fresh else text

    def by_hand(self, port: int) -> tuple[str, ...]:
        """The requests, one after the other; `hello` stands for the random value."""
        asked = [curl(exchange, port) for exchange in self._exchanges()]
        return (*hand.start(port, target=self.target), *asked, f"docker logs {hand.APP}", hand.end())

    def _exchanges(self) -> tuple[Exchange, ...]:
        return self.requests or (self,)

    def _evidence(self, answers: list[Asked]) -> dict[str, Any]:
        told = [asked.evidence() for asked in answers]
        return {"requests": told} if self.requests else told[0]

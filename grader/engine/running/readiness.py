"""Whether an app is ready, and if it never is, in which way: deaf, on another port, inside only, or unwell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from grader.course.units import human_time
from grader.engine.faults.refusal import AppError
from grader.engine.running.namespace import Question

if TYPE_CHECKING:
    from grader.engine.running.app import Options
    from grader.engine.running.namespace import Answer, Listener, Namespace

#: An app that listens on 127.0.0.1 alone for this long (seconds) has made up its mind.
_SETTLED = 2.0


class Watch:
    """What has been seen of an app that is not ready yet."""

    def __init__(self, options: Options) -> None:
        """Nothing has been seen yet."""
        self._options = options
        self._listeners: tuple[Listener, ...] = ()
        self._inside_since: float | None = None
        self._answer: Answer | None = None

    def ready(self, namespace: Namespace, deadline: float) -> bool:
        """Whether the app answers as it should; the socket table first, because asking a closed port tells nothing."""
        found = namespace.listeners()
        if found is not None:
            self._listeners = found
            here = [listener for listener in found if listener.port == self._options.port]
            if not any(not listener.inside_only for listener in here):
                self._inside_since = (self._inside_since or time.monotonic()) if here else None
                return False
            self._inside_since = None
        within = max(0.1, min(5.0, deadline - time.monotonic()))
        question = Question("GET", self._options.path, self._options.port, within=within, limit=64 << 10)
        self._answer = namespace.ask(question)
        return not self._answer.error and self._is_good(self._answer.status)

    def settled(self, now: float) -> bool:
        """Whether waiting longer is of no use."""
        return self._inside_since is not None and now - self._inside_since > _SETTLED

    def failure(self, log: tuple[str, ...]) -> AppError:
        """Why the app did not become ready."""
        options = self._options
        if self._inside_since is not None:
            return AppError(
                f"The app listens on port {options.port}, but on 127.0.0.1 only: "
                "nobody outside its container reaches it",
                "Let it listen on 0.0.0.0.",
                log=log,
            )
        if self._answer is not None and not self._answer.error:
            return AppError(
                f"The app answers GET {options.path} with status {self._answer.status}, "
                f"not {options.status or 'a success'}, for {human_time(options.patience)}",
                "Its last log lines may say why.",
                log=log,
            )
        if self._answer is not None and self._answer.kind != "refused":
            return AppError(
                f"The app accepts connections on port {options.port}, "
                f"but GET {options.path} fails: {self._answer.error}",
                "Its last log lines may say why.",
                log=log,
            )
        return self._deaf(log)

    def _deaf(self, log: tuple[str, ...]) -> AppError:
        options = self._options
        others = sorted({listener.port for listener in self._listeners if listener.port != options.port})
        if others:
            ports = ", ".join(map(str, others))
            return AppError(
                f"The app listens on port {ports}, not on {options.port}",
                f"Let it listen on port {options.port}. EXPOSE alone changes nothing.",
                log=log,
            )
        return AppError(
            f"The app runs, but does not listen on port {options.port} after {human_time(options.patience)}",
            "Does the command start the server, or wait for something that is not there?",
            log=log,
        )

    def _is_good(self, status: int) -> bool:
        wanted = self._options.status
        return status == wanted if wanted else 200 <= status < 400

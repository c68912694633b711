"""What a waiting person sees, on stderr: one live line on a terminal, a line an event elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Self

from grader.reports import _workflow
from grader.reports._text import clipped, one_line

if TYPE_CHECKING:
    from types import TracebackType

    from grader.result import ProgressEvent


class ProgressView:
    """A context manager that is also the `Progress` to hand on."""

    def __init__(self, *, verbose: bool = False, quiet: bool = False) -> None:
        """``quiet`` shows only the phases that take long: setting up an engine and base images."""
        self._verbose = verbose
        self._quiet = quiet
        self._live = sys.stderr.isatty()
        self._shown = False
        self._last = 0.0
        # The app starts in a thread of its own and tells from there.
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wipe()

    def __call__(self, event: ProgressEvent) -> None:
        """Shows an event; details come and go on a terminal only, at most ten a second."""
        with self._lock:
            self._tell(event)

    def _tell(self, event: ProgressEvent) -> None:
        text = one_line(f"{event.phase}: {event.text}")
        if _workflow.is_running():
            # The log's commands are stopped meanwhile, but on the other stream, which the runner reads beside this one.
            text = _workflow.harmless(text)
        if event.detail:
            if self._live and time.monotonic() - self._last > 0.1:
                self._last = time.monotonic()
                self._wipe()
                sys.stderr.write(clipped(text, self._width() - 1))
                sys.stderr.flush()
                self._shown = True
            return
        if event.phase in ("engine", "bases", "verify") or self._verbose:
            self._wipe()
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
        elif self._live and not self._quiet:
            self._last = 0.0
            self._tell(type(event)(event.phase, event.text, detail=True))

    def _wipe(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False

    @staticmethod
    def _width() -> int:
        import shutil  # noqa: PLC0415  # only a terminal asks

        return shutil.get_terminal_size().columns

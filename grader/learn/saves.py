"""Tells when the files of a submission were saved.

The operating system's events say when to look; whether something was saved is read from the files themselves. So it
does not matter whether an editor writes in place or renames a new file over the old one, and a folder whose events do
not arrive (network mounts, Windows folders under WSL) is noticed by what changes in it, and looked at more often.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from grader.submission.files import LITTER
from grader.submission.patterns import is_glob, matches, segments

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

#: Milliseconds without a further event after which a save counts as done, and the longest that it is waited for.
_QUIET, _LONGEST = 20, 200
#: Milliseconds after which the files are looked at although there was no event.
_LOOK_ANYWAY = 1000
#: Seconds between two looks where events do not arrive.
_POLL = 0.1
#: Seconds that a file may be gone while an editor puts a new one in its place.
_RENAME = 0.5
#: Files that are looked at in a folder at most.
_MOST = 10_000

#: When a file was last written, its size, and which file it is: a new one that was renamed over it counts, too.
Marks = dict[str, tuple[int, int, int]]


class Saves:
    """Watches a folder from a thread of its own while its context lasts.

    ``saved`` is called from that thread, once a save. ``polls`` becomes true when events turn out not to arrive.
    """

    def __init__(self, folder: Path, submit: Sequence[str], saved: Callable[[], None]) -> None:
        """``submit`` names the files that count, as a rubric does."""
        self.polls = False
        self._folder = folder
        self._patterns = [segments(entry) for entry in submit]
        self._saved = saved
        self._marks: Marks = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="saves", daemon=True)

    def __enter__(self) -> Self:
        self._marks = self._look()
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        # A folder that cannot be watched (no such call on this system, too many watches) can still be looked at.
        with suppress(Exception):
            self._follow_events()
        self.polls = not self._over.is_set()
        while not self._over.wait(_POLL):
            self._tell_changes()

    def _follow_events(self) -> None:
        """Until it is over, or something changed that no event told of."""
        for looks, events in enumerate(self._events()):
            # What changed before the first look may have done so before events were asked for.
            if self._tell_changes() and not events and looks:
                return

    def _events(self) -> Iterator[Collection[object]]:
        import watchfiles  # noqa: PLC0415  # nobody but `grader watch` needs it

        return watchfiles.watch(
            self._folder,
            watch_filter=None,
            recursive=self._deep(),
            step=_QUIET,
            debounce=_LONGEST,
            rust_timeout=_LOOK_ANYWAY,
            yield_on_timeout=True,
            stop_event=self._over,
            raise_interrupt=False,
            # It would poll under WSL always, also where events do arrive.
            force_polling=False,
            ignore_permission_denied=True,
        )

    def _tell_changes(self) -> bool:
        marks = self._look()
        if marks == self._marks:
            return False
        if self._marks.keys() - marks.keys():
            marks = self._look_until_back()
        self._marks = marks
        self._saved()
        return True

    def _look_until_back(self) -> Marks:
        """Looks again and again while a file that was there is not: an editor may be about to put it back."""
        before = set(self._marks)
        for _ in range(round(_RENAME / (_QUIET / 1000))):
            marks = self._look()
            if marks.keys() >= before or self._over.wait(_QUIET / 1000):
                break
        return marks

    def _look(self) -> Marks:
        marks: Marks = {}
        for path in self._paths():
            with suppress(OSError):
                found = (self._folder / path).lstat()
                marks[path] = (found.st_mtime_ns, found.st_size, found.st_ino)
        return marks

    def _deep(self) -> bool:
        return any(len(pattern) > 1 or pattern == ("**",) for pattern in self._patterns)

    def _paths(self) -> Iterator[str]:
        """The paths that count, whether or not there is anything."""
        if not any(is_glob(segment) for pattern in self._patterns for segment in pattern):
            yield from ("/".join(pattern) for pattern in self._patterns)
            return
        seen = 0
        for here, folders, names in os.walk(self._folder):
            folders[:] = [name for name in folders if name not in LITTER]
            below = Path(here).relative_to(self._folder)
            for name in names:
                seen += 1
                path = (below / name).as_posix()
                if matches(path, self._patterns):
                    yield path
            if seen > _MOST or not self._deep():
                return

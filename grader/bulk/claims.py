"""Who of several runs on one journal grades what: a run claims a submission, and others wait for its verdict.

A run holds a lock on a file of its own for as long as it lives; the system lets go of it however the run ends, so that
what a killed run had claimed is anybody's at once, and what a stopped one has stays its own. No clock is asked.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING

from grader.errors import EngineError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from filelock import BaseFileLock

_NAME = ".run-{}.lock"
TABLE = """
CREATE TABLE claim (
    key TEXT PRIMARY KEY,      -- as that of a verdict
    run TEXT NOT NULL          -- names the file that this run holds
) WITHOUT ROWID;
"""


class Claims:
    """The claims of one run; the first of them makes its file, `close` removes it."""

    def __init__(self, database: sqlite3.Connection, folder: Path) -> None:
        """``folder`` is where the runs' files are; ``database`` has the `TABLE`."""
        self._database = database
        self._folder = folder
        self._run = secrets.token_hex(8)
        self._lock: BaseFileLock | None = None

    def claim(self, key: str) -> bool:
        """Whether it is ours now, or was before; False when a run that lives has it. In a transaction.

        Raises ``EngineError`` when the folder's disk cannot lock files.
        """
        self._begin()
        row = self._database.execute("SELECT run FROM claim WHERE key = ?", (key,)).fetchone()
        if row and row[0] != self._run:
            if self._lives(row[0]):
                return False
            self._forget(row[0])
        self._database.execute("INSERT OR REPLACE INTO claim VALUES (?, ?)", (key, self._run))
        return True

    def release(self, key: str) -> None:
        """It is judged, or nobody's any more; another run's claim stays. In a transaction."""
        self._database.execute("DELETE FROM claim WHERE key = ? AND run = ?", (key, self._run))

    def close(self) -> None:
        """All that is left of ours is anybody's, and what killed runs left is gone. In a transaction."""
        if self._lock is not None:
            self._lock.release()
        for path in self._folder.glob(_NAME.format("*")):
            run = path.name.removeprefix(".run-").removesuffix(".lock")
            if not self._lives(run):
                self._forget(run)

    def _begin(self) -> None:
        if self._lock is not None:
            return
        lock = _lock(self._file(self._run))
        try:
            lock.acquire(timeout=0)
        except (OSError, NotImplementedError) as error:
            raise EngineError(
                f"Runs cannot tell that they are alive: {getattr(error, 'strerror', None) or error}",
                "Name a folder with --out on a disk that can lock files.",
                where=str(self._folder),
            ) from error
        self._lock = lock

    def _lives(self, run: str) -> bool:
        if not self._file(run).exists():
            return False
        lock = _lock(self._file(run))
        try:
            lock.acquire(timeout=0)
        except TimeoutError:
            return True
        except OSError:
            return self._file(run).exists()  # gone meanwhile, or another user's: then it is not ours to judge
        lock.release()
        return False

    def _forget(self, run: str) -> None:
        self._database.execute("DELETE FROM claim WHERE run = ?", (run,))
        with suppress(OSError):
            self._file(run).unlink(missing_ok=True)

    def _file(self, run: str) -> Path:
        return self._folder / _NAME.format(run)


def _lock(path: Path) -> BaseFileLock:
    from filelock import FileLock  # noqa: PLC0415  # dear to import for who only reads a journal

    return FileLock(path)

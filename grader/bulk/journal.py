"""What a bulk run has found so far, in a file that a kill at any moment leaves whole.

SQLite, one transaction a verdict. A verdict is kept by what it is of (`Key`): whatever changes one of these asks for
another verdict, and what is the same to the byte has one together. Two runs may write to one journal: they grade some
submissions twice at worst, and the verdicts are the same.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grader.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: Changes with the tables below.
_VERSION = 1
_TABLES = """
CREATE TABLE verdict (
    key TEXT PRIMARY KEY,
    status TEXT NOT NULL,      -- passed, failed or error
    result TEXT NOT NULL       -- grader.result/1
) WITHOUT ROWID;
"""
#: Another run may have a verdict where this one met a fault.
_KEEP = """
INSERT INTO verdict VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET status = excluded.status, result = excluded.result
WHERE excluded.status <> 'error' OR verdict.status = 'error'
"""
#: Seconds to wait for another process that writes.
_PATIENCE = 60.0


@dataclass(frozen=True)
class Key:
    """What a verdict depends on; all are digests or versions.

    ``exercise`` is over the rubric and whatever else lies in the exercise's folder, ``bases`` over the base images.
    """

    exercise: str
    submission: str
    bases: str
    grader: str

    def __str__(self) -> str:
        """A name of it, 64 hexadecimal digits."""
        told = f"{self.exercise}\n{self.submission}\n{self.bases}\n{self.grader}"
        return hashlib.sha256(told.encode()).hexdigest()


class Journal:
    """An open journal; each thread opens one of its own."""

    def __init__(self, path: Path) -> None:
        """Opens it, or begins a new one. Raises ``UsageError`` when the file is something else."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None)
        try:
            with self._transaction():
                self._prepare()
            # A verdict is on the disk when `keep` returns, and readers do not wait for writers.
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise UsageError(
                f"The journal cannot be used: {error}",
                "Move it away to begin anew, or name another folder with --out.",
                where=str(path),
            ) from error

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def keep(self, key: Key, result: Mapping[str, Any]) -> None:
        """Keeps a verdict, in place of an older one of the same. An error takes the place of none but another error.

        Raises ``EngineError`` when it cannot be written.
        """
        # ASCII: half a surrogate pair, which a file name may hold, is no UTF-8.
        text = json.dumps(result, separators=(",", ":"))
        try:
            with self._transaction():
                self._database.execute(_KEEP, (str(key), str(result["status"]), text))
        except sqlite3.Error as error:
            raise EngineError(
                f"The journal cannot be written: {error}",
                "Make room on its disk, and run the same command again; what was graded is kept.",
                where=str(self._path),
            ) from error

    def status(self, key: Key) -> str:
        """``passed``, ``failed`` or ``error``; empty when there is no verdict."""
        row = self._database.execute("SELECT status FROM verdict WHERE key = ?", (str(key),)).fetchone()
        return str(row[0]) if row else ""

    def result(self, key: Key) -> dict[str, Any] | None:
        """The ``grader.result/1`` object that was kept."""
        row = self._database.execute("SELECT result FROM verdict WHERE key = ?", (str(key),)).fetchone()
        found: dict[str, Any] | None = json.loads(row[0]) if row else None
        return found

    def _prepare(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version == _VERSION:
            return
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version or tables:
            raise sqlite3.DatabaseError("it is of another version of the grader, or no journal at all")
        self._database.execute(_TABLES)
        self._database.execute(f"PRAGMA user_version = {_VERSION}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            raise


@contextmanager
def opened(path: Path) -> Iterator[Journal]:
    """A journal, closed at the end of the block."""
    with closing(Journal(path)) as journal:
        yield journal

"""What a bulk run has found so far, in a file that a kill at any moment leaves whole.

SQLite, one transaction a verdict. A verdict is kept by what it is of (`Key`): whatever changes one of these asks for
another verdict, and what is the same to the byte has one together. Several runs may write to one journal at once: what
one has claimed, the others wait for (`claims`).
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grader.bulk import claims
from grader.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: What made each version of the tables of the one before it.
_STEPS = (
    """
CREATE TABLE verdict (
    key TEXT PRIMARY KEY,
    status TEXT NOT NULL,      -- passed, failed or error
    result TEXT NOT NULL       -- grader.result/1
) WITHOUT ROWID;
""",
    f"""
ALTER TABLE verdict ADD COLUMN times INTEGER NOT NULL DEFAULT 1;  -- that it was graded
{claims.TABLE}
""",
)
#: Another run may have a verdict where this one met a fault.
_KEEP = """
INSERT INTO verdict VALUES (?, ?, ?, 1)
ON CONFLICT (key) DO UPDATE SET status = excluded.status, result = excluded.result, times = verdict.times + 1
WHERE excluded.status <> 'error' OR verdict.status = 'error'
"""
#: Seconds to wait for another process that writes.
_PATIENCE = 60.0
#: Seconds between two tries where SQLite does not wait by itself.
_PAUSE = 0.02


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
            self._begin()
            self._claims = claims.Claims(self._database, path.parent)
        except sqlite3.DatabaseError as error:
            self._database.close()
            raise UsageError(
                f"The journal cannot be used: {error}",
                "Move it away to begin anew, or name another folder with --out.",
                where=str(path),
            ) from error

    def close(self) -> None:
        """Closes the file; what was claimed and has no verdict is anybody's."""
        with suppress(sqlite3.Error), self._transaction():
            self._claims.close()
        self._database.close()

    def claim(self, key: Key) -> bool:
        """Whether it is this run's to grade; False while another one is at it.

        `keep` ends a claim. Raises ``EngineError`` when it cannot be written down.
        """
        try:
            with self._transaction():
                return self._claims.claim(str(key))
        except sqlite3.Error as error:
            raise self._unwritten(error) from error

    def release(self, key: Key) -> None:
        """It is not graded here any more, and has no new verdict."""
        with suppress(sqlite3.Error), self._transaction():
            self._claims.release(str(key))

    def keep(self, key: Key, result: Mapping[str, Any]) -> None:
        """Keeps a verdict, in place of an older one of the same. An error takes the place of none but another error.

        Raises ``EngineError`` when it cannot be written.
        """
        # ASCII: half a surrogate pair, which a file name may hold, is no UTF-8.
        text = json.dumps(result, separators=(",", ":"))
        try:
            with self._transaction():
                self._database.execute(_KEEP, (str(key), str(result["status"]), text))
                self._claims.release(str(key))
        except sqlite3.Error as error:
            raise self._unwritten(error) from error

    def status(self, key: Key) -> str:
        """``passed``, ``failed`` or ``error``; empty when there is no verdict."""
        return self.standing(key)[0]

    def standing(self, key: Key) -> tuple[str, int]:
        """The same, and how often it was graded."""
        row = self._database.execute("SELECT status, times FROM verdict WHERE key = ?", (str(key),)).fetchone()
        return (str(row[0]), int(row[1])) if row else ("", 0)

    def result(self, key: Key) -> dict[str, Any] | None:
        """The ``grader.result/1`` object that was kept."""
        row = self._database.execute("SELECT result FROM verdict WHERE key = ?", (str(key),)).fetchone()
        found: dict[str, Any] | None = json.loads(row[0]) if row else None
        return found

    def _begin(self) -> None:
        """A verdict is on the disk when `keep` returns, and readers do not wait for writers."""
        give_up = time.monotonic() + _PATIENCE
        while True:
            try:
                with self._transaction():
                    self._prepare()
                self._database.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                # SQLite itself does not wait for another run that begins at the same moment, when the mode changes.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(_PAUSE)
            else:
                break
        self._database.execute("PRAGMA synchronous = FULL")

    def _prepare(self) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        (tables,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version > len(_STEPS) or bool(version) != bool(tables):
            raise sqlite3.DatabaseError("it is of another version of the grader, or no journal at all")
        if version < len(_STEPS):
            # Not a script: that would end the transaction.
            for statement in ";".join(_STEPS[version:]).split(";"):
                self._database.execute(statement)
            self._database.execute(f"PRAGMA user_version = {len(_STEPS)}")

    def _unwritten(self, error: sqlite3.Error) -> EngineError:
        return EngineError(
            f"The journal cannot be written: {error}",
            "Make room on its disk, and run the same command again; what was graded is kept.",
            where=str(self._path),
        )

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

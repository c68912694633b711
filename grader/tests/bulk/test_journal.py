"""What a run has found stays found."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from grader.bulk.journal import _STEPS, Journal, Key, opened
from grader.errors import EngineError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


def key(submission: str = "s", **other: str) -> Key:
    return Key(**({"exercise": "e", "submission": submission, "bases": "b", "grader": "1"} | other))


def test_a_verdict_is_found_by_all_that_it_depends_on(tmp_path: Path) -> None:
    with opened(tmp_path / "deep" / "j.db") as journal:
        journal.keep(key(), {"status": "passed", "score": 1})
        assert journal.status(key()) == "passed"
        assert journal.result(key()) == {"status": "passed", "score": 1}
        for other in (key("t"), key(exercise="f"), key(bases="c"), key(grader="2")):
            assert journal.status(other) == ""
            assert journal.result(other) is None
        journal.keep(key(), {"status": "failed"})
        assert journal.status(key()) == "failed"


def test_an_error_takes_the_place_of_no_verdict(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db") as journal:
        for status, kept in (("error", "error"), ("error", "error"), ("failed", "failed"), ("error", "failed")):
            journal.keep(key(), {"status": status})
            assert journal.status(key()) == kept


def test_half_a_surrogate_pair_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db") as journal:
        journal.keep(key(), {"status": "passed", "name": "\ud800"})
        assert journal.result(key()) == {"status": "passed", "name": "\ud800"}


def test_what_cannot_be_written_is_told_as_a_fault_of_ours(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db") as journal:
        journal._database.execute("PRAGMA max_page_count = 5")
        with pytest.raises(EngineError, match="full"):
            journal.keep(key(), {"status": "passed", "text": "x" * 100_000})
        journal.keep(key("small"), {"status": "passed"})


def test_it_is_there_when_its_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    text = (
        "import os, signal; from grader.bulk.journal import Journal, Key\n"
        f"journal = Journal(__import__('pathlib').Path({str(path)!r}))\n"
        "for number in range(20): journal.keep(Key('e', str(number), 'b', '1'), {'status': 'passed'})\n"
        "journal._database.execute('BEGIN IMMEDIATE')\n"
        "journal._database.execute(\"INSERT INTO verdict VALUES ('half', 'passed', '{}', 1)\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == -9
    with opened(path) as journal:
        assert [journal.status(key(str(number))) for number in range(20)] == ["passed"] * 20
        assert journal._database.execute("SELECT count(*) FROM verdict").fetchone() == (20,)


def test_two_runs_write_to_one(tmp_path: Path) -> None:
    path = tmp_path / "j.db"

    def write(who: int) -> None:
        with opened(path) as journal:
            for number in range(30):
                journal.keep(key(f"{number % 20}"), {"status": "passed", "who": who})

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with opened(path) as journal:
        assert journal._database.execute("SELECT count(*) FROM verdict").fetchone() == (20,)
        assert journal._database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_runs_that_begin_at_the_same_moment_make_one_journal(tmp_path: Path) -> None:
    def begin(path: Path, together: threading.Barrier) -> None:
        together.wait(60)
        Journal(path).close()

    # One time in ten SQLite refuses one of six at once, rather than let it wait.
    with ThreadPoolExecutor(6) as pool:
        for number in range(100):
            together = threading.Barrier(6)
            begun = [pool.submit(begin, tmp_path / f"{number}.db", together) for _ in range(6)]
            assert [each.result() for each in begun] == [None] * 6


@pytest.mark.parametrize("content", [b"not a database, but long enough to be taken for one" * 40, None])
def test_what_is_no_journal_is_left_as_it_is(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "j.db"
    if content is None:
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE verdict (mine)")
        other.close()
        content = path.read_bytes()
    else:
        path.write_bytes(content)
    with pytest.raises(UsageError, match="cannot be used") as caught:
        Journal(path)
    assert caught.value.where == str(path)
    assert path.read_bytes() == content


# --- several runs -----------------------------------------------------------------------------------------------------


def test_what_one_run_has_claimed_is_no_other_runs_until_it_is_judged_or_left(tmp_path: Path) -> None:
    with opened(tmp_path / "j.db") as journal:
        with opened(tmp_path / "j.db") as other:
            assert [other.claim(key(name)) for name in ("a", "b", "a")] == [True, True, True]
            assert (journal.claim(key("a")), journal.claim(key("c"))) == (False, True)
            other.keep(key("a"), {"status": "failed"})
            assert journal.claim(key("a"))
            assert not other.claim(key("a"))
            journal.release(key("a"))
            assert other.claim(key("a"))
            assert not journal.claim(key("b"))
        assert journal.claim(key("b"))
    assert list(tmp_path.glob(".run-*")) == []


def test_a_run_that_is_killed_claims_nothing_any_more(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    text = (
        "import pathlib, sys; from grader.bulk.journal import Journal, Key\n"
        f"journal = Journal(pathlib.Path({str(path)!r}))\n"
        "journal.claim(Key('e', 's', 'b', '1'))\n"
        "print('claimed', flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", text]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        with opened(path) as journal:
            assert not journal.claim(key("s"))
            other.kill()
            other.wait()
            assert journal.claim(key("s"))
            assert len(list(tmp_path.glob(".run-*"))) == 1, "its own; the other's is gone"


def test_a_journal_of_an_older_version_keeps_its_verdicts(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    older = sqlite3.connect(path)
    older.execute(_STEPS[0])
    older.execute("PRAGMA user_version = 1")
    older.execute("INSERT INTO verdict VALUES (?, 'passed', '{}')", (str(key()),))
    older.commit()
    older.close()
    for _ in range(2):
        with opened(path) as journal:
            assert journal.standing(key()) == ("passed", 1)
            assert journal.claim(key())

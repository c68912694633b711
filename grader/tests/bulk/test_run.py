"""A run without an engine: workers whose results are made, to see what becomes of faults, deaths and Ctrl-C."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from grader.bulk import pause, run
from grader.bulk.journal import Key, opened
from grader.bulk.learner import Handed
from grader.bulk.pool import Done, Job
from grader.bulk.run import Run, State, Task
from grader.cli.runview import RunView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from grader.bulk.journal import Journal


def result(status: str, what: str = "") -> dict[str, Any]:
    fault = {"passed": None, "failed": "learner", "error": "infrastructure"}[status]
    problem = {"what": what, "fault": fault} if status == "error" else None
    return {"status": status, "score": None, "max_score": 1, "checks": [], "problem": problem}


class FakeWorker:
    """Answers at once; ``answer`` says with what, None for a worker that dies over it."""

    def __init__(self, answer: Callable[[str], dict[str, Any] | None]) -> None:
        self.answer = answer
        self.alive = True
        self.ends: list[str] = []
        self._job: Job | None = None

    def begin(self, job: Job) -> None:
        self._job = job

    def take(self) -> Done:
        assert self._job is not None
        found = self.answer(self._job.name)
        self.alive = found is not None
        return Done(self, self._job, found, "it died")

    def interrupt(self) -> None:
        self.ends.append("interrupted")

    def end(self) -> None:
        self.ends.append("ended")

    def join(self) -> None:
        self.ends.append("joined")


class FakePool:
    def __init__(self, start: Callable[[], FakeWorker], room: int = 1) -> None:
        self.start = start
        self.room = room

    def wait(self, busy: Sequence[FakeWorker], _seconds: float) -> Sequence[FakeWorker]:
        return list(busy)


class Seen:
    def __init__(self) -> None:
        self.verdicts: list[tuple[str, str]] = []
        self.pauses: list[str] = []

    def verdict(self, task: Task, result: dict[str, Any]) -> None:
        self.verdicts.append((task.name, result["status"]))

    def now(self, state: State) -> None:
        if not self.pauses or self.pauses[-1] != state.paused:
            self.pauses.append(state.paused)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with opened(tmp_path / "j.db") as found:
        yield found


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "RETRIES", (0.0, 0.0))
    monkeypatch.setattr(run, "_LOOK", 0.01)
    monkeypatch.setattr(pause, "FIRST", 0.01)
    monkeypatch.setattr(pause, "MOST", 0.01)


def tasks(*names: str) -> list[Task]:
    return [Task(Key("e", name, "b", "1"), name, Handed(name, name)) for name in names]


def lost(_name: str, why: str) -> dict[str, Any]:
    return result("error", why)


def graded(
    journal: Journal, answer: Callable[[str], dict[str, Any] | None], *names: str, jobs: int = 1, patience: float = 60
) -> tuple[Seen, list[FakeWorker]]:
    seen, started = Seen(), list[FakeWorker]()

    def start() -> FakeWorker:
        started.append(FakeWorker(answer))
        return started[-1]

    Run(tasks(*names), journal, seen, pool=FakePool(start, jobs), lost=lost).go(patience)
    return seen, started


def test_each_is_graded_and_kept_before_it_is_told(journal: Journal) -> None:
    seen, started = graded(journal, lambda name: result("failed" if name == "b" else "passed"), *"abc", jobs=2)
    assert sorted(seen.verdicts) == [("a", "passed"), ("b", "failed"), ("c", "passed")]
    assert len(started) == 2
    assert all(one.ends == ["ended", "joined"] for one in started)
    assert [journal.status(task.key) for task in tasks(*"abc")] == ["passed", "failed", "passed"]


def test_what_another_run_has_graded_meanwhile_is_taken_and_what_was_there_before_is_not(journal: Journal) -> None:
    a, b = tasks("a", "b")
    for task in (a, b):
        journal.keep(task.key, result("failed"))
    _, times = journal.standing(b.key)
    seen, asked = Seen(), list[str]()

    def answer(name: str) -> dict[str, Any]:
        asked.append(name)
        return result("passed")

    Run([a, replace(b, times=times)], journal, seen, pool=FakePool(lambda: FakeWorker(answer)), lost=lost).go(60)
    assert asked == ["b"]
    assert sorted(seen.verdicts) == [("a", "failed"), ("b", "passed")]


@pytest.mark.parametrize("ends", ["with a verdict", "with an error", "without any"])
def test_what_another_run_is_at_is_waited_for(journal: Journal, tmp_path: Path, ends: str) -> None:
    (a,) = tasks("a")
    asked: list[str] = []

    def answer(name: str) -> dict[str, Any]:
        asked.append(name)
        return result("passed")

    with opened(tmp_path / "j.db") as other:
        assert other.claim(a.key)

        class Waiting(Seen):
            def now(self, state: State) -> None:
                super().now(state)
                if state.elsewhere:
                    assert not asked
                    if ends == "without any":
                        other.release(a.key)
                    else:
                        other.keep(a.key, result("failed" if ends == "with a verdict" else "error"))

        seen = Waiting()
        Run([*tasks(*"ab")], journal, seen, pool=FakePool(lambda: FakeWorker(answer)), lost=lost).go(60)
    assert dict(seen.verdicts) == {"a": "failed" if ends == "with a verdict" else "passed", "b": "passed"}
    assert asked == (["b"] if ends == "with a verdict" else ["b", "a"])


def test_a_fault_of_ours_is_tried_again(journal: Journal) -> None:
    tries: Counter[str] = Counter()

    def answer(name: str) -> dict[str, Any]:
        tries[name] += 1
        return result("error" if name == "a" and tries[name] < 3 else "passed")

    seen, _ = graded(journal, answer, *"abc")
    assert sorted(seen.verdicts) == [("a", "passed"), ("b", "passed"), ("c", "passed")]
    assert tries == {"a": 3, "b": 1, "c": 1}


def test_one_that_stays_is_left_as_an_error_and_the_others_go_on(journal: Journal) -> None:
    tries: Counter[str] = Counter()

    def answer(name: str) -> dict[str, Any]:
        tries[name] += 1
        return result("error" if name == "a" else "passed")

    seen, _ = graded(journal, answer, *"abcdef")
    assert dict(seen.verdicts)["a"] == "error"
    assert [status for name, status in seen.verdicts if name != "a"] == ["passed"] * 5
    assert tries["a"] == 3


def test_an_authors_error_is_not_tried_again(journal: Journal) -> None:
    tries: Counter[str] = Counter()

    def answer(name: str) -> dict[str, Any]:
        tries[name] += 1
        return result("error") | {"problem": {"what": "a rubric", "fault": "author"}}

    graded(journal, answer, *"abcdef")
    assert set(tries.values()) == {1}


def test_many_in_a_row_pause_the_run_until_one_works(journal: Journal) -> None:
    asked: list[str] = []

    def answer(name: str) -> dict[str, Any]:
        asked.append(name)
        return result("error", "the engine is gone") if len(asked) < 12 else result("passed")

    seen, _ = graded(journal, answer, *"abcdefgh", jobs=2)
    assert seen.pauses == ["", "the engine is gone", ""]
    assert sorted(seen.verdicts) == [(name, "passed") for name in "abcdefgh"], "none has lost its turn to the outage"


def test_a_pause_ends_when_patience_does(journal: Journal) -> None:
    seen, _ = graded(journal, lambda _: result("error", "disk full"), *"abcdefgh", jobs=2, patience=0.05)
    assert sorted(seen.verdicts) == [(name, "error") for name in "abcdefgh"]
    kept = journal.result(tasks("h")[0].key)
    assert kept is not None
    assert kept["problem"]["what"] == "disk full"


def test_a_worker_that_dies_is_replaced_and_its_work_done(journal: Journal) -> None:
    died: list[str] = []

    def answer(name: str) -> dict[str, Any] | None:
        if name == "b" and not died:
            died.append(name)
            return None
        return result("passed")

    seen, started = graded(journal, answer, *"abc")
    assert sorted(seen.verdicts) == [("a", "passed"), ("b", "passed"), ("c", "passed")]
    assert len(started) == 2


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_ends_what_runs_and_twice_drops_it(journal: Journal, times: int) -> None:
    calls: list[str] = []

    def answer(name: str) -> dict[str, Any]:
        calls.append(name)
        if len(calls) <= times:
            raise KeyboardInterrupt
        return result("passed")

    # A worker that was interrupted while it was asked is asked again.
    started: list[FakeWorker] = []
    seen = Seen()

    class Patient(FakeWorker):
        def take(self) -> Done:
            return super().take()

    def start() -> FakeWorker:
        started.append(Patient(answer))
        return started[-1]

    with pytest.raises(KeyboardInterrupt):
        Run(tasks(*"abc"), journal, seen, pool=FakePool(start), lost=lost).go(60)
    assert len(seen.verdicts) == (1 if times == 1 else 0), "what runs is ended; nothing more is begun"
    assert started[0].ends == ["interrupted", "ended", "joined"]


# --- when it is not the submissions -----------------------------------------------------------------------------------


def test_nothing_is_begun_while_there_is_no_room_and_then_all_is_graded(journal: Journal) -> None:
    asked: list[str] = []
    looks = iter(["", "the disk is full", "the disk is full", ""])

    def answer(name: str) -> dict[str, Any]:
        asked.append(name)
        return result("passed")

    seen = Seen()
    pool = FakePool(lambda: FakeWorker(answer))
    found = Run(tasks(*"abc"), journal, seen, pool=pool, lost=lost, space=lambda: next(looks, ""))
    found.go(60)
    assert seen.pauses == ["", "the disk is full", ""]
    assert asked == ["a", "b", "c"]


def test_a_disk_that_stays_full_ends_a_run_when_patience_does(journal: Journal) -> None:
    seen = Seen()
    pool = FakePool(lambda: FakeWorker(lambda _: result("passed")))
    Run(tasks(*"ab"), journal, seen, pool=pool, lost=lost, space=lambda: "the disk is full").go(0.05)
    assert sorted(seen.verdicts) == [("a", "error"), ("b", "error")]
    kept = journal.result(tasks("b")[0].key)
    assert kept is not None
    assert kept["problem"]["what"] == "the disk is full"


@pytest.mark.parametrize("plain", [False, True])
def test_what_moves_on_a_terminal_is_left_out_for_a_screen_reader(
    monkeypatch: pytest.MonkeyPatch, *, plain: bool
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", shown)
    watcher = RunView(plain=plain)
    watcher.begin(3, 4, 6)
    watcher.now(State(2, 1, ""))
    first, _, rest = shown.getvalue().partition("\n")
    assert first == "3 submissions to grade; 1 has a verdict already; 2 more have the same files as one of these"
    assert ("2 running" in rest, "\x1b" in rest) == ((False, False) if plain else (True, True))

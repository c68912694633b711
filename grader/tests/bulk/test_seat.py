"""What becomes of a submission that a cluster loses, drops or cannot take: a scheduler that is made, to see it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from grader.bulk import cluster, remote
from grader.bulk.cluster import Cluster
from grader.bulk.crew import Member
from grader.bulk.learner import Handed
from grader.bulk.pool import Bounds, Job
from grader.checks import types
from grader.course import rubric as rubrics
from grader.course.exercise import find_course, resolve
from grader.tests.cli.programs import RUBRIC, course

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PASSED: dict[str, Any] = {"status": "passed", "checks": [], "problem": None}
OURS: dict[str, Any] = {"status": "error", "checks": [], "problem": {"what": "x", "fault": "infrastructure"}}


class Future:
    def __init__(self) -> None:
        self.state = "pending"
        self.answers: list[Any] = []

    def done(self) -> bool:
        return self.state != "pending"

    def cancelled(self) -> bool:
        return self.state == "cancelled"

    def cancel(self) -> None:
        self.state = "cancelled"

    def add_done_callback(self, _call: Callable[..., None]) -> None:
        """Nobody waits here."""

    def result(self, timeout: float) -> Any:
        assert timeout > 0
        found = self.answers.pop(0)
        if isinstance(found, BaseException):
            raise found
        return found

    def answer(self, *answers: Any) -> None:
        self.state, self.answers = "finished", list(answers)


class Place:
    """A cluster of the workers ``a`` and ``b``, and a submission that can be handed to it."""

    def __init__(self, root: Path) -> None:
        exercises, folder = course(root, RUBRIC, "FROM scratch\n")
        exercise = resolve(find_course(exercises), "1")
        self.sent: list[Future] = []
        self.to: list[list[str]] = []
        self.doubted: list[str] = []
        self.crew = SimpleNamespace(fit={}, present={}, refused={}, away="", bases=(), doubt=self.doubted.append)
        self.there("a", "b")
        work = remote.pack(exercise.path, (), Bounds())
        asked = (exercise, rubrics.load(exercise.rubric_path, types()))
        crew: Any = self.crew
        scheduler: Any = SimpleNamespace(submit=self.submit)
        self.cluster = Cluster(scheduler, crew, work, asked, None)
        self.seat = self.cluster.start()
        self.job = Job("ada", Handed("ada", str(folder)))

    def there(self, *names: str) -> None:
        self.crew.fit = self.crew.present = {name: Member(name, 1) for name in names}

    def submit(
        self, addresses: list[str], _function: Any, _digest: str, name: str, files: Any, _ignored: Any
    ) -> Future:
        assert name == "ada"
        assert files == {"Dockerfile": (b"FROM scratch\n", False)}
        self.to.append(addresses)
        self.sent.append(Future())
        return self.sent[-1]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_it_is_sent_to_those_who_may_and_comes_back(place: Place) -> None:
    place.seat.begin(place.job)
    assert not place.seat.ready()
    assert place.to == [["a", "b"]]
    place.sent[0].answer(("a", PASSED))
    assert place.cluster.wait([place.seat], 1) == [place.seat]
    assert place.seat.take().result == PASSED
    assert place.doubted == []


def test_who_has_met_a_fault_of_ours_or_lost_the_exercise_is_doubted(place: Place) -> None:
    for number, found in enumerate((OURS, None)):
        place.seat.begin(place.job)
        place.sent[number].answer(("a", found))
        assert place.seat.ready()
        assert place.seat.take().result == found
        assert place.doubted == ["a"] * (number + 1)


def test_ctrl_c_while_it_is_asked_loses_nothing(place: Place) -> None:
    place.seat.begin(place.job)
    place.sent[0].answer(KeyboardInterrupt(), ("a", PASSED))
    assert place.seat.ready()
    with pytest.raises(KeyboardInterrupt):
        place.seat.take()
    assert place.seat.ready()
    assert place.seat.take().result == PASSED
    assert len(place.sent) == 1


def test_ctrl_c_while_it_is_begun_loses_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cluster, "collected", interrupted)
        with pytest.raises(KeyboardInterrupt):
            place.seat.begin(place.job)
    assert not place.seat.ready()
    assert len(place.sent) == 1


def test_when_all_who_might_grade_it_are_gone_it_is_sent_to_others(place: Place) -> None:
    place.seat.begin(place.job)
    place.there("c")
    assert not place.seat.ready()
    assert place.sent[0].cancelled(), "what comes of it there counts for nothing"
    assert place.to == [["a", "b"], ["c"]]
    place.there("b", "c")
    assert not place.seat.ready()
    assert len(place.sent) == 2


def test_what_a_lost_scheduler_had_is_sent_again_but_not_for_ever(place: Place) -> None:
    place.seat.begin(place.job)
    for _ in range(2):
        place.sent[-1].cancel()
        assert not place.seat.ready()
    place.sent[-1].cancel()
    assert place.seat.ready()
    assert len(place.sent) == 3
    done = place.seat.take()
    assert (done.result, done.why) == (None, "no worker of the cluster can grade")


def test_when_nobody_may_it_is_told_why(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.there()
    place.seat.begin(place.job)
    assert not place.seat.ready()
    assert place.cluster.room == 1
    monkeypatch.setattr(cluster, "NOBODY", 0.0)
    place.crew.refused = {"a": "no engine"}
    assert place.seat.ready()
    done = place.seat.take()
    assert (done.result, done.why) == (None, "no worker of the cluster can grade: a (no engine)")


def test_workers_that_die_over_it_are_no_verdict(place: Place) -> None:
    place.seat.begin(place.job)
    place.sent[0].answer(TimeoutError("gone"))
    assert place.seat.ready()
    assert place.seat.take().result is None


def test_what_is_refused_before_it_is_sent_is_a_verdict_without_its_place(place: Place, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    place.seat.begin(Job("eve", Handed("eve", str(tmp_path / "nothing"))))
    assert place.seat.ready()
    result = place.seat.take().result
    assert result is not None
    assert (result["status"], result["score"]) == ("failed", 0)
    assert place.sent == []
    assert str(tmp_path) not in str(result)

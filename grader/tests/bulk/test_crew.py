"""Which workers may grade: cast of fakes, since the tests' own workers are all alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import grader
from grader.bulk import crew, remote
from grader.bulk.crew import Crew, Member
from grader.bulk.pool import Bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

WORK = remote.Exercise("01-tiny", "digest", {}, ("python:3.11",), Bounds())
FACTS = {"grader": grader.__version__, "dask": remote.dask(), "platform": "linux/amd64", "trouble": ""}
BASE = {"reference": "python:3.11", "id": "sha256:1", "stand_in": False, "content": "layers"}
READY = {"trouble": "", "bases": [BASE]}


class Fakes:
    """Workers by their names; ``facts`` and ``ready`` are what they answer, and ``sent`` who got the exercise."""

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        self.ready: dict[str, Any] = {}
        self.sent: list[str] = []
        self.asked: list[str] = []
        self.told: list[str] = []

    def crew(self) -> Crew:
        return Crew(lambda: {name: Member(name, 2) for name in self.facts}, self.ask, WORK, self.told.append)

    def ask(self, names: Sequence[str], function: Callable[..., Any], *arguments: Any) -> Mapping[str, Any]:
        if function is remote.facts:
            assert arguments == (), "nothing is sent to whom nothing is known of"
            self.asked += names
            return {name: self.facts[name] for name in names}
        assert arguments == (WORK,)
        self.sent += names
        return {name: self.ready.get(name, READY) for name in names}


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (FACTS | {"grader": "0.0.7"}, "it has version 0.0.7 of the grader, here it is"),
        (FACTS | {"dask": "1.2.3"}, "it has Dask 1.2.3, here it is"),
        (FACTS | {"platform": "linux/arm64"}, "its engine is of linux/arm64, most others are of linux/amd64"),
        (FACTS | {"trouble": "No container engine answers. Start it"}, "No container engine answers. Start it"),
        (Exception("ModuleNotFoundError(\"No module named 'grader.bulk'\")"), "it has no grader, or another than"),
        (ValueError("odd"), "it cannot be asked: odd"),
    ],
)
def test_who_would_grade_otherwise_is_refused_by_name_before_anything_is_sent(other: Any, why: str) -> None:
    fakes = Fakes(lab1=FACTS, odd=other, lab2=FACTS)
    found = fakes.crew()
    found.look()
    assert sorted(found.fit) == ["lab1", "lab2"]
    assert sorted(fakes.sent) == ["lab1", "lab2"]
    assert [line for line in fakes.told if line.startswith(f"worker odd is refused: {why}")] != []
    assert found.refused["odd"].startswith(why)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"trouble": "There is no check type `ours`", "bases": []}, "There is no check type `ours`"),
        (READY | {"bases": [BASE | {"content": "other"}]}, "its python:3.11 is another image than most others have"),
        (READY | {"bases": [BASE | {"stand_in": True}]}, "its python:3.11 is another image than most others have"),
    ],
)
def test_who_cannot_be_made_ready_is_refused(other: Any, why: str) -> None:
    fakes = Fakes(lab1=FACTS, odd=FACTS, lab2=FACTS)
    fakes.ready["odd"] = other
    found = fakes.crew()
    found.look()
    assert sorted(found.fit) == ["lab1", "lab2"]
    assert found.refused["odd"].startswith(why)
    assert [base.id for base in found.bases] == ["sha256:1"]


def test_the_same_image_in_another_store_is_the_same() -> None:
    fakes = Fakes(lab1=FACTS, lab2=FACTS)
    fakes.ready["lab2"] = READY | {"bases": [BASE | {"id": "sha256:0"}]}
    found = fakes.crew()
    found.look()
    assert sorted(found.fit) == ["lab1", "lab2"]
    assert [base.id for base in found.bases] == ["sha256:0"], "whoever answered first"


def test_a_newcomer_is_asked_and_one_that_went_gets_nothing() -> None:
    fakes = Fakes(lab1=FACTS)
    found = fakes.crew()
    found.look()
    fakes.facts = {"late": FACTS, "arm": FACTS | {"platform": "linux/arm64"}}
    found.look()
    assert sorted(found.fit) == ["late"]
    assert fakes.told[1:3] == [
        "worker lab1 is gone; what it was at is graded elsewhere",
        "worker arm is refused: its engine is of linux/arm64, most others are of linux/amd64",
    ]
    found.look()
    assert fakes.asked == ["lab1", "late", "arm"], "nobody is asked at every look"


def test_who_has_met_a_fault_of_ours_is_asked_before_it_gets_more(monkeypatch: pytest.MonkeyPatch) -> None:
    fakes = Fakes(lab1=FACTS, lab2=FACTS)
    found = fakes.crew()
    found.look()
    found.doubt("lab1")
    assert sorted(found.fit) == ["lab2"]
    found.look()
    assert sorted(found.fit) == ["lab1", "lab2"], "a passing fault"
    fakes.facts["lab1"] = FACTS | {"trouble": "No container engine answers"}
    found.doubt("lab1")
    found.look()
    assert sorted(found.fit) == ["lab2"]
    assert fakes.told[-1] == "worker lab1 is refused: No container engine answers"
    # Somebody mends it.
    fakes.facts["lab1"] = FACTS
    monkeypatch.setattr(crew, "AGAIN", 0.0)
    found.look()
    assert sorted(found.fit) == ["lab1", "lab2"]
    assert (fakes.told[-1], found.refused) == ("worker lab1 grades", {})


def test_one_that_goes_while_it_is_asked_is_not_refused() -> None:
    fakes = Fakes(lab1=FACTS, going=OSError("Timed out"))
    found = fakes.crew()
    found.look()
    assert sorted(found.fit) == ["lab1"]
    assert found.refused == {}

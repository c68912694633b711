"""An app on a machine that is overloaded, and one that is slow by itself: the kernel tells them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.engine.faults import starved
from grader.engine.faults.refusal import AppError
from grader.engine.running.app import Options
from grader.engine.sandbox import Sandbox
from grader.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

    from grader.tests.engine.building import Workshop

SECOND = 10**9


@pytest.mark.parametrize(
    ("threads", "waited"),
    [
        ([(0, 0)], None),
        ([(1, 2)], None),
        ([(1, 9)], 9.0),
        ([(1, 5), (0, 1)], 5.0),
        # Busy by itself: many threads on the one processor that a container has.
        ([(5, 5), (5, 5)], None),
        ([(2, 8)] * 5, None),
        ([], None),
    ],
)
def test_who_waited_and_hardly_ran_was_kept_waiting(
    tmp_path: Path, threads: list[tuple[int, int]], waited: float | None
) -> None:
    for number, (ran, wait) in enumerate(threads):
        folder = tmp_path / f"7/task/{number}"
        folder.mkdir(parents=True)
        (folder / "schedstat").write_text(f"{ran * SECOND} {wait * SECOND} 12\n")
    assert starved.of([7, 8], 10.0, str(tmp_path)) == waited


def test_an_app_that_sleeps_is_slow_by_itself_and_one_without_time_is_not(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = workshop.image('FROM debian:bookworm-slim\nCMD ["sleep", "600"]\n')
    box = Sandbox(workshop.engine, workshop.run.labels, ["python:3.11-slim"])
    asked: list[list[int]] = []
    real = starved.of

    def starving(pids: list[int], within: float) -> float | None:
        asked.append(list(pids))
        return real(pids, within) if len(asked) == 1 else within

    monkeypatch.setattr(starved, "of", starving)
    try:
        with pytest.raises(AppError, match="does not listen"):
            box.start(image.id, Options(5000, within=0.5))
        if not workshop.engine.local:
            pytest.skip("its processes are not this machine's to look at")
        with pytest.raises(EngineError, match="gave it no time") as told:
            box.start(image.id, Options(5000, within=0.5))
    finally:
        box.close()
    assert not isinstance(told.value, AppError)
    assert all(asked), "it looks at the app's own processes"

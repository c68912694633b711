"""`--require-fences`: nothing is graded where builds are not bounded, here or on a cluster."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from grader.bulk import remote
from grader.bulk.one import Grader
from grader.bulk.pool import Bounds, Setting
from grader.engine import connect, fences, unfenced
from grader.engine.fences import Fence
from grader.errors import EngineError, ExitCode
from grader.tests.bulk.test_class import classroom
from grader.tests.cli.programs import run
from grader.tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

LACKING = (
    Fence("build memory", present=False, text="nobody bounds it", fix="Use another engine."),
    Fence("build disk", present=False, text="the disk is shared", fix="Use another engine."),
)


@pytest.fixture
def elsewhere(engine: Engine) -> Iterator[str]:
    """The engine by a road of which nobody knows where it leads: it is not the grader's own there."""
    with (
        tempfile.TemporaryDirectory(prefix="g-") as folder,
        Proxy(Path(folder) / "engine.sock", engine.endpoint, b"") as proxy,
    ):
        yield proxy.endpoint


def test_an_engine_without_fences_grades_nobody(elsewhere: str, tmp_path: Path) -> None:
    exercises, place = classroom(tmp_path)
    out = tmp_path / "out"
    command = ("bulk", "1", str(place), "--course", str(exercises), "--out", str(out), "--require-fences")
    done = run("grader", *command, env={"DOCKER_HOST": elsewhere})
    assert done.returncode == ExitCode.INFRASTRUCTURE
    assert "The engine lacks what fences strangers' work in: build memory, build processes, build disk" in done.stderr
    assert "grader engine start" in done.stderr
    assert not out.exists(), "something was begun"

    clustered = run("grader", *command, "--cluster", "local:1", env={"DOCKER_HOST": elsewhere})
    assert clustered.returncode == ExitCode.INFRASTRUCTURE
    assert "is refused: The engine lacks what fences strangers' work in: build memory" in clustered.stderr
    assert not (out / "gradebook.csv").exists()


def test_what_is_missing_is_told_with_its_mending(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fences, "missing", lambda _: LACKING)
    with pytest.raises(EngineError) as caught:
        unfenced.require(engine)
    assert caught.value.what.endswith(": build memory, build disk")
    assert caught.value.fix == "Use another engine."
    assert caught.value.log == ("build memory: nobody bounds it", "build disk: the disk is shared")
    assert unfenced.names(engine) == ("build memory", "build disk")
    monkeypatch.setattr(fences, "missing", lambda _: ())
    unfenced.require(engine)


def test_an_engine_that_took_the_others_place_is_looked_at_too(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exercises, place = classroom(tmp_path)
    monkeypatch.setattr(fences, "missing", lambda _: LACKING)
    monkeypatch.setattr(connect, "connect", lambda: engine)
    grader = Grader(Setting(exercises / "01-tiny", Bounds(stand_ins=True, fenced=True)))
    result = grader.grade_folder("ada", place / "ada")
    assert (result["status"], result["score"]) == ("error", None)
    assert "build memory, build disk" in result["problem"]["what"]


def test_a_worker_holds_its_engine_to_it(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exercises, _ = classroom(tmp_path)
    monkeypatch.setattr(connect, "connect", lambda: engine)
    monkeypatch.setattr(fences, "missing", lambda _: LACKING)
    work = remote.pack(exercises / "01-tiny", (), Bounds(stand_ins=True, fenced=True))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    assert "build memory, build disk" in remote._prepare(work, scratch)["trouble"]
    assert list(scratch.iterdir()) == [], "it got the exercise"
    assert remote._prepare(replace(work, bounds=Bounds(stand_ins=True)), scratch)["trouble"] == ""

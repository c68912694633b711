"""The benchmarks run; how fast they are is not for a test on a noisy machine to say."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from grader.benchmarks import bulk, scan
from grader.course.exercise import find_course, resolve

if TYPE_CHECKING:
    from pathlib import Path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grader.benchmarks", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_list_benchmark_tells_both_medians() -> None:
    done = run("list", "1")
    assert done.returncode == 0, done.stderr
    assert "grader list" in done.stdout
    assert "python -c pass" in done.stdout


@pytest.mark.usefixtures("engine")
def test_the_single_benchmark_tells_a_ratio_or_what_it_needs() -> None:
    done = run("single", "1")
    assert (done.returncode == 0 and "ratio of the medians" in done.stdout) or "needs a docker client" in done.stderr


@pytest.mark.usefixtures("engine")
def test_the_watch_benchmark_tells_its_ratios_or_what_it_needs() -> None:
    done = run("watch", "1")
    told = done.stdout.count("ratio of the medians") == 2 and "save to structure" in done.stdout
    assert (done.returncode == 0 and told) or "This benchmark needs" in done.stderr, done.stderr


@pytest.mark.usefixtures("engine")
def test_the_scan_benchmark_tells_its_ratios_or_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scan, "IMAGE", "debian:bookworm-slim")
    code = scan.main(1)
    told = capsys.readouterr()
    assert (code == 0 and "layers / bare save" in told.out) or "needs dive" in told.err


def test_an_unknown_benchmark_is_refused() -> None:
    done = run("nothing")
    assert done.returncode == 2
    assert "usage" in done.stderr


def test_of_the_bulk_benchmarks_class_a_third_is_the_same(tmp_path: Path) -> None:
    course = find_course()
    assert course.solutions is not None
    exercise = resolve(course, "multi-stage-builds")
    place = bulk._handed_in(exercise, course.solutions / exercise.id, tmp_path / "in", 9)
    texts = [(learner / "Dockerfile").read_text() for learner in sorted(place.iterdir())]
    parts = [text.partition("AS runtime") for text in texts]
    assert len(set(texts)) == 7
    assert len({builder for builder, _, _ in parts}) == 4
    assert len({final for _, _, final in parts}) == 4

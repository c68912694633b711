"""The benchmarks run; how fast they are is not for a test on a noisy machine to say."""

from __future__ import annotations

import subprocess
import sys

import pytest

from grader.benchmarks import scan


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

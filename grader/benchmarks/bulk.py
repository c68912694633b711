"""A class of the flagship, graded by `grader bulk` beside a shell loop of the same steps, one learner after the other.

A third hand in the solution as it is. A third have a line of their own in the final stage, so that the packages are
installed again for each of them. A third have one in the builder, before the packages are compiled: the dearest place,
for nothing of the compiler's work can be shared, here or in the loop. The loop's steps are those of the benchmark
`single`. Both begin with an engine that has built the solution once and none of the others: a number in each Dockerfile
is new in every run. Goals: at least 4 times the loop's throughput on two cores, at most 300 MB for the process; with 10
times the class the time grows with it.

`cores busy` is the whole machine's, others' work included. Where it is close to all of them, there is nothing left to
be gained but by building less. `at best` is what a grader could reach that cost nothing itself, built what is identical
once, and kept every core busy with what the loop did for the others: no more than that can be had from this machine.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grader.benchmarks.single import SCRIPT, needed
from grader.submission.collect import collect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grader.course.exercise import Exercise

CLASS = 60
RATIO, MEMORY = 4.0, 300
_THIRDS = ("identical", "own final stage", "own builder")
_FINAL, _BUILDER = "WORKDIR /app\n", "COPY requirements.txt .\n"


@dataclass
class Busy:
    """Seconds of a time, and those that all cores worked in it together; 0 where the system does not tell."""

    took: float = 0.0
    worked: float = 0.0

    def __str__(self) -> str:
        return f"; cores busy {self.worked / self.took:.1f} of {os.cpu_count()}" if self.worked else ""


def main(size: int, *, ten_times: bool = False) -> int:
    """Prints the table; with ``ten_times`` also of a class of 10 times the size, which the loop is spared."""
    found = needed()
    if found is None:
        return 2
    docker, engine, exercise, solution = found
    env = os.environ | {
        "DOCKER_BUILDKIT": "1",
        "DOCKER_HOST": engine.endpoint,
        "IMAGE": "grader-benchmark",
        "PATH": f"{Path(docker).parent}{os.pathsep}{os.environ['PATH']}",
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        _loop(exercise, _handed_in(exercise, solution, root / "warm", 1), env)
        with _busy() as loops:
            each = _loop(exercise, _handed_in(exercise, solution, root / "loop", size), env)
        loop = sum(each)
        place = _handed_in(exercise, solution, root / "bulk", size)
        with _busy() as our:
            ours, memory = _bulk(exercise, place, env)
        print(f"engine: {engine.name} {engine.version}, {engine.endpoint}; {os.cpu_count()} cores")
        print(f"shell loop    {size:5} submissions  {loop:7.1f} s  {60 * size / loop:6.1f} a minute")
        print(f"{_spread(each)}{loops}")
        print(_thirds(each))
        print(f"grader bulk   {size:5} submissions  {ours:7.1f} s  {60 * size / ours:6.1f} a minute")
        print(f"{_spread(list(_durations(root / 'bulk-out').values()))}{our}")
        print(_thirds(_by_learner(root / "bulk-out")))
        print(f"throughput, bulk / loop      {loop / ours:6.2f}   (goal: at least {RATIO:g} on two cores)")
        print(_at_best(each, loops))
        print(f"memory of the process        {memory[0]:6.0f} MB   (goal: at most {MEMORY})")
        print(f"with its workers             {memory[1]:6.0f} MB")
        if ten_times:
            more, memory = _bulk(exercise, _handed_in(exercise, solution, root / "ten", 10 * size), env)
            print(f"grader bulk   {10 * size:5} submissions  {more:7.1f} s  {600 * size / more:6.1f} a minute")
            print(f"time, 10 times as many       {more / ours:6.2f}   (10 is linear), {memory[0]:.0f} MB")
    return 0


def _spread(each: Sequence[float]) -> str:
    """One that hung on a network or on an engine that others use is no throughput: it shows here."""
    return f"  of which a submission took {statistics.median(each):.1f} s (median), {max(each):.1f} s (the slowest)"


def _thirds(each: Sequence[float]) -> str:
    """The thirds side by side: where the time goes, and what is shared."""
    told = (f"{name} {statistics.mean(each[place::3]):.1f} s" for place, name in enumerate(_THIRDS) if each[place::3])
    return f"  on average: {', '.join(told)}"


def _by_learner(out: Path) -> list[float]:
    """Seconds that each learner took; of those who share a grading all but one took none."""
    left = dict(_durations(out))
    results = (json.loads(path.read_text(encoding="utf-8")) for path in sorted((out / "results").glob("*.json")))
    return [left.pop(result["submission"]["digest"], 0.0) for result in results]


def _durations(out: Path) -> Mapping[str, float]:
    """Seconds of each grading, by what was graded; learners who handed in the same share one."""
    results = [json.loads(path.read_text(encoding="utf-8")) for path in (out / "results").glob("*.json")]
    return {result["submission"]["digest"]: result["duration"] for result in results}


def _at_best(each: Sequence[float], loop: Busy) -> str:
    """What the cores could do at most, if they did what they did for the loop, and of the identical third one alone."""
    if not loop.worked:
        return "at best                      cannot be told here"
    needed = loop.worked * (sum(each) - sum(each[3::3])) / sum(each)
    return f"at best                      {sum(each) / (needed / (os.cpu_count() or 1)):6.2f}"


@contextmanager
def _busy() -> Iterator[Busy]:
    """What is told when the block is over."""
    began, worked, told = time.perf_counter(), _worked(), Busy()
    yield told
    told.took, told.worked = time.perf_counter() - began, _worked() - worked


def _worked() -> float:
    """Seconds that all cores have worked since the machine was started (proc(5), `/proc/stat`); 0 but on Linux."""
    try:
        first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    except OSError:
        return 0.0
    user, nice, system, _idle, _waiting, interrupts, soft = map(int, first[1:8])
    return (user + nice + system + interrupts + soft) / os.sysconf("SC_CLK_TCK")


def _handed_in(exercise: Exercise, solution: Path, place: Path, size: int) -> Path:
    """A class: each in a folder of its own."""
    number = secrets.token_hex(8)
    for index in range(size):
        folder = place / f"learner-{index:04}"
        shutil.copytree(solution, folder, ignore=shutil.ignore_patterns("broken"))
        dockerfile = folder / "Dockerfile"
        text, line = dockerfile.read_text(encoding="utf-8"), f"RUN echo {number}-{index}\n"
        after = ("", _FINAL, _BUILDER)[index % 3]
        assert after in text, f"{exercise.id}: its solution is another one now"
        dockerfile.write_text(text.replace(after, after + line) if after else text, encoding="utf-8")
    return place


def _loop(exercise: Exercise, place: Path, env: Mapping[str, str]) -> list[float]:
    """Seconds of the script for each of a class; the contexts are made before, and no file is where none was."""
    contexts = []
    for learner in sorted(place.iterdir()):
        context = place.with_name(f"{place.name}-contexts") / learner.name
        for name, file in collect(exercise.starter, learner, ["Dockerfile", ".dockerignore"]).files.items():
            path = context / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
        contexts.append(context)
    took = []
    for context in contexts:
        began = time.perf_counter()
        done = subprocess.run(
            ["sh", "-c", SCRIPT], env={**env, "CONTEXT": str(context)}, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SystemExit(f"The script ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        took.append(time.perf_counter() - began)
    return took


def _bulk(exercise: Exercise, place: Path, env: Mapping[str, str]) -> tuple[float, tuple[float, float]]:
    """Seconds of the whole command, and megabytes at most: of its process, and with those of its workers."""
    command = [sys.executable, "-c", "from grader.__main__ import main; main()", "bulk", exercise.id, str(place)]
    command += ["--out", str(place.with_name(f"{place.name}-out")), "--yes"]
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peaks: dict[int, float] = {}
    over = threading.Event()
    watch = threading.Thread(target=_watch, args=(process.pid, peaks, over))
    watch.start()
    said, _ = process.communicate()
    took = time.perf_counter() - began
    over.set()
    watch.join()
    if process.returncode != 0:
        raise SystemExit(f"grader bulk ended with {process.returncode}:\n{said}")
    return took, (peaks.get(process.pid, 0.0), sum(peaks.values()))


def _watch(process: int, peaks: dict[int, float], over: threading.Event) -> None:
    """Linux's own record of the most memory that a process and its children had, in megabytes; else nothing."""
    while not over.wait(0.2):
        found = [process]
        for thread in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += map(int, thread.read_text().split())
            except OSError:
                continue
        for each in found:
            try:
                status = dict(line.split(":", 1) for line in Path(f"/proc/{each}/status").read_text().splitlines())
                peaks[each] = max(peaks.get(each, 0.0), int(status["VmHWM"].split()[0]) / 1024)
            except (OSError, KeyError):
                continue

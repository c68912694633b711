"""One command, in a container of its own or in the app's: its end, its output, its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError

from grader.engine import fences
from grader.engine.faults import refusal
from grader.engine.faults.refusal import AppError, cannot_be_called
from grader.engine.running.app import App, Options
from grader.engine.running.run import Command, Finished, _Output, _state_at_end
from grader.engine.sandbox import Sandbox
from grader.errors import EngineError

if TYPE_CHECKING:
    from grader.engine.connect import Engine
    from grader.tests.engine.building import Workshop

IMAGE = "python:3.11-slim"
SERVER = """\
import http.server, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.ThreadingHTTPServer(("0.0.0.0", 5000), Handler).serve_forever()
"""
DOCKERFILE = f'FROM {IMAGE}\nCOPY s.py /\nENTRYPOINT ["python3", "/s.py"]\n'

Run = Callable[..., Finished]


@pytest.fixture(params=["image", "app", "app elsewhere"])
def run(request: pytest.FixtureRequest, workshop: Workshop) -> Iterator[Run]:
    """Runs a command in each of the places where one can run."""
    image = workshop.image(DOCKERFILE, {"s.py": SERVER})
    engine = workshop.engine if "elsewhere" not in request.param else replace(workshop.engine, local=False)
    box = Sandbox(engine, workshop.run.labels, [IMAGE])
    if request.param == "image":
        yield lambda *args, **options: box.run(image.id, Command(args, **options))
    else:
        app = box.start(image.id, Options(5000))
        yield lambda *args, **options: app.run(args, **options)
    box.close()
    assert not engine.client.containers(all=True, filters={"label": f"grader.run={workshop.run.id}"})


def test_how_a_command_ends(run: Run) -> None:
    done = run("sh", "-c", "echo out; echo err >&2; exit 4")
    assert (done.exit_code, done.stdout, done.stderr, done.refused) == (4, b"out\n", b"err\n", "")
    assert done.elapsed > 0


def test_what_cannot_be_called(run: Run) -> None:
    missing, folder = run("nosuch"), run("/etc")
    assert (missing.exit_code, missing.refused, missing.stdout + missing.stderr) == (
        127, "`nosuch` does not exist in the image", b"")  # fmt: skip
    assert (folder.exit_code, folder.refused) == (126, "`/etc` may not be executed")


def test_who_prints_that_it_cannot_be_called_was_called(run: Run) -> None:
    lie = 'OCI runtime exec failed: exec failed: exec: "x": executable file not found in $PATH'
    done = run("sh", "-c", f"echo '{lie}'; exit 126")
    assert (done.exit_code, done.refused, done.stdout.decode().strip()) == (126, "", lie)


def test_user_folder_and_environment(run: Run) -> None:
    done = run("sh", "-c", "id -u; pwd; echo $A", user="33", workdir="/tmp", env={"A": "b c"})
    assert done.stdout == b"33\n/tmp\nb c\n"


def test_the_time_is_kept_and_nothing_goes_on(run: Run) -> None:
    done = run("sh", "-c", "echo before; sleep 987 & sleep 987", within=0.7)
    assert (done.exit_code, done.stdout) == (None, b"before\n")
    assert 0.7 <= done.elapsed < 987
    assert b"987" not in run("sh", "-c", "cat /proc/[0-9]*/cmdline").stdout.replace(b"[", b"")


def test_a_command_that_says_nothing_more_is_waited_for(run: Run) -> None:
    done = run("sh", "-c", "exec >&- 2>&-; sleep 0.7; exit 9", within=20.0)
    assert done.exit_code == 9
    assert done.elapsed >= 0.7


def test_what_a_command_leaves_behind_does_not_hold_us_up(run: Run) -> None:
    done = run("sh", "-c", "sleep 987 & echo left", within=200.0)
    # No exit code is known of what was still held to be running when its time was up.
    assert (done.exit_code, done.stdout) == (0, b"left\n")


def test_output_is_bounded_and_read_to_its_end(run: Run) -> None:
    many = "import sys; sys.stdout.write('x' * 3_000_000); sys.stderr.write('done'); sys.exit(5)"
    done = run("python3", "-c", many, limit=1000)
    assert (done.exit_code, done.stdout, done.stdout_cut) == (5, b"x" * 1000, True)
    assert (done.stderr, done.stderr_cut) == (b"done", False)
    exactly = run("python3", "-c", "print('x' * 999)", limit=1000)
    assert (len(exactly.stdout), exactly.stdout_cut) == (1000, False)


def test_the_fences_hold(run: Run) -> None:
    facts = run("sh", "-c", "grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status; ls /sys/class/net; ulimit -Hn").stdout
    lines = [line.split()[-1] for line in facts.decode().splitlines()]
    assert lines == ["0" * 16, "0" * 16, "1", "lo", "4096"]


def test_the_images_entrypoint_gets_the_command_when_asked_for(workshop: Workshop) -> None:
    image = workshop.image(f'FROM {IMAGE}\nENTRYPOINT ["echo", "swallowed"]\nCMD ["default"]\n')
    box = Sandbox(workshop.engine, workshop.run.labels, [])
    assert box.run(image.id, Command(["echo", "x"])).stdout == b"x\n"
    assert box.run(image.id, Command(["true"])).stdout == b""
    assert box.run(image.id, Command(["echo", "x"], entrypoint=True)).stdout == b"swallowed echo x\n"


def test_a_folder_that_no_command_can_be_run_in_is_the_learners(run: Run) -> None:
    with pytest.raises(AppError):
        run("true", workdir="/etc/passwd")


def test_a_user_whom_the_image_does_not_know_is_no_end_of_a_command(run: Run) -> None:
    # Engine 20.10 does not always say why, and then it is nobody's fault that we know of.
    with pytest.raises((AppError, EngineError)):
        run("true", user="nobody-here")


def test_an_app_that_has_ended_can_run_nothing(workshop: Workshop) -> None:
    box = Sandbox(workshop.engine, workshop.run.labels, [])
    app: App = box.start(workshop.image(DOCKERFILE, {"s.py": SERVER}).id, Options(5000))
    workshop.engine.client.kill(app.container)
    for use in (lambda: app.run(["true"]), app.processes):
        with pytest.raises(AppError, match="exit code 137"):
            use()
    box.close()


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        ('exec: "x": executable file not found in $PATH', "`x` does not exist in the image", 127),
        ('exec: "/x": stat /x: no such file or directory: unknown', "`/x` does not exist in the image", 127),
        ('runc: exec: "/x y": permission denied: unknown', "`/x y` may not be executed", 126),
        ('exec: "/x": is a directory: permission denied', "`/x` may not be executed", 126),
        ('exec: "/x": exec format error', "`/x` is no program for this machine", 126),
    ],
)
def test_why_a_program_cannot_be_called(text: str, words: str, code: int) -> None:
    assert cannot_be_called(text) == (words, code)
    assert cannot_be_called("error setting rlimit: operation not permitted") is None
    told = refusal.start_failure(APIError(text, explanation=text))
    assert isinstance(told, AppError)
    assert words in told.what


def test_an_engine_that_cannot_is_not_the_learners(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise APIError("no space left on device", explanation="no space left on device")

    box = Sandbox(workshop.engine, workshop.run.labels, [])
    monkeypatch.setattr(workshop.engine.client, "start", refuse)
    with pytest.raises(EngineError):
        box.run(workshop.image(f"FROM {IMAGE}\n").id, Command(["true"]))
    monkeypatch.undo()
    only = {"label": f"grader.run={workshop.run.id}"}
    assert not workshop.engine.client.containers(all=True, filters=only)


@pytest.mark.parametrize(("name", "mounts"), [("docker", {"/data": ""}), ("podman", {"/data": "", "/run": "ro"})])
def test_podman_is_told_where_not_to_let_it_write(engine: Engine, name: str, mounts: dict[str, str]) -> None:
    told = fences.read_only(replace(engine, name=name), ["/data"])
    assert told["read_only"]
    assert told["tmpfs"].items() >= mounts.items()
    assert ("/tmp" in told["tmpfs"]) == (name == "podman")
    assert fences.read_only(replace(engine, name="podman"), ["/tmp"])["tmpfs"]["/tmp"] == ""


class Slow:
    """An engine that tells these states of an exec, one after the other."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.states = list(states)

    def exec_inspect(self, _run: str) -> dict[str, Any]:
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


NOT_YET = {"Running": False, "Pid": 0, "ExitCode": 0}


class Frames(list[tuple[bytes | None, bytes | None]]):
    within = False

    def close(self) -> None:
        pass


def test_what_has_not_begun_has_not_ended() -> None:
    over = threading.Event()

    class Endless(Frames):
        def __iter__(self) -> Iterator[tuple[bytes | None, bytes | None]]:
            over.wait()
            yield (b"last words", None)

    endless = _Output(Endless(), 10)
    runs = NOT_YET | {"Running": True, "Pid": 7}
    ended = NOT_YET | {"ExitCode": 3}
    assert _state_at_end(Slow(NOT_YET, NOT_YET, runs, ended), "x", endless, time.monotonic() + 20)["ExitCode"] == 3
    with pytest.raises(EngineError, match="did not start"):
        _state_at_end(Slow(NOT_YET), "x", endless, time.monotonic() + 0.3)
    over.set()
    endless.wait(10)
    assert (endless.ended, endless.told().stdout) == (True, b"last words")
    silent = _Output(Frames(), 10)
    assert _state_at_end(Slow(NOT_YET), "x", silent, time.monotonic() + 20) == NOT_YET

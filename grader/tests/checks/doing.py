"""Apps that do what they are told to: end, run commands, have processes, get sick."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grader.engine.running.app import Stopped
from grader.engine.running.namespace import Answer
from grader.engine.running.processes import Process
from grader.engine.running.run import Finished
from grader.tests.checks.fakes import FakeApp, FakeImage, FakeWorkshop, link, program, subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from grader.checks.subject import Subject

APP = Process(1, 0, (1000, 1000, 1000), "/usr/bin/python3.11", ("python", "app.py"), "python", frozenset({15}),
              frozenset({5000}), shell=False)  # fmt: skip
SHELL = replace(APP, program="/usr/bin/dash", args=("sh", "-c", "python app.py"), ports=frozenset(), shell=True,
                handles=frozenset({2}))  # fmt: skip
CHILD = replace(APP, pid=7, parent=1)
ROOT = (0, 0, 0)
PEOPLE = "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n"


def done(code: int | None = 0, stdout: str = "", stderr: str = "", **more: Any) -> Finished:
    return Finished(code, stdout.encode(), stderr.encode(), **{"elapsed": 0.1, **more})


class Doer(FakeApp):
    """An app whose commands end as ``runs`` says, called with the command and whether the app is frozen."""

    def __init__(
        self,
        processes: Sequence[Process] = (APP,),
        stopped: Stopped = Stopped(0, 0.1),  # noqa: B008
        runs: Callable[[Sequence[str], bool], Finished] = lambda *_: done(),
    ) -> None:
        super().__init__(Answer(200))
        self.ran: list[tuple[Sequence[str], dict[str, Any]]] = []
        self.signals: list[tuple[str, float]] = []
        self.frozen = False
        self._processes, self._stopped, self._runs = tuple(processes), stopped, runs

    def processes(self) -> tuple[Process, ...]:
        return self._processes

    def stop(self, signal: str, within: float) -> Stopped:
        self.signals.append((signal, within))
        return self._stopped

    def run(self, args: Sequence[str], **options: Any) -> Finished:
        self.ran.append((args, options))
        return self._runs(args, self.frozen)

    def freeze(self) -> None:
        self.frozen = True

    def thaw(self) -> None:
        self.frozen = False


class DoersWorkshop(FakeWorkshop):
    """Starts one app, and runs commands to one end."""

    def __init__(self, app: Doer, finished: Finished) -> None:
        super().__init__()
        self.app, self.finished = app, finished
        self.started: list[dict[str, Any]] = []
        self.ran: list[tuple[Sequence[str], dict[str, Any]]] = []

    def start_app(self, _image: object, **changes: Any) -> Doer:
        self.started.append(changes)
        return self.app

    def run(self, _image: object, args: Sequence[str], **options: Any) -> Finished:
        self.ran.append((args, options))
        return self.finished


def doing(
    app: Doer | None = None,
    finished: Finished | None = None,
    *,
    dockerfile: str = "FROM base\nCMD python app.py\n",
    config: Mapping[str, Any] | None = None,
    shell: bool = True,
) -> Subject:
    """A submission whose app is ``app`` and whose commands end as ``finished``."""
    app = app or Doer()
    lowest = {"usr/bin/python3.11": program(), "etc/passwd": program()}
    lowest |= {"usr/bin/dash": program(), "bin/sh": link("/usr/bin/dash")} if shell else {}
    image = FakeImage(
        [lowest, {"usr/local/bin/tool": program()}], base=1, content={"etc/passwd": PEOPLE}, config=config
    )
    return subject(image=image, app=app, dockerfile=dockerfile, workshop=DoersWorkshop(app, finished or done()))

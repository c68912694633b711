"""Who are the running app's processes?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from grader.checks import _config as configured
from grader.checks import _hand as hand
from grader.checks._accounts import USERS, Account, accounts, look_up, named
from grader.checks._running import Clock, described, is_init, program
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import Rule, field
from grader.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.checks.subject import Subject
    from grader.engine.running.processes import Process as Running

#: What may follow the name of a program in that of its file: `python` is `python3.11` too.
_VERSION = r"-?\d+(\.\d+)*"
_SHELLS = {"sh", "ash", "bash", "dash", "zsh", "ksh", "mksh", "busybox", "fish"}


class _Fault(NamedTuple):
    got: str
    keywords: tuple[str, ...]


class Process(Check):
    """The running app's processes: whose they are, which one is PID 1, and whether they need a writable root.

    All of it is the kernel's word, read from outside: the users of a process, the file that it runs and the sockets
    that it holds. What it calls itself is not believed. PID 1 is the app when it holds the port that the app answers
    on, whatever language it is written in; a shell that started it does not.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"app"})
    example: ClassVar[str] = """\
- id: runs-well
  check: process
  not_root: true
  app_is_pid_1: true
  init: allowed
  read_only: true
  tmpfs: [/tmp]
  points: 15
"""

    reason: ClassVar[str] = (
        "Signals go to PID 1, and whoever breaks into the app has its user's powers and what it may write to."
    )
    advice: ClassVar[str] = (
        "USER sets who it runs as; CMD in exec form, or `exec` in a start script, lets it be PID 1; "
        "`docker top CONTAINER` shows both."
    )

    looks_at: ClassVar[str] = (
        "The processes of the running app, as the kernel sees them from outside: whose they are, which one is PID "
        "1, which of them holds the port."
    )

    check: Literal["process"]
    user: int | str | None = field(default=None, description="The user of all its processes: a name or a number.")
    not_root: bool = field(default=False, description="No process is root's, or could become root again.")
    app_is_pid_1: bool = field(default=False, description="PID 1 is the app itself, without a shell before it.")
    init: Literal["allowed", "forbidden"] = field(
        default="forbidden", description="Whether a small init, such as tini, may be PID 1 and the app its child."
    )
    pid_1: str | None = field(
        default=None, pattern=r"^[^/\s]+$", description="The file that PID 1 runs: `python` is python3.11 too."
    )
    max_processes: int | None = field(default=None, ge=1, description="How many processes there may be.")
    read_only: bool = field(default=False, description="The app gets ready with a read-only root file system.")
    tmpfs: tuple[Annotated[str, Rule(pattern="^/.")], ...] = field(
        default=(), description="Directories that it may write to all the same, with `read_only`."
    )

    def __post_init__(self) -> None:
        asks = (self.not_root, self.app_is_pid_1, self.pid_1, self.max_processes, self.read_only)
        if self.user is None and not any(asks):
            raise ValueError(
                "process asks for nothing; give it user, not_root, app_is_pid_1, pid_1, max_processes or read_only"
            )
        if self.tmpfs and not self.read_only:
            raise ValueError("tmpfs changes nothing without `read_only: true`; add it, or drop tmpfs")
        if self.init == "allowed" and not self.app_is_pid_1:
            raise ValueError("init changes nothing without `app_is_pid_1: true`; add it, or drop init")

    def run(self, subject: Subject) -> Outcome:
        """Names everything that is not as it should be; the line is that of the first instruction that says so."""
        clock = Clock(self.timeout)
        app = subject.app
        # What was run in the container from outside of it has no parent there.
        seen = [process for process in app.processes() if process.pid == 1 or process.parent]
        faults = [*self._user_faults(subject, seen), *self._first_faults(seen, app.port), *self._count_faults(seen)]
        evidence: dict[str, Any] = {"processes": [_told(process) for process in seen]}
        if self.read_only:
            try:
                subject.start(read_only=True, tmpfs=self.tmpfs, at_most=clock.left())
            except SubmissionError as error:
                faults.append(_Fault(f"with a read-only root file system: {error.what}", ()))
                evidence["log"] = list(error.log)
        if not faults:
            got = f"{described(seen[0])} of user {', '.join(map(str, sorted({p.users[1] for p in seen})))}"
            return passed(expected=self.expectation(), got=got, **evidence)
        lines = (configured.line_of(subject.dockerfile, keyword) for fault in faults for keyword in fault.keywords)
        return failed(
            expected=self.expectation(),
            got="; ".join(fault.got for fault in faults),
            line=next((line for line in lines if line is not None), None),
            **evidence,
        )

    def expectation(self) -> str:
        """What is expected, in words."""
        parts = [] if self.user is None else [f"all processes run as {self.user}"]
        parts += ["no process runs as root"] if self.not_root else []
        if self.app_is_pid_1:
            parts.append("PID 1 is the app" + (" or a small init" if self.init == "allowed" else ""))
        parts += [f"PID 1 runs {self.pid_1}"] if self.pid_1 else []
        parts += [f"at most {self.max_processes} processes"] if self.max_processes else []
        if self.read_only:
            writable = f" and {', '.join(self.tmpfs)} to write to" if self.tmpfs else ""
            parts.append(f"the app gets ready with a read-only root file system{writable}")
        return ", ".join(parts)

    def by_hand(self, port: int) -> tuple[str, ...]:
        """The processes, and the app with a read-only root file system where that is asked for."""
        lines = [*hand.start(port, target=self.target), f"docker top {hand.APP} -eo pid,ppid,user,args", hand.end()]
        if self.read_only:
            writable = "".join(f"--tmpfs {hand.quoted(path)} " for path in self.tmpfs)
            lines.append(f"docker run --rm --read-only {writable}-p {port}:{port} {hand.IMAGE}")
        return tuple(lines)

    def _user_faults(self, subject: Subject, seen: list[Running]) -> Iterator[_Fault]:
        if self.user is None and not self.not_root:
            return
        known = accounts(subject.image.read([USERS]).get(USERS, b""))
        roots = [process for process in seen if 0 in process.users]
        if self.not_root and roots:
            yield _Fault(f"{_each(roots)} runs as root", ("USER",))
        if self.user is None:
            return
        wanted = look_up(known, str(self.user))
        if wanted is None:
            yield _Fault(f"the image's /etc/passwd has no user {self.user}", ("USER",))
        elif wanted.number == 0 and str(self.user) not in ("root", "0"):
            yield _Fault(f"{self.user} is another name of root in the image", ("RUN", "USER"))
        else:
            yield from self._others(wanted, known, seen)

    def _others(self, wanted: Account, known: tuple[Account, ...], seen: list[Running]) -> Iterator[_Fault]:
        for number in sorted({user for process in seen for user in process.users} - {wanted.number}):
            whose = [process for process in seen if number in process.users]
            yield _Fault(f"{_each(whose)} runs as {named(known, number)}", ("USER",))

    def _first_faults(self, seen: list[Running], port: int) -> Iterator[_Fault]:
        first = seen[0]
        keywords = ("ENTRYPOINT", "CMD")
        if self.pid_1 and not self._is_called(first):
            yield _Fault(f"PID 1 runs {first.program or '?'}" + " (a shell)" * first.shell, keywords)
        if not self.app_is_pid_1:
            return
        apps = [process for process in seen if port in process.ports]
        below_init = self.init == "allowed" and is_init(first) and any(process.parent == 1 for process in apps)
        if first in apps or below_init:
            return
        what = described(first) + (" is a shell" if first.shell else " is not the app")
        holder = (
            f"; {described(apps[0])} answers on port {port}" if apps else f"; nobody listens on port {port} any more"
        )
        yield _Fault(what + holder, keywords)

    def _is_called(self, first: Running) -> bool:
        """By the name of its file; a shell needs the name of one, for a copy can be called anything."""
        name = program(first)
        same = name == self.pid_1 or re.fullmatch(re.escape(self.pid_1 or "") + _VERSION, name) is not None
        return same and (not first.shell or name in _SHELLS)

    def _count_faults(self, seen: list[Running]) -> Iterator[_Fault]:
        if self.max_processes and len(seen) > self.max_processes:
            yield _Fault(f"{len(seen)} processes: {', '.join(program(process) for process in seen[:10])}", ())


def _each(processes: list[Running]) -> str:
    others = f" and {len(processes) - 1} more" if len(processes) > 1 else ""
    return described(processes[0]) + others


def _told(process: Running) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "parent": process.parent,
        "users": list(process.users),
        "program": process.program,
        "args": list(process.args),
        "ports": sorted(process.ports),
    }

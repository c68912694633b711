"""What a person types. The only place that prints or exits."""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from grader import __version__
from grader.errors import CleanUpInterrupted, ExitCode, GraderError
from grader.redacted import redacted
from grader.reports._text import one_line, printable
from grader.running import signals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Where each command is: its module in this package, and its name there.
_PLACES = {
    "bases": "engine:bases",
    "bulk": "bulk:bulk",
    "checks": "exercises:checks",
    "classroom": "classroom:classroom",
    "clean": "engine:clean",
    "completion": "completion:completion",
    "demo": "grade:demo",
    "doctor": "doctor:doctor",
    "engine": "engine:engine",
    "explain": "exercises:explain",
    "grade": "grade:grade",
    "hint": "hint:hint",
    "list": "listing:list_",
    "new": "authoring:new",
    "reset": "folders:reset",
    "schema": "exercises:schema",
    "start": "folders:start",
    "verify": "authoring:verify",
    "watch": "watch:watch",
    "wheelhouse": "wheelhouse:wheelhouse",
}


class _Commands(MutableMapping[str, click.Command]):
    """Imports a command when it is called or listed: a grading need not wait for all the others."""

    def __getitem__(self, name: str) -> click.Command:
        module, _, attribute = _PLACES[name].partition(":")
        found: click.Command = getattr(import_module(f"grader.cli.{module}"), attribute)
        return found

    def __setitem__(self, name: str, command: click.Command) -> None:
        raise NotImplementedError

    def __delitem__(self, name: str) -> None:
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES)

    def __len__(self) -> int:
        return len(_PLACES)


@click.group(commands=_Commands(), context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="grader")
def cli() -> None:
    """Builds container images and grades what they are and what they do."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `grader`."""
    _leave(run(cli, arguments, "grader"))


def grade_main(arguments: Sequence[str] | None = None) -> None:
    """The command `grade`, the same as `grader grade`."""
    _leave(run(cli.commands["grade"], arguments, "grade"))


def _leave(code: int) -> NoReturn:
    """Ends the process as it is: the interpreter would take apart, one by one, all that was imported (10 ms).

    Whoever asked to be called at the end is, and what was printed has been written.
    """
    atexit._run_exitfuncs()  # noqa: SLF001  # what the interpreter calls; there is no other name for it
    with suppress(OSError):  # `run` has told of an output that is gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def run(command: click.Command, arguments: Sequence[str] | None, name: str) -> int:
    """Runs a command to its exit code; whatever goes wrong is told on stderr, in words, without a traceback."""
    _end_on_signals()
    try:
        code: Any = command.main(
            args=None if arguments is None else list(arguments), prog_name=name, standalone_mode=False
        )
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except GraderError as error:
        _tell(error)
        code = error.exit_code
    except CleanUpInterrupted:
        code = _interrupted("Interrupted during the clean-up; `grader clean` removes what is left.")
    except (KeyboardInterrupt, click.Abort):
        code = _interrupted("Interrupted; nothing is left behind.")
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = ExitCode.NOT_PASSED
    except Exception as error:
        if _was_interrupted(error):
            return _interrupted("Interrupted; nothing is left behind.")
        if os.environ.get("GRADER_DEBUG"):
            raise
        _tell_bug(error)
        code = ExitCode.INFRASTRUCTURE
    return int(code or 0)


def _was_interrupted(error: Exception) -> bool:
    """A lock in Python whose holder is interrupted between two of its lines is released twice, and complains."""
    return isinstance(error, RuntimeError) and isinstance(error.__context__, KeyboardInterrupt)


def _tell_bug(error: Exception) -> None:
    text = (
        f"The grader itself failed: {type(error).__name__}: {redacted(one_line(str(error)))[:500]}\n"
        "  This is not your fault, and costs no points: it is a bug.\n"
        "  mend:  run it again with GRADER_DEBUG=1 and report what it prints."
    )
    click.echo(_in_a_log(text), err=True)


def _tell(error: GraderError) -> None:
    """What, where, how to mend it."""
    lines = [f"Error: {printable(error.what)}"]
    # Of a grading the verdict says so; this is for whatever fails around one.
    ours = error.exit_code is ExitCode.INFRASTRUCTURE
    lines += ["  This is not your fault: nothing that you wrote has caused it."] if ours else []
    lines += [f"  where: {printable(error.where)}"] if error.where else []
    lines += [f"  mend:  {printable(error.fix)}"] if error.fix else []
    lines += [f"  | {one_line(line)}" for line in error.log[-10:]]
    click.echo(_in_a_log("\n".join(lines)), err=True)


def _in_a_log(text: str) -> str:
    """In a workflow, `text` without anything that GitHub would take for a command; a name may be a learner's."""
    from grader.reports import _workflow  # noqa: PLC0415

    return _workflow.harmless(text) if _workflow.is_running() else text


def _interrupted(message: str) -> int:
    """Impatient fingers must not get a traceback in the last instant."""
    for number in signals():
        signal.signal(number, signal.SIG_IGN)
    click.echo(message, err=True)
    return int(ExitCode.INTERRUPTED)


def _end_on_signals() -> None:
    """SIGTERM (a CI job that is cancelled) and SIGHUP (a closed terminal) clean up as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    for number in signals():
        if number != signal.SIGINT and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, interrupt)

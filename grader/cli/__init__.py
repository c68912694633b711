"""What a person types. The only place that prints or exits."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from grader import __version__
from grader.cli import authoring as authoring_commands
from grader.cli import bulk as bulk_commands
from grader.cli import classroom as classroom_commands
from grader.cli import completion as completion_commands
from grader.cli import doctor as doctor_commands
from grader.cli import engine as engine_commands
from grader.cli import exercises as exercise_commands
from grader.cli import folders as folder_commands
from grader.cli import grade as grade_commands
from grader.cli import hint as hint_commands
from grader.cli import listing as list_commands
from grader.cli import watch as watch_commands
from grader.errors import CleanUpInterrupted, ExitCode, GraderError
from grader.redacted import redacted
from grader.reports._text import one_line, printable
from grader.running import signals

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="grader")
def cli() -> None:
    """Builds container images and grades what they are and what they do."""


for _command in (
    grade_commands.grade,
    grade_commands.demo,
    watch_commands.watch,
    list_commands.list_,
    folder_commands.start,
    folder_commands.reset,
    hint_commands.hint,
    exercise_commands.explain,
    exercise_commands.checks,
    exercise_commands.schema,
    bulk_commands.bulk,
    authoring_commands.verify,
    authoring_commands.new,
    doctor_commands.doctor,
    classroom_commands.classroom,
    engine_commands.engine,
    engine_commands.bases,
    engine_commands.clean,
    completion_commands.completion,
):
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `grader`."""
    sys.exit(run(cli, arguments, "grader"))


def grade_main(arguments: Sequence[str] | None = None) -> None:
    """The command `grade`, the same as `grader grade`."""
    sys.exit(run(grade_commands.grade, arguments, "grade"))


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
        if os.environ.get("GRADER_DEBUG"):
            raise
        _tell_bug(error)
        code = ExitCode.INFRASTRUCTURE
    return int(code or 0)


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

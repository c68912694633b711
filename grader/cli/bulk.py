"""`grader bulk`: a whole class."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from grader.cli import complete
from grader.cli.options import SIZE, course_option, plain_option, runtime_option, yes_option
from grader.errors import ExitCode, GraderError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from grader.bulk.learner import Learner
    from grader.bulk.outcome import Outcome
    from grader.bulk.pool import Bounds, Pool
    from grader.course.exercise import Exercise
    from grader.course.rubric import Rubric
    from grader.engine.bases import Base
    from grader.engine.connect import Engine

    #: Where gradings are done, the base images there, and why the disk there has no room, when it has none.
    Place = tuple[Pool[Any], tuple[Base, ...], Callable[[], str]]


@click.command(short_help="Grades a whole class into a gradebook.")
@click.argument("exercise", shell_complete=complete.exercises)
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Where the gradebook goes.")
@click.option(
    "--roster", type=click.Path(path_type=Path), metavar="CSV", help="All learners; who handed in nothing is a row too."
)
@click.option(
    "--jobs", type=click.IntRange(1), metavar="N", help="Submissions graded at a time; as the machine allows."
)
@click.option(
    "--attempts", type=click.Choice(["latest", "in-time", "best", "all"]), default="latest", show_default=True,
    help="Which of a learner's submissions counts; in-time: the latest that is not late (--due).",
)  # fmt: skip
@click.option(
    "--due", metavar="TIME",
    help="2026-12-01T23:59+01:00: the gradebook and each learner's result say what came later. No points are taken.",
)  # fmt: skip
@click.option(
    "--rerun", default="", metavar="WHICH", help="Grade these again: errors (and nothing else), failed, all, or a name."
)
@click.option(
    "--for", "systems", type=click.Choice(["github", "canvas", "moodle"]), multiple=True,
    help="Also write DIR/NAME.csv with the columns that this system imports.",
)  # fmt: skip
@click.option(
    "--patience", type=float, default=60, show_default=True, metavar="MINUTES",
    help="How long a run pauses for an engine or a registry that fails.",
)  # fmt: skip
@click.option(
    "--cache-bound", "bound", type=SIZE, metavar="SIZE",
    help="Keep no more build cache in the engine than this (5GB), whoever made it. The grader's own engine gives some "
    "up by itself when its disk gets full.",
)  # fmt: skip
@click.option(
    "--cluster", default="", metavar="ADDRESS",
    help="Grade on the workers of a Dask scheduler (tcp://HOST:8786), or on two here (local:2).",
)  # fmt: skip
@click.option(
    "--require-fences", "fenced", is_flag=True,
    help="Grade nothing where the engine does not bound builds in memory, processes and disk.",
)  # fmt: skip
@yes_option
@runtime_option
@course_option
@plain_option
def bulk(  # noqa: PLR0913  # one parameter an option
    *,
    exercise: str,
    submissions: Path,
    out: Path,
    roster: Path | None,
    jobs: int | None,
    attempts: str,
    due: str | None,
    rerun: str,
    systems: tuple[str, ...],
    patience: float,
    bound: int | None,
    cluster: str,
    fenced: bool,
    yes: bool,
    course: Path | None,
    plain: bool,
) -> int:
    """Grades a class: SUBMISSIONS is a folder of folders, archives or Dockerfiles, one a learner, or a CSV file.

    What was graded is kept in DIR/journal.db. Run it again, and only what has no verdict yet is graded: after a kill, a
    fault of the engine, new submissions, or a change of the rubric. Files that are the same to the byte are graded
    once. Two runs with the same DIR share the work.

    What came late (--due, and a column `due` in the roster for those who have more time) is told and costs no points.

    Ctrl-C lets what runs end; twice, and it is dropped.

    --cluster takes `pip install 'image-grader[cluster]'`, and on each worker an engine and the same version of the
    grader. Files that start one on SSH hosts, SLURM or Kubernetes come with the grader, in grader/bulk/clusters.

    Exit codes: 0 everybody has a verdict, 2 wrong usage, 3 some have none, through no fault of theirs, 130 interrupted.
    """
    from grader.bulk import due as dues  # noqa: PLC0415
    from grader.bulk import journal, outcome, plan  # noqa: PLC0415
    from grader.bulk import roster as rosters  # noqa: PLC0415
    from grader.bulk.pool import Bounds  # noqa: PLC0415
    from grader.bulk.run import Run  # noqa: PLC0415
    from grader.cli.grade import load  # noqa: PLC0415
    from grader.cli.runview import RunView  # noqa: PLC0415

    last = dues.parse(due, "--due") if due else None
    if attempts == "in-time" and last is None:
        raise UsageError("In time for what?", "Say when it was due: --due 2026-12-01T23:59+01:00", where="--attempts")
    learners = rosters.read(submissions, roster, last.zone if last else None)
    _known(rerun, learners)
    chosen, rubric = load(exercise, course)
    runtime = os.environ.get("GRADER_RUNTIME", "")
    if cluster and runtime:
        raise UsageError(
            "A cluster's workers choose the runtime themselves",
            "Set GRADER_RUNTIME where they are started, and not here.",
            where="--runtime",
        )
    bounds = Bounds(stand_ins=yes, most=jobs, bound=bound, fenced=fenced)
    asked = outcome.Asked(rubric, chosen.id, _again(runtime), attempts == "best", systems)
    watcher = RunView(plain=plain)
    place = _cluster(cluster, watcher.say) if cluster else partial(_here, plain=plain)
    with (
        place(chosen, rubric, bounds) as (pool, bases, space),
        journal.opened(out / "journal.db") as kept,
    ):
        rows = list(plan.rows(learners, chosen, rubric, bases, attempts=attempts, last=last))
        tasks = plan.tasks(rows, kept, rerun)
        keys = [row.key for row in rows if row.key]
        watcher.begin(len(tasks), len(set(keys)), len(keys))
        run = Run(tasks, kept, watcher, pool=pool, lost=partial(_lost, chosen, rubric), space=space)
        try:
            run.go(patience * 60)
        except KeyboardInterrupt:
            watcher.stopped()
            raise
        finally:
            written = outcome.write(out, rows, kept, learners, asked)
    return _summary(written, out)


def _lost(exercise: Exercise, rubric: Rubric, name: str, why: str) -> dict[str, Any]:
    from grader import grading  # noqa: PLC0415
    from grader.errors import EngineError  # noqa: PLC0415

    # The reason of a pause is that of a submission before.
    error = EngineError(f"Not graded: {why.removeprefix('Not graded: ')}", "Run the same command again.")
    return grading.refused(exercise, rubric, name, error).to_json()


@contextmanager
def _here(exercise: Exercise, rubric: Rubric, bounds: Bounds, *, plain: bool) -> Iterator[Place]:
    """Processes of this machine, and its engine."""
    from grader.bulk import workers  # noqa: PLC0415
    from grader.bulk.pool import Setting  # noqa: PLC0415
    from grader.bulk.space import Space  # noqa: PLC0415

    engine, bases = _bases(rubric.settings.bases, bounds, plain=plain)
    pool = workers.Processes(Setting(exercise.path, bounds), bounds.most or workers.most())
    try:
        yield pool, bases, Space(engine, bounds.bound).trouble
    finally:
        _sweep(engine)


def _cluster(address: str, tell: Callable[[str], None]) -> Callable[..., AbstractContextManager[Place]]:
    """The workers of a cluster, and the engines there."""
    try:
        from grader.bulk import cluster  # noqa: PLC0415
    except ModuleNotFoundError as error:
        fix = "Install it: pip install 'image-grader[cluster]'"
        raise UsageError(f"A cluster takes Dask, and {error.name} is not installed", fix, where="--cluster") from error

    @contextmanager
    def there(exercise: Exercise, rubric: Rubric, bounds: Bounds) -> Iterator[Place]:
        with cluster.opened(address, exercise, rubric, bounds, tell) as found:
            yield found, found.bases, str  # the workers look at their disks themselves

    return there


def _bases(references: tuple[str, ...], bounds: Bounds, *, plain: bool) -> tuple[Engine, tuple[Base, ...]]:
    """The engine that is there, and the base images in it: what all submissions share is made once, before them."""
    from grader.cli.progress import ProgressView  # noqa: PLC0415
    from grader.engine import bases, unfenced  # noqa: PLC0415
    from grader.engine.connect import connect  # noqa: PLC0415

    with ProgressView(plain=plain) as progress:
        engine = connect(agreed=bounds.stand_ins, progress=progress)
        if bounds.fenced:
            unfenced.require(engine)
        return engine, bases.ensure(engine, list(references), stand_ins=bounds.stand_ins, progress=progress)


def _sweep(engine: Engine) -> None:
    """Removes what a worker could not: it was killed, or the engine away."""
    from grader.engine import leftovers  # noqa: PLC0415

    with suppress(OSError, GraderError):
        leftovers.sweep(engine)


def _again(runtime: str) -> str:
    """The command with all that was given to it, but that it grades the errors again, and nothing else."""
    import shlex  # noqa: PLC0415

    context = click.get_current_context()
    words: list[str] = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        default = context.get_parameter_source(parameter.name or "") in (None, ParameterSource.DEFAULT)
        if default or value is False or parameter.name == "rerun":
            continue
        for each in value if isinstance(value, tuple) else (value,):
            words += [] if isinstance(parameter, click.Argument) else parameter.opts[:1]
            words += [] if each is True else [str(each)]
    words += ["--runtime", runtime] if runtime else []
    return shlex.join(["grader", "bulk", *words, "--rerun", "errors"])


def _known(rerun: str, learners: Iterable[Learner]) -> None:
    """Raises ``UsageError`` for a name that is nobody's: nothing would be graded, and all would seem well."""
    from grader.course.suggest import closest  # noqa: PLC0415

    names = [learner.name for learner in learners]
    if rerun and rerun not in ("errors", "failed", "all", *names):
        meant = closest(rerun, ["errors", "failed", "all", *names])
        fix = f"Did you mean {meant}?" if meant else "Name a learner as the gradebook does, or errors, failed or all."
        raise UsageError(f"There is no learner `{rerun}`", fix, where="--rerun")


def _summary(outcome: Outcome, out: Path) -> int:
    from grader.reports._text import one_line  # noqa: PLC0415

    count = outcome.counts
    told = [f"{count[status]} {status}" for status in ("passed", "failed", "missing", "error") if count[status]]
    click.echo(f"{count.total()} in the gradebook: {', '.join(told)}.")
    for name, change in list(outcome.changes.items())[:20]:
        click.echo(f"  changed: {one_line(name)}: {change}")
    if len(outcome.changes) > 20:
        click.echo(f"  and {len(outcome.changes) - 20} more in {out / 'changes.csv'}")
    for name, why in outcome.errors:
        click.echo(f"  not graded: {one_line(name)}: {one_line(why)}")
    if count["error"] > len(outcome.errors):
        click.echo(f"  and {count['error'] - len(outcome.errors)} more in the gradebook")
    if outcome.errors:
        click.echo("  Run the same command again to grade these; nothing was counted against anybody.")
    for note in outcome.notes:
        click.echo(f"  {one_line(note)}")
    click.echo(f"Gradebook: {out / 'gradebook.html'} and {out / 'gradebook.csv'}")
    return ExitCode.INFRASTRUCTURE if count["error"] else ExitCode.PASSED

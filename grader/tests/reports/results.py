"""Results to be told: one of each kind."""

from __future__ import annotations

from dataclasses import replace

from grader.result import (
    AppResult,
    BuildResult,
    CheckResult,
    EngineResult,
    Fault,
    GradeResult,
    ImageResult,
    LayerResult,
    Problem,
    Status,
    StepResult,
    SubmissionResult,
    WasteResult,
)

DOCKERFILE = ("FROM python:3.11", "", "COPY . .", "RUN pip install --no-cache-dir -r requirements.txt", 'CMD ["x"]')

_BUILDS = CheckResult(
    id="builds",
    check="build",
    title="The image builds",
    status=Status.PASSED,
    fault=None,
    score=10.0,
    max_score=10.0,
    required=True,
    expected="the image builds",
    got="built in 1.4 s",
    why="Nothing to look at.",
    duration=0.001,
)
_SMALL = CheckResult(
    id="small",
    check="size",
    title="What ships is the app, not the toolchain",
    status=Status.FAILED,
    fault=Fault.LEARNER,
    score=0.0,
    max_score=22.5,
    expected="at most 220 MB",
    got="629 MB; the base image alone is 622 MB",
    why="Every machine that runs the app pulls the image first, and waits for each megabyte of it.",
    hints=("Which stage ships?", "Use slim."),
    line=1,
    evidence={"size": 629_000_000},
)
_ANSWERS = CheckResult(
    id="answers",
    check="http",
    title="The app answers",
    status=Status.FAILED,
    fault=Fault.LEARNER,
    score=0.0,
    max_score=25.0,
    expected="GET / gives 200",
    got="The app ended at once, with exit code 1",
    why="It has to run.",
    hints=("Start it yourself.",),
    line=5,
    evidence={"fix": "Its last log lines say why.", "log": ["Traceback:", "  x"]},
)
_SKIPPED = CheckResult(
    id="computes",
    check="http",
    title="The app computes",
    status=Status.SKIPPED,
    fault=None,
    score=0.0,
    max_score=25.0,
    expected="GET /x gives 200",
    got="not judged, because “answers” failed",
    evidence={"blocked_by": "answers"},
)
_ENGINE = EngineResult("docker", "28.5.2", "linux/amd64", ("python:3.11",))
_IMAGE = ImageResult(
    id="sha256:ab",
    size=629_000_000,
    base_size=622_000_000,
    wasted=640_000,
    layers=(LayerResult(3, "COPY . .", 1_000_000, 640_000), LayerResult(4, "RUN pip install", 6_000_000, 0)),
    base="python:3.11",
    base_line=1,
    waste=(WasteResult("app/notes.txt", 640_000, 3, 4),),
)
_STEP = StepResult(
    line=None,
    instruction="[internal] load remote build context",
    stage="",
    cached=True,
    started=0.0,
    duration=0.02,
    exit_code=None,
    error="",
)
_STEPS = (
    _STEP,
    replace(_STEP, line=1, instruction="FROM python:3.11", cached=False, started=0.02, duration=0.0001),
    replace(_STEP, line=3, instruction="COPY . .", started=0.03, duration=0.0),
    replace(
        _STEP,
        line=4,
        instruction="RUN pip install --no-cache-dir -r requirements.txt",
        cached=False,
        started=0.04,
        duration=1.36,
        log=("Collecting flask", "Successfully installed flask"),
    ),
)
_BUILD = BuildResult(1.4, _STEPS, args={"VERSION": "1"}, secrets=("token",))
_APP = AppResult(
    5000, "/health", {"MODE": "test"}, 512_000_000, internet=False, started_in=0.4, log=("Serving", "GET /")
)

PASSED = GradeResult(
    exercise="03-multi-stage-builds",
    title="Multi-stage builds",
    rubric_digest="sha256:cd",
    submission=SubmissionResult("student-017", "sha256:ef"),
    status=Status.PASSED,
    score=10.0,
    max_score=10.0,
    pass_score=10.0,
    engine=replace(_ENGINE, stand_ins=()),
    image=_IMAGE,
    phases={"build": 1.4, "checks": 0.3},
    checks=(_BUILDS,),
    started="2026-11-23T10:00:00Z",
    duration=2.2,
    build=_BUILD,
    app=_APP,
)
FAILED = replace(
    PASSED,
    status=Status.FAILED,
    score=10.0,
    max_score=82.5,
    pass_score=70.0,
    engine=_ENGINE,
    checks=(_BUILDS, _SMALL, _ANSWERS, _SKIPPED, replace(_SKIPPED, id="again", title="And again")),
    notes=("Taken from the exercise instead of the submission, or not needed: app.py",),
    app=replace(_APP, started_in=None, log=("Traceback:", "  x")),
)
REFUSED = replace(
    PASSED,
    status=Status.FAILED,
    score=0.0,
    engine=None,
    image=None,
    build=None,
    app=None,
    submission=SubmissionResult("student-018", None),
    problem=Problem("There is no Dockerfile.", "student-018", "Put one there.", Fault.LEARNER),
    checks=(
        replace(
            _BUILDS,
            status=Status.FAILED,
            fault=Fault.LEARNER,
            score=0.0,
            got="There is no Dockerfile.",
            evidence={"fix": "Put one there."},
            hints=("Look.",),
        ),
    ),
)
UNTOLD = replace(REFUSED, checks=(replace(_SMALL, status=Status.PASSED, score=22.5),))
_BROKEN_STEP = replace(
    _STEPS[-1], exit_code=1, error="did not complete successfully: exit code: 1", log=("no such package: flsk",)
)
UNBUILT = replace(
    PASSED,
    status=Status.FAILED,
    score=0.0,
    image=None,
    app=None,
    build=replace(_BUILD, steps=(*_STEPS[:-1], _BROKEN_STEP)),
    problem=Problem("A step failed", "Dockerfile:4", "Mend line 4.", Fault.LEARNER, 4, ("no such package: flsk",)),
    checks=(
        replace(
            _BUILDS,
            status=Status.FAILED,
            fault=Fault.LEARNER,
            score=0.0,
            got="A step failed",
            line=4,
            evidence={"where": "Dockerfile:4", "fix": "Mend line 4.", "log": ["no such package: flsk"]},
            hints=("Read its last lines.", "Is `flsk` spelled right?"),
        ),
    ),
)
ERROR = replace(
    PASSED,
    status=Status.ERROR,
    score=None,
    image=None,
    app=None,
    build=None,
    problem=Problem("The engine went away: connection reset", "unix:///run/x.sock", "Start it.", Fault.INFRASTRUCTURE),
    checks=tuple(
        replace(
            check,
            status=Status.ERROR,
            fault=Fault.INFRASTRUCTURE,
            score=None,
            line=None,
            got="The engine went away: connection reset",
            evidence={"fix": "Start it."},
        )
        for check in (_BUILDS, _SMALL)
    ),
)

ALL = {"passed": PASSED, "failed": FAILED, "refused": REFUSED, "untold": UNTOLD, "error": ERROR}

_NASTY = "\x1b[31mred\x1b[0m \x1b]0;title\x07[bold red]markup[/] "
_NASTY += "\u202egnp.exe\u2066 \x9b31m \x00\x07\b bell \ud800 \u2028 end"
HOSTILE = replace(
    FAILED,
    submission=SubmissionResult(_NASTY, None),
    notes=(_NASTY,),
    checks=tuple(
        replace(
            check,
            title=f"{check.title} [red]",
            got=_NASTY * 3,
            line=1,
            evidence={"log": [_NASTY, "0%\r50%\r100%\r"], "fix": _NASTY, "where": _NASTY},
        )
        for check in FAILED.checks
    ),
)
HOSTILE_DOCKERFILE = (f"FROM x {_NASTY}", "RUN " + "漢字" * 300 + "y" * 5000)

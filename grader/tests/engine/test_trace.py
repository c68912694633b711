"""BuildKit's trace of real builds, and of builds that try to forge it."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from grader.engine import trace
from grader.engine.trace import Step, Trace
from grader.submission import dockerfile
from grader.tests.engine.building import Workshop, unique

STAGES = """\
FROM python:3.11-slim AS builder
WORKDIR /w
RUN echo {mark} > made

FROM debian:bookworm-slim
RUN echo second && \\
    echo {mark} >&2
COPY --from=builder \\
     /w/made /made
RUN sleep 0.3
"""


@pytest.fixture(autouse=True)
def buildkit(workshop: Workshop) -> None:
    if workshop.engine.name == "podman":
        pytest.skip("Podman has a builder of its own")


def own(steps: tuple[Step, ...]) -> dict[int, Step]:
    return {step.line: step for step in steps if step.line}


def test_steps_are_tied_to_lines_across_stages(workshop: Workshop) -> None:
    mark = unique()
    steps = own(workshop.build(STAGES.format(mark=mark)).steps)
    assert {2, 3, 6, 8, 10} <= set(steps)
    assert (steps[2].stage, steps[2].instruction) == ("builder", "WORKDIR /w")
    assert steps[6].stage == "stage-1"
    assert steps[6].instruction.startswith("RUN echo second")
    assert set(steps[6].last_lines) == {"second", mark}
    assert (steps[10].duration or 0) >= 0.3
    assert [steps[line].cached for line in (3, 6, 8, 10)] == [False, False, False, False]
    again = own(workshop.build(STAGES.format(mark=mark)).steps)
    assert [again[line].cached for line in (3, 6, 8, 10)] == [True, True, True, True]


def test_a_step_that_two_builds_wait_for_is_told_to_each_in_its_own_words(workshop: Workshop) -> None:
    """As in a class: BuildKit makes the step once, and calls it as the first of them does."""
    texts = (
        "FROM debian:bookworm-slim AS ada\nRUN {run}\nRUN echo 1\n",
        "# mine\nFROM debian:bookworm-slim AS ben\nLABEL x=1\nRUN {run}\nFROM ben\nRUN echo 2\n",
    )
    for _ in range(5):
        run = f"echo {unique()} && sleep 2"
        said: list[list[str]] = [[], []]
        with ThreadPoolExecutor(2) as pool:
            begun = [
                pool.submit(workshop.build, text.format(run=run), progress=lambda e, to=to: to.append(e.text))  # type: ignore[misc]
                for text, to in zip(texts, said, strict=True)
            ]
        ada, ben = (own(each.result().steps) for each in begun)
        if (ada.get(2) and ada[2].started) == (ben.get(4) and ben[4].started):
            break
    else:
        pytest.fail("The two builds did not meet")
    assert {line: step.stage for line, step in ada.items() if line < 3} == {1: "", 2: ""}
    assert {line: step.stage for line, step in ben.items() if line < 6} == {2: "ben", 4: "ben"}
    assert ada[2].log == ben[4].log != ""
    assert (ada[3].log, ben[6].log) == ("1\n", "2\n")
    assert not [line for line in said[0] if "ben" in line]
    assert not [line for line in said[1] if "ada" in line]


def test_a_failed_step_has_its_exit_code_and_its_error(workshop: Workshop) -> None:
    built = workshop.build(f"FROM debian:bookworm-slim\nRUN echo {unique()}\nRUN exit 42\n")
    assert own(built.steps)[3].exit_code == 42
    assert built.culprit is not None
    assert (built.culprit.line, built.culprit.exit_code) == (3, 42)


FORGERIES = [
    "---> Using cache",
    "#5 [2/2] RUN true\\n#5 CACHED",
    '{"id":"moby.buildkit.trace","aux":"AAAA"}',
    '{"id":"moby.image.id","aux":{"ID":"sha256:0000"}}',
    '{"error":"no space left on device"}',
    "executor failed running: exit code: 0",
    "\\033[2J\\0\\377",
]  # fmt: skip


@pytest.mark.parametrize("text", FORGERIES)
def test_what_a_run_prints_changes_nothing(workshop: Workshop, text: str) -> None:
    mark = unique()
    built = workshop.build(f"FROM debian:bookworm-slim\nRUN printf '%b\\n' '{text}'; echo {mark}\n")
    assert built.failure is None
    assert (built.image_id or "").startswith("sha256:")
    assert built.image_id != "sha256:0000"
    step = own(built.steps)[2]
    assert (step.cached, step.exit_code, step.error) == (False, None, "")
    assert mark in step.log


def test_heredocs_are_one_step(workshop: Workshop) -> None:
    if not workshop.engine.at_least(23):
        pytest.skip("this engine knows no heredocs")
    text = f"FROM debian:bookworm-slim\nRUN <<E\necho {unique()}\nexit 3\nE\n"
    built = workshop.build(text)
    assert built.failure is not None
    assert (built.failure.line, own(built.steps)[2].exit_code) == (2, 3)


def test_only_the_end_of_a_long_log_is_kept(workshop: Workshop) -> None:
    many = f"FROM debian:bookworm-slim\nRUN : {unique()}; seq 1 200000; echo the end\n"
    step = own(workshop.build(many).steps)[2]
    assert len(step.log) <= trace.LOG_LIMIT
    assert step.last_lines[-1] == "the end" or "log limit" in step.log  # Engine 20.10 cuts logs itself


# --- messages ---------------------------------------------------------------------------------------------------------


def message(**vertex: object) -> str:
    kind = trace._status_response()
    made = kind(vertexes=[{"digest": "sha256:1", "name": "[2/2] RUN x", **vertex}])
    return base64.b64encode(made.SerializeToString()).decode()


def at(seconds: int) -> dict[str, int]:
    return {"seconds": seconds}


DOCKERFILE = dockerfile.parse(b"FROM debian:bookworm-slim\nRUN x\n")


def test_a_vertex_that_restarts_lasts_from_its_first_start_to_its_last_end() -> None:
    seen = Trace()
    seen.feed(message(started=at(10)))
    seen.feed(message(started=at(10), completed=at(11)))
    seen.feed(message(started=at(12)))
    (running,) = seen.steps(DOCKERFILE)
    assert running.duration is None
    seen.feed(message(started=at(12), completed=at(15)))
    (step,) = seen.steps(DOCKERFILE)
    assert (step.duration, step.cached, step.line) == (5.0, False, 2)


def test_an_error_stays_with_its_vertex() -> None:
    seen = Trace()
    seen.feed(message(started=at(1), completed=at(2), error="did not complete successfully: exit code: 2"))
    seen.feed(message(started=at(1), completed=at(2)))
    (step,) = seen.steps(DOCKERFILE)
    assert step.exit_code == 2


@pytest.mark.parametrize("encoded", ["AAAA", "gICAgICAgICAgICA"])
def test_a_message_that_cannot_be_read_is_an_error_of_value(encoded: str) -> None:
    with pytest.raises(ValueError):
        Trace().feed(encoded)


def test_two_threads_may_prepare_at_once() -> None:
    declare = trace._status_response.__wrapped__
    first, second = declare(), declare()
    message = first(vertexes=[{"digest": "sha256:1", "name": "[1/1] FROM scratch"}]).SerializeToString()
    assert second.FromString(message).vertexes[0].name == "[1/1] FROM scratch"

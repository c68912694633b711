"""Ways that were found to talk the grader into a verdict, each with the verdict that it must get."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from grader.engine.content.layers import Entry, Layer
from grader.engine.content.merge import merge, resolve
from grader.engine.faults import blame
from grader.engine.running.ask import ask
from grader.engine.trace import Step
from grader.errors import EngineError, SubmissionError
from grader.result import Fault, Status
from grader.submission.dockerfile import DockerfileError, parse
from grader.tests.engine.stores import in_containerd

if TYPE_CHECKING:
    from grader.engine.connect import Engine
    from grader.tests.conftest import Grade

ABSENT = {"check": "absent", "commands": ["gcc"]}
GCC = "FROM python:3.11-slim\nRUN touch /usr/bin/gcc && chmod +x /usr/bin/gcc\n"


@pytest.mark.parametrize(
    "dockerfile",
    [
        "FROM python:3.11${TARGETVARIANT:+-slim}\n",
        "FROM python:3.11${TARGETSTAGE:+-slim}\n",
        "ARG A=${TARGETVARIANT:+python:3.11-slim}\nFROM ${A:-debian:bookworm-slim}\n",
        "ARG A=$TARGETVARIANT\nFROM python:3.11${A:+-slim}\n",
        "ARG A=${HTTP_PROXY:+x}\nFROM python:3.11\n",
        "FROM python:3.11-$TARGETARCH\n",
        "FROM a:${TARGETARCH:-x}\n",
        "ARG TARGETARCH=z\nFROM a:$TARGETARCH\n",
        "ARG IMG=debian:bookworm-slim\nARG IMG\nFROM ${IMG:-python:3.11-slim}\n",
        "FROM python:3.11\nCMD " + "a" * 70_000,
    ],
)
def test_what_engines_read_in_different_ways_is_refused(dockerfile: str) -> None:
    with pytest.raises(DockerfileError):
        parse(dockerfile.encode())


def test_the_build_platform_may_be_asked_for() -> None:
    assert parse(b"FROM --platform=$BUILDPLATFORM python:3.11\n").final.base == "python:3.11"


@pytest.mark.parametrize("folder", ["/usr", "/usr/bin"])
def test_an_attribute_that_any_run_can_set_hides_nothing(grade: Grade, engine: Engine, folder: str) -> None:
    if in_containerd(engine):
        pytest.skip("containerd's store heeds it: in a container of the image gcc is gone")
    set_it = f"RUN python3 -c \"import os; os.setxattr('{folder}', 'user.overlay.opaque', b'y')\"\n"
    (check,) = grade(GCC + set_it, [ABSENT]).checks
    assert check.status is Status.FAILED
    assert "/usr/bin/gcc" in check.got


@pytest.mark.parametrize("local", [True, False])
def test_a_file_named_like_a_whiteout_hides_nothing(grade: Grade, engine: Engine, *, local: bool) -> None:
    on = engine if local else replace(engine, local=False)
    marked = GCC + "RUN touch /usr/bin/.wh.gcc\n"
    if engine.name == "podman" or in_containerd(engine):
        # They take such a file for a whiteout, and so in a container of the image.
        gone = {"check": "command", "command": "test ! -e /usr/bin/gcc"}
        assert grade(marked, [ABSENT, gone], on=on).status is Status.PASSED
        return
    (check,) = grade(marked, [ABSENT], on=on).checks
    assert (check.status, check.fault) == (Status.FAILED, Fault.LEARNER)
    assert ".wh." in check.got


@pytest.mark.parametrize("local", [True, False])
def test_a_real_deletion_is_one(grade: Grade, engine: Engine, *, local: bool) -> None:
    on = engine if local else replace(engine, local=False)
    (check,) = grade(GCC + "RUN rm /usr/bin/gcc\n", [ABSENT], on=on).checks
    assert check.status is Status.PASSED


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("name", [".wh..wh..opq", ".wh..wh.gcc", ".wh..gcc"])
def test_files_with_names_that_engines_keep_for_themselves_hide_nothing(
    grade: Grade, engine: Engine, name: str, *, local: bool
) -> None:
    on = engine if local else replace(engine, local=False)
    (check,) = grade(f"FROM python:3.11\nRUN touch /usr/bin/{name}\n", [ABSENT], on=on).checks
    assert (check.status, check.fault) == (Status.FAILED, Fault.LEARNER), check.got


HELPER = "FROM python:3.11 AS b\nRUN cp $(readlink -f $(which gcc)) /helper\nFROM python:3.11-slim\n"


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize(
    "lines",
    [
        "COPY --from=b /helper /usr/local/bin/helper\n",
        "COPY --from=b /helper /usr/local/bin/helper\nRUN chmod a-x /usr/local/bin/helper\n",
        "COPY --from=b /helper /usr/local/bin/.python\nRUN ln -s /usr/local/bin/.python /usr/bin/x\n",
        "COPY --from=b /helper /srv/gcc.txt\n",
    ],
    ids=["another name", "not executable", "behind a symlink", "with an ending"],
)
def test_a_compiler_under_another_name_is_one(grade: Grade, engine: Engine, lines: str, *, local: bool) -> None:
    on = engine if local else replace(engine, local=False)
    (check,) = grade(HELPER + lines, [ABSENT], on=on).checks
    assert (check.status, check.fault, check.line) == (Status.FAILED, Fault.LEARNER, 5 if "chmod" in lines else 4)
    assert "which is gcc by what is in it" in check.got


@pytest.mark.parametrize("local", [True, False])
def test_a_compiler_in_a_layer_below_is_one(grade: Grade, engine: Engine, *, local: bool) -> None:
    on = engine if local else replace(engine, local=False)
    lines = "COPY --from=b /helper /usr/local/bin/helper\nRUN rm /usr/local/bin/helper\n"
    final, anywhere = grade(
        HELPER + lines, [ABSENT | {"id": "final"}, ABSENT | {"id": "anywhere", "anywhere": True}], on=on
    ).checks
    assert (final.status, anywhere.status, anywhere.line) == (Status.PASSED, Status.FAILED, 4)
    assert "hidden by line 5" in anywhere.got


@pytest.mark.parametrize("root", ["/proc/self/root", "../../proc/1/root", "/proc/thread-self/root"])
def test_a_way_through_proc_leads_where_it_leads_in_a_container(root: str) -> None:
    entries = {
        "usr": Entry("dir", mode=0o755),
        "usr/bin": Entry("dir", mode=0o755),
        "usr/bin/gcc": Entry("symlink", target=f"{root}/opt/tool"),
        "opt": Entry("dir", mode=0o755),
        "opt/tool": Entry("file", 5, 0o755),
        "proc": Entry("dir", mode=0o755),
    }
    assert resolve(merge([Layer("sha256:0", entries)], 0).files, "usr/bin/gcc") == "opt/tool"


def test_folders_deeper_than_a_path_can_be_long_are_read(grade: Grade, engine: Engine) -> None:
    if in_containerd(engine):
        pytest.skip("containerd's store makes no such image")
    deep = "import os; n='d'*200; [(os.mkdir(n), os.chdir(n)) for _ in range(25)]"
    result = grade(f'FROM python:3.11-slim\nRUN python3 -c "{deep}"\n', [ABSENT])
    assert result.status is Status.PASSED, result.problem or result.checks


def test_a_pipe_as_the_list_of_users_does_not_hang_the_engine(grade: Grade) -> None:
    dockerfile = 'FROM python:3.11-slim\nRUN rm /etc/passwd && mkfifo /etc/passwd\nUSER www-data\nCMD ["sleep", "9"]\n'
    (check,) = grade(
        dockerfile, [{"check": "http", "get": "/"}], app={"port": 5000, "ready": {"path": "/", "within": "3s"}}
    ).checks
    assert (check.status, check.fault) == (Status.FAILED, Fault.LEARNER)
    assert "/etc/passwd" in check.got


def test_headers_that_make_their_parser_stumble_are_no_bug_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def stumble(*_: object) -> None:
        raise TypeError("'<' not supported")

    monkeypatch.setattr("grader.engine.running.ask._exchange", stumble)
    assert ask({"within": 1})["kind"] == "protocol"


def test_an_image_too_large_to_finish_is_the_learners() -> None:
    step = Step("exporting to image", None, "exporting to image", "", False, None, "", None, "")
    assert isinstance(blame.timeout(step, 5, engine_hung=True), SubmissionError)
    assert isinstance(blame.timeout(None, 5, engine_hung=True), EngineError)


@pytest.mark.parametrize(
    "log",
    [
        "curl: (7) Failed to connect to example port 443",
        "wget: unable to resolve host address",
        "npm error code EAI_AGAIN",
    ],
)
def test_more_ways_of_saying_that_the_network_is_gone(log: str) -> None:
    step = Step("[1/2] RUN x", 2, "RUN x", "", False, 1.0, "exit code: 1", 1, log)
    assert isinstance(blame.failure("exit code: 1", step), EngineError)

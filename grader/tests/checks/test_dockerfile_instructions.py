from __future__ import annotations

import pytest

from grader.errors import RubricError
from grader.result import Status
from grader.tests.checks.dockerfiles import faults, judged, lines

ORDER = "order: [COPY requirements.txt, RUN pip install, COPY .]"
CACHED = "FROM a\nWORKDIR /app\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\n"
DEPS = "FROM a AS deps\nCOPY requirements.txt .\nRUN pip install x\n"
EARLY = "FROM a\nCOPY . .\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\n"


@pytest.mark.parametrize(
    "dockerfile",
    [
        CACHED,
        CACHED + "RUN pip install .\n",
        "FROM a\nCOPY --chown=1 ./requirements.txt ./\nRUN python -m pip install x\nADD x /x\nCOPY ./ /app\n",
        'FROM a\nCOPY ["requirements.txt", "."]\nRUN ["/venv/bin/pip", "install", "x"]\nCOPY --chown=1:1 . .\n',
        "FROM a\nCOPY req*.txt .\nRUN <<EOF\npip install x\nEOF\nCOPY * .\n",
        "FROM a\nCOPY requirements.txt .\nRUN --mount=type=cache,target=/c \\\n# hi\n  pip install x\nCOPY . .\n",
        f"{DEPS}FROM deps\nCOPY . .\n",
        f"{DEPS}FROM deps AS b\nCOPY b .\nFROM deps\nCOPY --from=b /b .\nCOPY . .\n",
        "FROM x AS wheels\nCOPY . /src\nFROM a\nCOPY --from=wheels . .\n" + CACHED.removeprefix("FROM a\n"),
        "FROM a AS idle\nCOPY . .\nRUN pip install x\n" + CACHED,
        "FROM a AS base\nONBUILD COPY requirements.txt .\nONBUILD RUN pip install x\nFROM base\nCOPY . .\n",
    ],
)  # fmt: skip
def test_an_order_that_is_kept(dockerfile: str) -> None:
    assert faults(ORDER, dockerfile) == []


def test_the_line_that_comes_too_early_is_named() -> None:
    words = "line 2 `COPY . .` comes before line 4 `RUN pip install -r requirements.txt`"
    assert faults(ORDER, EARLY) == [(words, 2)]


@pytest.mark.parametrize(
    ("dockerfile", "found"),
    [
        ("FROM a\nCOPY . .\nRUN pip install x\n",
         [("nothing like `COPY requirements.txt`", 1), ("line 2 `COPY . .` comes before", 2)]),
        ("FROM a\nRUN pip install x\nCOPY requirements.txt .\nCOPY . .\n",
         [("line 2 `RUN pip install x` comes before", 2)]),
        ("FROM a\nCOPY * .\nRUN pip install x\nCOPY . .\n", [("line 2 `COPY * .` comes before", 2)]),
        ("FROM a\nARG S=.\nCOPY $S .\nCOPY requirements.txt .\nRUN pip install x\nCOPY . .\n",
         [("line 3 `COPY $S .` comes before", 3)]),
        ("FROM a\nCOPY requirements.txt .\nRUN true # pip install\nCOPY . .\nRUN pip install x\n",
         [("line 4 `COPY . .` comes before", 4)]),
        ("FROM a\nCOPY requirements.txt .\nCOPY . .\n", [("no instruction is like `RUN pip install`", 1)]),
        ("FROM a\nCOPY requirements.txt .\nRUN pipx install x\nCOPY . .\n", [("no instruction is like", 1)]),
        ("FROM a\nCOPY requirements.txt .\nRUN pip install x\nCOPY .env .\nCOPY app.py .\n",
         [("nothing like `COPY .`", 1)]),
        # A stage beside it that is as it should be does not help the one that installs.
        (f"{CACHED.replace('FROM a', 'FROM a AS ok')}FROM b\nCOPY --from=ok /x /x\nCOPY . .\nRUN pip install y\n",
         [("nothing like `COPY requirements.txt`", 6), ("line 8 `COPY . .` comes before", 8)]),
    ],
)  # fmt: skip
def test_an_order_that_is_not_kept(dockerfile: str, found: list[tuple[str, int]]) -> None:
    told = faults(ORDER, dockerfile)
    assert len(told) == len(found)
    for (what, line), (words, wanted) in zip(told, found, strict=True):
        assert words in what
        assert line == wanted


def test_an_order_without_a_run() -> None:
    text = "order: [USER, CMD]"
    assert faults(text, "FROM a\nUSER 1\nCMD x\n") == []
    assert lines(text, "FROM a\nCMD x\nUSER 1\n") == [2]
    assert faults("order: [COPY a, COPY b]", "FROM a\nCOPY a b /\n") == [
        ("line 2 is `COPY a` and `COPY b` in one: `COPY a b /`", 2)
    ]


@pytest.mark.parametrize(
    ("pattern", "instruction", "fits"),
    [
        ("ADD", "ADD x /x", True),
        ("add", "ADD x /x", True),
        ("ADD", "COPY ADD /x", False),
        ("ADD", "RUN <<EOF\nADD x\nEOF", False),
        ("ADD", "# ADD x /x", False),
        ("ADD", "RUN echo \\\n# hi\n  ADD x", False),
        ("MAINTAINER", "MAINTAINER me", True),
        ("COPY a", "COPY a /x", True),
        ("COPY a", "COPY x y ./a /z/", True),
        ("COPY a", "COPY x a", False),
        ("COPY a", "COPY --from=s a /x", False),
        ("COPY --from=s a", "COPY --from=s a /x", True),
        ("COPY --from=s a", "COPY --from=t a /x", False),
        ("COPY --from=* a", "COPY --from=t a /x", True),
        ("COPY --from a", "COPY a /x", False),
        ("COPY", "COPY --from=s a /x", True),
        ("COPY --chown", "COPY --chown=1:1 a /x", True),
        ("COPY --chown", "COPY --chmod=700 a /x", False),
        ("COPY --chown=app:*", "COPY --chown=app:app a /x", True),
        ("COPY --chown=app:*", "COPY --chown=root:app a /x", False),
        ("COPY a", "COPY sub/../a /x", True),
        ("COPY *.py", "COPY app.py /x", True),
        ("ADD https://*", "ADD https://example.org/x /x", True),
        ("ADD https://*", "ADD x /x", False),
        ("ENV *PASSWORD*", "ENV DB_PASSWORD=x", True),
        ("ENV *PASSWORD*", "ENV A=1 \\\n  'DB_PASSWORD'=x", True),
        ("ENV *PASSWORD*", "ENV DB_PASSWORD a value", True),
        ("ENV *PASSWORD*", "ENV HOME=/PASSWORDS", True),
        ("ENV PASSWORD", "ENV A=PASSWORD", False),
        ("ENV A=1", "ENV B=2 A=1", True),
        ("ENV A=1", "ENV A=12", False),
        ("ARG TOKEN", "ARG TOKEN=x", True),
        ("ARG TOKEN", "ARG MY_TOKEN", False),
        ("LABEL org.*", 'LABEL "org.x"="y"', True),
        ("USER root", "USER root", True),
        ("USER root", "USER rooted", False),
        ("USER 0", "USER 1000", False),
        ("EXPOSE 5000", "EXPOSE 80 5000/tcp", True),
        ("EXPOSE 5000", "EXPOSE 5000/udp", False),
        ("WORKDIR /app", "WORKDIR /app/", True),
        ("WORKDIR /app", "WORKDIR /app/x", False),
        ("VOLUME /data", 'VOLUME ["/x", "/data"]', True),
        ("CMD python app.py", 'CMD ["python", "app.py"]', True),
        ("CMD python app.py", "CMD exec python app.py", True),
        ("CMD python app.py", "CMD gunicorn app:app", False),
        ("HEALTHCHECK NONE", "HEALTHCHECK NONE", True),
        ("HEALTHCHECK NONE", "HEALTHCHECK CMD true", False),
        ("HEALTHCHECK --interval", "HEALTHCHECK --interval=5s CMD true", True),
        ("ONBUILD", "ONBUILD RUN x", True),
        ("ADD", "ONBUILD ADD x /x", True),
        ("RUN pip install", "RUN apt-get update && (pip install x)", True),
        ("RUN pip install", "RUN pip3 install x", False),
        ("RUN pip* install", "RUN pip3 install x", True),
        ("RUN pip install", "RUN pip --quiet install x", False),
        ("RUN pip * install", "RUN pip --quiet install x", True),
        ("RUN pip install", "RUN sh -c 'pip install x'", True),
        ("RUN pip install --no-cache-dir", "RUN pip install --no-cache-dir x", True),
        ("RUN --mount=type=cache", "RUN --mount=target=/c,type=cache x", True),
        ("RUN --mount=type=cache", "RUN --mount=type=bind,target=/c x", False),
        ("RUN --mount=type=cache,target=/c pip", "RUN --mount=type=cache,dst=/c pip install x", True),
        ("RUN --mount=type=cache,target=/c pip", "RUN --mount=type=cache,dst=/d pip install x", False),
        ("RUN --mount=type=bind,from=s", "RUN --mount=from=s,target=/c x", True),
        ("RUN --mount", "RUN x", False),
        ("FROM *:latest", "USER 1\nFROM b:latest", True),
    ],
)
def test_patterns_for_instructions(pattern: str, instruction: str, fits: bool) -> None:  # noqa: FBT001
    dockerfile = f"FROM a\nENV X=1\n{instruction}\n"
    text = 'check: dockerfile, instructions: {forbidden: ["' + pattern + '"]}'
    outcome = judged(text, dockerfile)
    assert (outcome.status is Status.FAILED) is fits
    if fits:
        assert outcome.line == 3 + instruction.startswith("USER 1\n")
        assert f"line {outcome.line} is `" in outcome.got


def test_what_must_be_there_is_carried_out_for_the_final_image() -> None:
    text = "instructions: {required: [USER]}"
    assert faults(text, "FROM a\nUSER 1\n") == []
    assert faults(text, "FROM a AS x\nUSER 1\nFROM b\nCOPY --from=x /a /a\n") == []
    assert faults(text, "FROM a AS x\nUSER 1\nFROM b\n") == [("no instruction is like `USER`", 3)]
    assert lines(text, "FROM a\nONBUILD USER 1\n") == [1]
    assert faults(text, "FROM a AS x\nONBUILD USER 1\nFROM x\n") == []


def test_which_stage_is_meant() -> None:
    user = "FROM a AS x\nUSER 1\nADD a /a\nFROM {}\nCOPY --from=x /a /a\n"
    wanted = "instructions: {required: [USER], stage: final}"
    assert faults(wanted, user.format("b")) == [("no instruction is like `USER` in the final stage", 4)]
    assert faults(wanted, "FROM a AS x\nUSER 1\nFROM x\n") == []
    assert faults("instructions: {forbidden: [ADD], stage: final}", user.format("b")) == []
    assert lines("instructions: {forbidden: [ADD]}", user.format("b")) == [3]
    assert lines("instructions: {forbidden: [ADD], stage: final}", "FROM a AS x\nADD a /a\nFROM x\n") == [2]
    assert lines('instructions: {forbidden: ["ARG *TOKEN*"]}', "ARG A_TOKEN=x\nFROM a\n") == [1]


@pytest.mark.parametrize(
    ("text", "dockerfile", "found"),
    [
        ("forbidden: [upgrade]", "FROM a\nRUN apt-get \\\n  # hi\n  upgrade\n", [2]),
        ("forbidden: ['apt-get upgrade']", "FROM a\nRUN apt-get \\\n  # hi\n  upgrade\nRUN apt-get upgrade\n", [2, 5]),
        ("forbidden: [upgrade]", "FROM a\n# RUN upgrade\nENV upgrade=1\nRUN true # upgrade\n", []),
        ("forbidden: [upgrade]", "FROM a\nRUN <<EOF\n# upgrade\ntrue\nEOF\n", []),
        ("forbidden: [upgrade]", "FROM a\nRUN <<EOF\ntrue\nupgrade\nEOF\n", [2]),
        ("forbidden: [upgrade]", "FROM a\nCOPY <<EOF /x\nupgrade\nEOF\n", []),
        ("forbidden: [upgrade]", "FROM a\nONBUILD RUN upgrade\n", [2]),
        ("forbidden: ['^sh -c apt']", 'FROM a\nRUN ["sh", "-c", "apt x"]\n', [2]),
        ("forbidden: ['pip install(?!.*--no-cache-dir)']", "FROM a\nRUN pip install \\\n  x --no-cache-dir\n", []),
        ("forbidden: ['pip install(?!.*--no-cache-dir)']", "FROM a\nRUN pip install x # --no-cache-dir\n", [2]),
        ("required: ['--no-cache-dir']", "FROM a\nRUN pip install x --no-cache-dir\n", []),
        ("required: ['--no-cache-dir']", "FROM a\nRUN pip install x # --no-cache-dir\n", [1]),
        ("required: ['^true$']", "FROM a\nRUN --network=none true\n", []),
        ("required: [make]", "FROM a AS idle\nRUN make\nFROM b\n", [3]),
        ("required: [make]", "FROM a AS x\nRUN make\nFROM b\nCOPY --from=x /a /a\n", []),
        ("required: [make], stage: final", "FROM a AS x\nRUN make\nFROM b\nCOPY --from=x /a /a\n", [3]),
        ("required: [make]", "FROM a\nCMD make\n", [1]),
    ],
)
def test_commands_of_run(text: str, dockerfile: str, found: list[int]) -> None:
    assert lines("run: {" + text + "}", dockerfile) == found


def test_the_command_is_quoted() -> None:
    assert faults("run: {forbidden: [upgrade]}", "FROM a\nRUN apt-get \\\n  upgrade\n") == [
        ("line 2 has `upgrade`: `RUN apt-get upgrade`", 2)
    ]


def test_an_expression_that_takes_for_ever_is_the_authors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.checks._text._MATCH_WITHIN", 0.3)
    with pytest.raises(RubricError, match="takes more than"):
        faults("run: {forbidden: ['(a+)+$']}", f"FROM a\nRUN {'a' * 60}!\n")

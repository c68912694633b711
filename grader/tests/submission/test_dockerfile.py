"""Dockerfiles, easy and hard, to stages and instructions."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import pytest
from e2b_dockerfile_utils import DockerfileSyntaxError, ShellLex, parse_dockerfile_ast
from hypothesis import given
from hypothesis import strategies as st

from grader.submission import dockerfile, instructions
from grader.submission.dockerfile import (
    DockerfileError,
    NoStageError,
    mounts,
    neutralise_syntax,
    other_readings,
    parse,
)
from grader.submission.steps import told


def bases(text: str) -> list[str]:
    return [stage.base for stage in parse(text.encode()).stages]


def refused(text: str | bytes) -> DockerfileError:
    with pytest.raises(DockerfileError) as caught:
        parse(text if isinstance(text, bytes) else text.encode())
    error = caught.value
    assert error.what
    assert error.fix
    assert error.where == f"Dockerfile:{error.line}"
    return error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a\n", ["a"]),
        ("from a as B\nfrom b\n", ["a", "b"]),
        ("FROM a\r\nRUN x \\\r\n  y\r\nFROM b\r\n", ["a", "b"]),
        ("\ufeffFROM a\n", ["a"]),
        ("FROM a", ["a"]),
        ('FROM "a"\n', ["a"]),
        ("FROM a\\\nb\n", ["ab"]),
        ("  \t FROM a\n", ["a"]),
        ("\\\nFROM a\n", ["a"]),
        ("FROM --platform=linux/arm64 a\n", ["a"]),
        # FROM that is none
        ("FROM a\nRUN <<EOF\nFROM b\nEOF\n", ["a"]),
        ("FROM a\nRUN <<-'E O'\nFROM b\n\tE O\nFROM c\n", ["a", "c"]),
        ("FROM a\nCOPY <<A <<B /x/\nFROM b\nA\nFROM c\nB\n", ["a"]),
        ("FROM a\nONBUILD RUN <<EOF\nFROM b\nEOF\nFROM c\n", ["a", "c"]),
        ('FROM a\nRUN ["<<EOF"]\nFROM b\n', ["a", "b"]),
        ('FROM a\nONBUILD RUN ["<<EOF"]\nFROM b\n', ["a", "b"]),
        ("FROM a\nCMD <<EOF\nFROM b\n", ["a", "b"]),
        ("FROM a\n# FROM b \\\nFROM c\n", ["a", "c"]),
        ("FROM a\nRUN x \\\nFROM b\n", ["a"]),
        ("FROM a\nRUN x \\\n# note\n  # FROM b\n\n\n y\nFROM c\n", ["a", "c"]),
        ("FROM a\nRUN x \\\\\nFROM b\n", ["a", "b"]),
        ("FROM a\nRUN x \\ \t\nFROM b\n", ["a"]),
        # escape
        ("# escape=`\nFROM a\nRUN x `\nFROM b\n", ["a"]),
        ("# escape=`\nFROM a\nRUN x \\\nFROM b\n", ["a", "b"]),
        ("# syntax=docker/dockerfile:1\n#ESCAPE = `\nFROM a\nRUN x `\nFROM b\n", ["a"]),
        ("\n# escape=`\nFROM a\nRUN x `\nFROM b\n", ["a", "b"]),
        ("# note\n# escape=`\nFROM a\nRUN x `\nFROM b\n", ["a", "b"]),
        ("#!/x\n# escape=`\nFROM a\nRUN x `\nFROM b\n", ["a", "b"]),
        ("# what=ever\n# escape=`\nFROM a\nRUN x `\nFROM b\n", ["a", "b"]),
        # ARG
        ("ARG V=1\nFROM a:$V\n", ["a:1"]),
        ("ARG V=1 W=2\nFROM a:${V}${W}\n", ["a:12"]),
        ("ARG V=1\nARG W=$V-x\nFROM a:${W}\n", ["a:1-x"]),
        ("ARG V\nFROM a:${V:-2}\n", ["a:2"]),
        ("FROM a:${V:-${W:-3}}\n", ["a:3"]),
        ("ARG V=1\nFROM a:${V:+yes}\n", ["a:yes"]),
        ("ARG V=3.11-slim\nFROM a:${V%-*}\n", ["a:3.11"]),
        ('ARG V="1"\nFROM a:$V\n', ["a:1"]),
        ("ARG V=1\nARG V=2\nFROM a:$V\n", ["a:2"]),
        ("ARG V=1\nFROM a\nARG V=2\nFROM b:$V\n", ["a", "b:1"]),
    ],
)
def test_stages(text: str, expected: list[str]) -> None:
    assert bases(text) == expected


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("", 1, "FROM"),
        ("\n \n", 1, "FROM"),
        ("# only\n# comments\n", 1, "FROM"),
        ("ARG X=1\n", 1, "FROM"),
        (b"FROM a\nRUN \0\n", 2, "binary"),
        (b"FROM a\nRUN \xff\n", 2, "UTF-8"),
        ("FROM a\n".encode("utf-16"), 1, "UTF-16"),
        ("FORM a\n", 1, "Did you mean FROM?"),
        ("FROM a\n\nRUNN x\n", 3, "Did you mean RUN?"),
        ("FROM a\nRUN x\n  && y\n", 3, "lack"),
        ("FROM a\nWORKD\u0131R /\n", 2, "Unknown"),
        ("ENV A=1\nFROM a\n", 1, "before the first FROM"),
        ("\nFROM\n", 2, "names no image"),
        ("FROM --platform=x\n", 1, "names no image"),
        ("FROM a b\n", 1, "AS"),
        ("FROM a AS\n", 1, "AS"),
        ("FROM a OF b\n", 1, "AS"),
        ("FROM a AS 1b\n", 1, "cannot name"),
        ("FROM a # comment\n", 1, "AS"),
        ("FROM $X\n", 1, "empty"),
        ("ARG X\nFROM ${X}\n", 2, "empty"),
        ("FROM ${X:?needed}\n", 1, "expand"),
        ("FROM ${X\n", 1, "expand"),
        ("FROM a\nRUN <<EOF\nx\n", 2, "never closed"),
        ("FROM a\nRUN <<EOF\n EOF\n", 2, "never closed"),
        ("FROM a\nONBUILD RUN <<EOF\nx\n", 2, "never closed"),
        ("FROM a\nCOPY --form=x a b\n", 2, "Did you mean `--from`?"),
        ("FROM a\nCOPY --FROM=x a b\n", 2, "no flag"),
        ("FROM a\nCOPY --chown x a b\n", 2, "value"),
        ("FROM a\nCOPY --from=x --from=y a b\n", 2, "twice"),
        ("FROM a\nUSER --x y\n", 2, "no flag"),
        ("FROM a\nCOPY x\n", 2, "2 arguments"),
        ("FROM a\nWORKDIR\n", 2, "argument"),
        ("FROM a\nENV X\n", 2, "two arguments"),
        ("FROM a\nCMD [1]\n", 2, "strings"),
        ("FROM a\nCOPY --from=1 x y\n", 2, "no stage 1"),
        ("FROM a\nCOPY --from=0 x y\n", 2, "itself"),
        ("FROM a AS b\nCOPY --from=B x y\n", 2, "itself"),
        ("FROM a\nONBUILD\n", 2, "ONBUILD"),
        ("FROM a\nONBUILD FROM b\n", 2, "ONBUILD"),
        ("FROM a\nONBUILD ONBUILD RUN x\n", 2, "ONBUILD"),
        ("# escape=x\nFROM a\n", 1, "escape"),
        ("# escape=`\n# escape=`\nFROM a\n", 2, "two"),
        ("# syntax=a\n# syntax=b\nFROM a\n", 2, "two"),
        ("# a=b\n# syntax=a\n# syntax=b\nFROM a\n", 3, "two"),
        ("#\u00a0escape=`\nFROM a\n", 1, "invisible"),
        ("FROM a\nRUN x \\\r\r\nFROM b\n", 2, "carriage"),
        ('FROM a\nRUN --mount=\\"type=x y\n', 2, "key=value"),
        ("FROM a\nRUN " + "${a:-" * 40 + "}" * 40 + " <<EOF\nEOF\n", 2, "nested"),
        ("CMD " + "[" * 100_000 + "\n", 1, ""),
    ],
)
def test_refused_with_line_and_remedy(text: str | bytes, line: int, word: str) -> None:
    error = refused(text)
    assert error.line == line
    assert word in f"{error.what} {error.fix}"


@pytest.mark.parametrize(
    "rest",
    [
        "CMD",
        "ENTRYPOINT []",
        'CMD ["a"] b',
        "CMD [",
        "CMD -- a",
        "COPY a / \\",
        "COPY --from= a /",
        "ONBUILD NONSENSE x",
        "ONBUILD COPY --wrong x",
        "COPY --from=99999999999999999999999 a /",
        "COPY --link --chmod=644 --exclude=a --exclude=b a /",
        "RUN --mount=type=cache,target=/a --mount=type=secret,id=b x",
        "RUN echo 'odd <<EOF",
        "ENV a b c",
        "LABEL a=1 b='2 3'",
        "MAINTAINER me",
        "HEALTHCHECK --interval=5s CMD x",
        'SHELL ["/bin/sh"]',
    ],
)
def test_what_buildkit_builds_is_accepted(rest: str) -> None:
    assert len(parse(f"FROM a\n{rest}\n".encode()).stages) == 1


@pytest.mark.parametrize("text", ["", "# x", "ARG A", "ARG A=1\nARG B=FROM\n"])
def test_no_stage_has_an_error_of_its_own(text: str) -> None:
    assert isinstance(refused(text), NoStageError)


def test_instruction_parts() -> None:
    text = (
        "ARG X=1\nFROM a AS Build\n\nRUN --mount=type=cache,target=/c pip \\\n"
        '  # why\n  install <<EOF\nbody\n\nEOF\nCMD ["x", "y"]\n'
    )
    dockerfile = parse(text.encode())
    run, cmd = dockerfile.final.instructions
    assert (run.keyword, run.line, run.end_line) == ("RUN", 4, 9)
    assert run.text == "RUN --mount=type=cache,target=/c pip   install <<EOF"
    assert run.flags == ("--mount=type=cache,target=/c",)
    assert run.args == ("pip   install <<EOF",)
    assert run.heredocs == ("body\n\n",)
    assert (cmd.exec_form, cmd.args, cmd.line, cmd.end_line) == (True, ("x", "y"), 10, 10)
    assert dockerfile.final.name == "build"
    assert dockerfile.final.from_instruction.line == dockerfile.final.line == 2
    assert [each.args for each in dockerfile.global_args] == [("X=1",)]
    assert dockerfile.lines[1] == "FROM a AS Build"
    assert len(dockerfile.lines) == 10


def test_onbuild_keeps_its_words_and_parses_its_trigger() -> None:
    (onbuild,) = parse(b"FROM a\nonbuild copy --from=b  x y\n").final.instructions
    assert (onbuild.keyword, onbuild.args) == ("ONBUILD", ("copy", "--from=b", "x", "y"))
    assert onbuild.trigger is not None
    assert (onbuild.trigger.keyword, onbuild.trigger.flags) == ("COPY", ("--from=b",))


MULTI = b"""FROM img:1 AS Base
WORKDIR /w
FROM BASE AS builder
RUN make
FROM img:1 AS unused
COPY --from=tool:2 /t /t
FROM scratch AS data
COPY a /a
FROM base
COPY --from=Builder /x /x
COPY --from=3 /a /a
RUN --mount=from=mnt:3,target=/m --mount=type=cache,target=/c --mount=type=cache,from=builder,target=/d cp
ONBUILD COPY --from=onb:4 a b
"""


def test_stage_graph() -> None:
    found = parse(MULTI)
    assert [stage.parent for stage in found.stages] == [None, 0, None, None, 0]
    assert [stage.index for stage in found.chain(found.final)] == [0, 4]
    assert found.base_image(found.stages[1]) == "img:1"
    assert found.base_image(found.stages[3]) == "scratch"
    assert [(c.source, c.stage, c.keyword, c.line) for c in found.copies(found.final)] == [
        ("Builder", 1, "COPY", 10),
        ("3", 3, "COPY", 11),
        ("mnt:3", None, "RUN", 12),
        ("builder", 1, "RUN", 12),
        ("onb:4", None, "COPY", 13),
    ]
    assert found.external_images() == (("img:1", 1), ("img:1", 5), ("tool:2", 6), ("mnt:3", 12), ("onb:4", 13))
    assert found.reachable(found.final) == {0, 1, 3}
    assert found.reachable(found.stages[0]) == frozenset()
    assert [each.keyword for each in found.final_instructions()] == ["WORKDIR", "COPY", "COPY", "RUN", "ONBUILD"]


def test_a_repeated_stage_name_means_the_latest_for_from_and_the_last_for_copy() -> None:
    found = parse(b"FROM a AS x\nFROM x AS y\nCOPY --from=x a b\nFROM c AS x\nFROM x\n")
    assert [stage.parent for stage in found.stages] == [None, 0, None, 2]
    assert [copy.stage for copy in found.copies(found.stages[1])] == [2]


def test_copies_that_go_round_in_a_circle_end() -> None:
    found = parse(b"FROM a AS x\nCOPY --from=y a b\nFROM b AS y\nCOPY --from=x a b\n")
    assert found.reachable(found.final) == {0}


@pytest.mark.parametrize(
    ("head", "value", "line"),
    [
        ("# syntax=x/y:1", "x/y:1", 1),
        ("#SYNTAX = x/y:1 more  ", "x/y:1 more", 1),
        ("\ufeff#syntax=x/y", "x/y", 1),
        ("#!/bin/x\n#\tsyntax=x/y", "x/y", 2),
        ("# escape=`\n# syntax=x/y", "x/y", 2),
        ("# unknown=1\n# syntax=x/y", "x/y", 2),
        ("# note\n# syntax=x/y", None, None),
        ("\n# syntax=x/y", None, None),
        (" # syntax=x/y", None, None),
        ("# no syntax", None, None),
    ],
)
def test_syntax_directive(head: str, value: str | None, line: int | None) -> None:
    found = parse(f"{head}\nFROM a\n".encode())
    assert (found.syntax, found.syntax_line) == (value, line)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"# syntax=x\nFROM a\n", b"#\nFROM a\n"),
        (b"# syntax=x\r\nFROM a\r\n", b"#\r\nFROM a\r\n"),
        (b"\xef\xbb\xbf# syntax=x\nFROM a", b"\xef\xbb\xbf#\nFROM a"),
        (b"#!/x\n# syntax=x\nFROM a\n", b"#!/x\n#\nFROM a\n"),
        (b"# syntax=x\r\n# escape=`\nFROM a\n", b"# escape=`\r\n#\nFROM a\n"),
        (b"FROM a\n# syntax=x\n", b"FROM a\n# syntax=x\n"),
        (b"\xff# syntax=x", b"\xff# syntax=x"),
    ],
)
def test_neutralised_syntax(before: bytes, after: bytes) -> None:
    assert neutralise_syntax(before) == after


def test_neutralising_keeps_what_the_other_directives_say() -> None:
    text = b"# syntax=x\n# escape=`\nFROM a\nRUN x `\n  y\n"
    neutral = parse(neutralise_syntax(text))
    assert neutral.syntax is None
    assert neutral.stages == parse(text).stages


def test_mounts() -> None:
    (run,) = parse(b'FROM a\nRUN --mount=TYPE=Secret,id=k,\\"target=a,b\\" x\n').final.instructions
    (mount,) = mounts(run)
    assert (mount.type, mount.source, mount.options["id"], mount.options["target"]) == ("secret", "", "k", "a,b")


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM a\nRUN cat <<CMD\nFROM b\nCMD\n", [["a", "b"]]),
        ("FROM a\nRUN cat <<EOF\nFROM b\nEOF\n", []),
        ("# escape=`\nFROM a\nRUN x `\nFROM b\n", [["a", "b"]]),
        ("FROM a\nRUN x\n", []),
    ],
)
def test_other_readings(text: str, images: list[list[str]]) -> None:
    readings = other_readings(parse(text.encode()))
    assert [[image for image, _ in reading.external_images()] for reading in readings] == images


@pytest.mark.parametrize(
    "text",
    [
        "ARG A=" + "x" * 1000 + "\n" + "".join("ARG A=$A$A\n" for _ in range(60)) + "FROM $A\n",
        f"ARG A={'a' * 5000}\nFROM ${{A#{'*a' * 500}b}}\n",
        f"ARG A={'a' * 500}\nARG P={'*a' * 50}\nFROM ${{A%$P}}\n",
        "FROM a\n" + "CMD\n" * 200_000,
        "FROM a\nRUN " + "\\ " * 400_000 + "x\n" + "FORM",
        "FROM " + "${a:-" * 5000,
    ],
)
def test_hostile_text_is_refused_before_it_costs_much(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is costly is in the library; it is handed little, and nothing that its patterns can go astray in."""
    expanded: list[int] = []
    parsed: list[int] = []

    def expand(self: ShellLex, word: str) -> str:
        values = [word, *self._env.values()]
        assert not (re.search(r"\$\{\w+[#%/]", word) and sum(value.count("*") for value in values) > 2)
        expanded.append(sum(map(len, values)))
        return really_expand(self, word)

    def parse_ast(head: str) -> Any:
        parsed.append(len(head))
        return parse_dockerfile_ast(head)

    really_expand = ShellLex.process_word
    monkeypatch.setattr(ShellLex, "process_word", expand)
    monkeypatch.setattr(instructions, "parse_dockerfile_ast", parse_ast)
    refused(text)
    assert max(expanded, default=0) <= 3 * dockerfile.LONGEST_EXPANSION
    assert len(parsed) <= instructions.MOST_INSTRUCTIONS
    assert max(parsed, default=0) <= dockerfile.LONGEST_LINE + 100


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    with suppress(DockerfileError):
        assert parse(data).stages
    neutralise_syntax(data)


WORDS = st.sampled_from(
    [
        "FROM a",
        "FROM b AS c",
        "RUN x",
        "COPY a b",
        "RUN <<EOF",
        "EOF",
        "COPY <<-A <<B /",
        "\tA",
        "B",
        "CMD ['x']",
        "# note",
        "# escape=`",
        "# syntax=q",
        "",
        " ",
        "\\",
        "`",
        " \\",
        " `",
        "\r",
        "x \\\\",
        "ENV a=1 \\",
        "$X",
        "'",
        '"',
    ]
)
ENDS = st.lists(st.sampled_from(["\n", "\r\n", "\n", "\n", ""]), min_size=12, max_size=12)


@given(st.lists(WORDS, max_size=12), ENDS)
def test_instructions_end_where_the_ported_parser_ends_them(words: list[str], ends: list[str]) -> None:
    text = "FROM z\n" + "".join(word + end for word, end in zip(words, ends, strict=False))
    try:
        theirs = parse_dockerfile_ast(text).instructions
        mine = parse(text.encode())
    except (DockerfileSyntaxError, DockerfileError):
        return
    own = [
        (each.keyword, each.line, each.end_line) for s in mine.stages for each in (s.from_instruction, *s.instructions)
    ]
    assert own == [(each.name, each.start_line, each.end_line) for each in theirs]


@given(st.lists(WORDS, max_size=8))
def test_whatever_parses_answers_every_question(words: list[str]) -> None:
    try:
        found = parse("\n".join(["FROM a", *words]).encode())
    except DockerfileError:
        return
    assert found.external_images()
    assert found.final_instructions() is not None
    for stage in found.stages:
        step = told(f"[{stage.name or f'stage-{stage.index}'} 1/1] FROM {stage.base}", found).instruction
        assert step is stage.from_instruction or stage.parent is not None or stage.base == "scratch" or step
    assert all(1 <= each.line <= each.end_line for each in found.final.instructions)
    assert list(other_readings(found)) is not None

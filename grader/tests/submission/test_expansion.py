"""Dockerfiles whose variables grow: what would fill the engine's memory is refused, and nothing else is."""

from __future__ import annotations

import pytest

from grader.submission.dockerfile import DockerfileError, parse
from grader.submission.expansion import MOST_EXPANDED
from grader.submission.policy import check

LONG = "x" * 60_000


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"FROM a\nENV A={LONG}\n" + "ENV A=$A$A\n" * 30 + "RUN true\n", 10),
        (f"FROM a\nENV A={LONG}\n" + "ENV A=${A}${A:-x}\n" * 30, 10),
        (f"FROM a\nARG A={LONG}\n" + "ARG A=$A$A\n" * 30, 10),
        ("FROM a\n" + "ENV PATH=$PATH:$PATH\n" * 100, 12),
        (f"FROM a AS b\nENV A={LONG}\n" + "ENV A=$A$A\n" * 5 + "FROM b\n" + "ENV A=$A$A\n" * 5, 11),
        (f"ARG A={LONG}\nFROM a\nARG A\n" + "ENV B=$A$A A=$A$A\n" * 30, 10),
        (f"FROM a\nENV A={LONG}\nCOPY <<E /x\n{'$A' * 1000}\nE\n", 3),
        (f"FROM a\nENV A={LONG}\nLABEL a=\"{'$A' * 1000}\"\n", 3),
        (f"FROM a\nENV A={LONG}\nENV B=${{A//x/{'y' * 1000}}}\n", 3),
        (f"FROM a\nENV A={LONG}\nENV B=${{A//x/$A}}\n", 3),
        ("FROM a\n" + "".join(f"ENV A{number}={LONG}\n" for number in range(10)) + "RUN true\n" * 100, 38),
        (f"FROM a AS b\nENV A={LONG}\nONBUILD LABEL a=\"{'$A' * 1000}\"\nFROM b\n", 3),
    ],
    ids=[
        "doubled", "in braces", "ARG", "the base's own", "over stages", "a global ARG", "heredoc", "LABEL",
        "replaced", "replaced by itself", "held by many RUNs", "ONBUILD",
    ],
)  # fmt: skip
def test_what_grows_without_end_is_refused(text: str, line: int) -> None:
    with pytest.raises(DockerfileError, match="16 MiB") as caught:
        check(parse(text.encode()), ["a"])
    assert caught.value.line == line


@pytest.mark.parametrize(
    "text",
    [
        "FROM a\n" + "ENV PATH=/opt/x/bin:$PATH\n" * 20 + "RUN true\n" * 100,
        "ARG V=3.11.2\nFROM a\nARG V\nENV A=${V%.*} B=${V//./-}\nRUN curl $A$B$A\n" * 20,
        f"FROM a\nENV A={LONG}\nRUN {'$A' * 1000}\n",
        f"FROM a\nENV A={LONG}\nCOPY <<E /x\n{'x' * 60_000}\nE\n",
        "FROM a\nARG TARGETARCH\n" + "RUN echo $TARGETARCH\n" * 500,
    ],
    ids=["paths", "versions", "the shell's", "long texts", "many steps"],
)
def test_what_people_write_is_not(text: str) -> None:
    check(parse(text.encode()), ["a"])


def test_the_limit_counts_what_is_filled_in() -> None:
    half = MOST_EXPANDED // 60_000 // 2 + 1
    check(parse(f'FROM a\nENV A={LONG}\nLABEL a="{"$A" * half}"\n'.encode()), ["a"])
    with pytest.raises(DockerfileError):
        check(parse(f'FROM a\nENV A={LONG}\nLABEL a="{"$A" * half}" b="{"$A" * half}"\n'.encode()), ["a"])

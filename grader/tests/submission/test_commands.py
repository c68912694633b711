from __future__ import annotations

import pytest

from grader.submission.commands import command
from grader.submission.dockerfile import parse


def said(instructions: str) -> str:
    """The command of the last instruction."""
    return command(parse(f"FROM scratch\n{instructions}\n".encode()).final.instructions[-1])


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("RUN pip install x", "pip install x"),
        ("RUN --network=none --mount=type=cache,target=/c pip install x", "pip install x"),
        ("RUN pip \\\n      install \\\n# a comment\n      x", "pip install x"),
        ('RUN ["sh", "-c", "pip install x"]', "sh -c pip install x"),
        ("RUN true # pip install x", "true"),
        ("RUN true \\\n  # pip install \\\n  && pip check", "true && pip check"),
        ("RUN echo a#b '# c' \"# d\" \\# e", "echo a#b '# c' \"# d\" \\# e"),
        ("RUN <<EOF\npip install x\nEOF", "<<EOF\npip install x"),
        ("RUN <<EOF\n# pip install x\npip install \\\n    y\nEOF", "<<EOF\n\npip install y"),
        ("RUN sh <<EOF\nsh -c 'true\n# ' ; pip install x\nEOF", "sh <<EOF\nsh -c 'true\n# ' ; pip install x"),
        ("HEALTHCHECK --interval=5s CMD curl localhost", "CMD curl localhost"),
    ],
)
def test_what_a_shell_gets(written: str, text: str) -> None:
    assert said(written) == text


def test_a_quote_that_is_never_closed_takes_no_time() -> None:
    assert said(f'RUN {"x" * 10}" {"# " * 30_000}').startswith("xxxxxxxxxx")

"""What ADD fetches from the network, and what the policy makes of it."""

from __future__ import annotations

import pytest

from grader.submission.dockerfile import parse
from grader.submission.policy import PolicyError, check

BASE = "FROM python:3.11\n"
DATA = "https://example.com/data/*"


def refusal(line: str, *, addresses: tuple[str, ...] = (), network: bool = True, head: str = BASE) -> PolicyError:
    with pytest.raises(PolicyError) as caught:
        check(parse(f"{head}{line}\n".encode()), ["python:3.11"], addresses=addresses, network=network)
    return caught.value


def allowed(line: str, *, addresses: tuple[str, ...] = (), network: bool = True) -> None:
    check(parse(f"{BASE}{line}\n".encode()), ["python:3.11"], addresses=addresses, network=network)


@pytest.mark.parametrize(
    "line",
    [
        "ADD https://example.com/x /x",
        "ADD HTTP://example.com/x /x",
        "ADD --checksum=sha256:00 http://example.com/x /x",
        "ADD app.py https://example.com/x /x/",
        'ADD ["https://example.com/x", "/x"]',
        'ADD ht"tp"://example.com/x /x',
        "ADD http\\://example.com/x /x",
        "ADD git@example.com:me/x.git /x",
        "ADD git://example.com/x /x",
        "ADD ssh://git@example.com/x /x",
        "ADD github.com/me/x /x",
        "ONBUILD ADD https://example.com/x /x",
        # What a front end that knows no heredocs would do.
        "RUN cat <<CMD\nADD https://example.com/x /x\nCMD",
    ],
)
def test_add_fetches_nothing_unless_the_rubric_says_so(line: str) -> None:
    error = refusal(line)
    assert "does not let ADD fetch" in error.what
    assert error.line in (2, 3)
    assert "builds without a network" in refusal(line, network=False).what


@pytest.mark.parametrize("line", ["ADD $X /x", "ARG X=http://evil/\nADD ${X} /x", "ADD a$X /x", 'ADD ["$X", "/x"]'])
def test_what_a_variable_may_make_an_address_is_refused_with_a_way_out(line: str) -> None:
    error = refusal(line, addresses=("*",))
    assert "depends on a variable" in error.what
    assert "./" in error.fix


@pytest.mark.parametrize(
    "line",
    [
        "ADD app.py /x",
        "ADD ./$X /x",
        "ADD /$X /x",
        "ADD http/x /x",
        'ADD "app.tar.gz" /x',
        "ADD <<EOF /x\nhttp://a/\nEOF",
    ],
)
def test_files_of_the_context_are_nobodys_business(line: str) -> None:
    allowed(line)
    allowed(line, network=False)


def test_an_address_that_the_rubric_names_is_fetched() -> None:
    allowed("ADD https://example.com/data/a.csv /x", addresses=(DATA,))
    assert DATA in refusal("ADD https://example.com/other /x", addresses=(DATA,)).fix
    assert refusal("ADD https://example.com.evil/data/a /x", addresses=(DATA,))


def test_without_a_network_no_run_may_ask_for_one() -> None:
    allowed("RUN --network=none true", network=False)
    assert refusal("RUN --network=default true", network=False).line == 2
    assert refusal("ONBUILD RUN --network=default true", network=False).line == 2

from __future__ import annotations

import pytest

from grader.checks._text import found, found_in
from grader.tests.checks.fakes import check


@pytest.mark.parametrize("text", ["a\ud800b", "a\x00b", "aéb", ""])
def test_any_text_can_be_looked_at(text: str) -> None:
    assert found("a.b", text) is bool(text)


def test_each_text_has_its_own_verdict() -> None:
    assert found_in("^b", ["b", "ab", "é\nb", "b\ud800"]) == [True, False, False, True]


def test_a_zero_character_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="zero character"):
        check("check: http, get: /", matches="a\0b")
    assert check("check: http, get: /", matches=r"a\x00b")

"""A part is made once, by whoever asks first, and fails the same way each time."""

from __future__ import annotations

import threading

import pytest

from grader.running import Background, Part


def test_it_is_made_once_and_not_before_it_is_asked_for() -> None:
    numbers = iter([1, 2])
    part = Part(lambda: next(numbers))
    assert part.made is None
    assert [part.get(), part.get(), part.made] == [1, 1, 1]
    assert next(numbers) == 2


def test_what_went_wrong_is_the_same_exception_each_time() -> None:
    def fail() -> None:
        raise ValueError("once")

    part = Part(fail)
    with pytest.raises(ValueError, match="once") as first:
        part.get()
    with pytest.raises(ValueError, match="once") as second:
        part.get()
    assert first.value is second.value
    assert part.made is None


def test_who_asks_meanwhile_waits_for_the_one_that_makes_it() -> None:
    go = threading.Event()
    part = Part(lambda: go.wait(30))
    background = Background()
    part.begin(background)
    assert part.wait(0.01) is False
    assert background.busy()
    go.set()
    assert part.get() is True
    background.join(5)
    assert not background.busy()

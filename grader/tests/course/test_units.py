from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from grader.course.units import ByteSize, Duration, human_size, human_time, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("220MB", 220_000_000),
        ("220MiB", 220 * 1024 * 1024),
        ("1.5 GB", 1_500_000_000),
        ("640kb", 640_000),
        ("2tib", 2 * 1024**4),
        ("7B", 7),
        ("12", 12),
        (4096, 4096),
    ],
)
def test_sizes(text: Any, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["220XB", "220M", "MB", "", "1,5GB", True, None, 1.5, [], "-5MB", "1e3MB"])
def test_what_is_no_size(text: Any) -> None:
    with pytest.raises(ValueError, match="is no size; write it like 220MB"):
        parse_size(text)


@pytest.mark.parametrize("text", [0, -1, "0MB", "-3"])
def test_impossible_sizes(text: Any) -> None:
    with pytest.raises(ValueError, match="more than zero"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1m30s", 90),
        ("1 min 30 s", 90),
        ("500ms", 0.5),
        ("2h", 7200),
        (0.25, 0.25),
        (30, 30),
        ("1.5", 1.5),
    ],
)
def test_durations(text: Any, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["soon", "5 minutes", "1:30", "", True, None, "s"])
def test_what_is_no_duration(text: Any) -> None:
    with pytest.raises(ValueError, match="is no time; write it like 30s"):
        parse_duration(text)


@pytest.mark.parametrize("text", [0, "0s", -1, float("inf"), float("nan")])
def test_impossible_durations(text: Any) -> None:
    with pytest.raises(ValueError, match="more than zero"):
        parse_duration(text)


def test_in_a_model_they_are_plain_numbers() -> None:
    class Limits(BaseModel):
        size: ByteSize
        within: Duration = 3.0

    limits = Limits.model_validate({"size": "1kB"})
    assert (limits.size, limits.within) == (1000, 3.0)
    assert Limits.model_json_schema()["properties"]["size"]["anyOf"][1]["type"] == "string"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (640_000, "640 kB"),
        (999_600, "1 MB"),
        (198_123_456, "198 MB"),
        (1_200_000_000, "1.2 GB"),
        (12_345_678, "12.3 MB"),
        (3_000_000_000_000, "3 TB"),
        (4_567_000_000_000_000, "4570 TB"),
        (-640_000, "-640 kB"),
    ],
)
def test_sizes_in_words(size: int, text: str) -> None:
    assert human_size(size) == text


def test_a_size_just_over_its_limit_does_not_read_like_the_limit() -> None:
    assert human_size(220_000_000, unlike=220_000_001) == "220 MB"
    assert human_size(220_000_001, unlike=220_000_000) == "220.000001 MB"
    assert human_size(220_400_000, unlike=220_000_000) == "220.4 MB"
    assert human_size(220_000_000, unlike=220_000_000) == "220 MB"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.085, "85 ms"),
        (0.0999, "0.1 s"),
        (0.3, "0.3 s"),
        (9.97, "10 s"),
        (59.7, "1 min"),
        (125, "2 min 5 s"),
        (3720, "1 h 2 min"),
        (3600, "1 h"),
    ],
)
def test_times_in_words(seconds: float, text: str) -> None:
    assert human_time(seconds) == text

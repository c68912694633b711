"""How many gradings a machine is good for."""

from __future__ import annotations

import os

import pytest

from grader.bulk import workers


@pytest.mark.parametrize(
    ("cores", "gigabytes", "count"), [(1, 16, 1), (2, 16, 3), (4, 16, 6), (8, 64, 12), (8, 4, 4), (2, 0, 1)]
)
def test_as_many_as_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, cores: int, gigabytes: int, count: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(
        os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": gigabytes * 10**9 // 4096 + 1}.get, raising=False
    )
    assert workers.most() == count

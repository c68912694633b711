from __future__ import annotations

import pytest

from grader.submission.dockerfile import parse


@pytest.mark.parametrize(
    ("dockerfile", "used"),
    [
        ("FROM a\n", [0]),
        ("FROM a AS x\nFROM b\n", [1]),
        ("FROM a AS x\nFROM x\n", [0, 1]),
        ("FROM a AS x\nFROM b\nCOPY --from=x /a /a\n", [0, 1]),
        ("FROM a AS x\nFROM b AS y\nCOPY --from=x /a /a\nFROM c\nCOPY --from=1 /a /a\n", [0, 1, 2]),
        ("FROM a AS x\nFROM b AS y\nCOPY --from=x /a /a\nFROM c\n", [2]),
        ("FROM a AS x\nFROM b\nRUN --mount=from=x,target=/x true\n", [0, 1]),
        ("FROM a AS x\nFROM b\nONBUILD COPY --from=x /a /a\n", [1]),
        ("FROM a AS x\nFROM b AS y\nONBUILD COPY --from=x /a /a\nFROM y\n", [0, 1, 2]),
    ],
)
def test_stages_that_are_built(dockerfile: str, used: list[int]) -> None:
    assert [stage.index for stage in parse(dockerfile.encode()).used] == used


def test_triggers_fire_in_the_stage_that_starts_from_theirs_and_before_its_own() -> None:
    parsed = parse(b"FROM a AS x\nRUN one\nONBUILD RUN <<EOF\ntwo\nEOF\nFROM x AS y\nRUN three\nFROM y\nRUN four\n")
    done = [[(each.keyword, each.line) for each in parsed.carried_out(stage)] for stage in parsed.stages]
    assert done == [[("RUN", 2)], [("RUN", 3), ("RUN", 7)], [("RUN", 9)]]
    assert parsed.carried_out(parsed.stages[1])[0].heredocs == ("two\n",)

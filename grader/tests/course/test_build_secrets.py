"""Secrets of a build in a rubric: which are taken, and what is said of the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from grader.checks import types
from grader.course import rubric
from grader.errors import RubricError

if TYPE_CHECKING:
    from pathlib import Path


def loaded(path: Path, secrets: dict[str, Any]) -> rubric.Rubric:
    file = path / "rubric.yaml"
    content = {
        "format": 1,
        "title": "Secrets",
        "submit": ["Dockerfile"],
        "pass": 1,
        "bases": ["python:3.11"],
        "build": {"secrets": secrets},
        "checks": [{"id": "it", "check": "secrets", "points": 1}],
    }
    file.write_text(yaml.safe_dump(content))
    return rubric.load(file, types())


@pytest.mark.parametrize("text", ["{fresh}", "token-{fresh}", "12345678", "äöüäöüäö"])
def test_a_text_that_can_be_looked_for_is_taken(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, {"pip-token": text}).build.secrets == {"pip-token": text}


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ({"pip-token": "short"}, "8 characters"),
        ({"pip-token": ""}, "8 characters"),
        ({"pip-token": "x {fresh.sha256}"}, "alone"),
        ({"pip token": "{fresh}"}, "pip token"),
        ({"../token": "{fresh}"}, "token"),
        ({"a,src=b": "{fresh}"}, "src"),
    ],
)
def test_others_are_refused_where_they_stand(tmp_path: Path, secrets: dict[str, Any], said: str) -> None:
    with pytest.raises(RubricError, match=said) as refused:
        loaded(tmp_path, secrets)
    assert "rubric.yaml:" in refused.value.where

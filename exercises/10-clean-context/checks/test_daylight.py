"""The app knows days that are drawn at random, so that no answer can be written down beforehand."""

import json
import random
import runpy
from pathlib import Path

import pytest

MAKE_TABLE = Path(__file__).parents[1] / "starter" / "make_table.py"


def test_knows_a_random_day(app):
    """The app says how long a day is, in the North and in the South"""
    minutes = runpy.run_path(str(MAKE_TABLE))["minutes"]
    for sign in (1, -1):
        latitude, day = sign * (random.randint(0, 60) + 0.5), random.randint(1, 365)
        hours, rest = divmod(minutes(latitude, day), 60)
        wanted = json.dumps({"latitude": latitude, "day": day, "hours": hours, "minutes": rest})
        asked = f"/daylight?latitude={latitude}&day={day}"
        answer = app.ask("GET", asked)
        got = answer.body.decode(errors="replace")
        if got != wanted:
            pytest.fail(f"{asked} should give {wanted}, and gives {got[:200] or answer.error}", pytrace=False)

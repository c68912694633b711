"""The app takes a number apart that was put together a moment ago, so that no answer can be written down beforehand."""

import json
import math
import random

import pytest

PRIMES = (2, 3, 5, 7, 11, 13, 101, 211, 307, 1009, 2003, 4001, 7919)


def test_takes_a_random_number_apart(app):
    """The app finds the prime factors of a number"""
    factors = sorted(random.choices(PRIMES, k=4))
    wanted = json.dumps({"n": math.prod(factors), "factors": factors})
    asked = f"/factors?n={math.prod(factors)}"
    answer = app.ask("GET", asked)
    got = answer.body.decode(errors="replace")
    if got != wanted:
        pytest.fail(f"{asked} should give {wanted}, and gives {got[:200] or answer.error}", pytrace=False)

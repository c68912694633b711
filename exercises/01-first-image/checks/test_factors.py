"""The app takes a number apart that was put together a moment ago, so that no answer can be written down beforehand."""

import json
import random

PRIMES = (2, 3, 5, 7, 11, 13, 101, 211, 307, 1009, 2003, 4001, 7919)


def test_takes_a_random_number_apart(app):
    """The app finds the prime factors of a number"""
    factors = sorted(random.choices(PRIMES, k=4))
    n = factors[0] * factors[1] * factors[2] * factors[3]
    answer = app.ask("GET", f"/factors?n={n}")
    try:
        got = json.loads(answer.body)
    except ValueError:
        got = answer.body[:80]
    wanted = {"n": n, "factors": factors}
    assert got == wanted, f"/factors?n={n} should give {wanted}, and gives status {answer.status} with {got}"

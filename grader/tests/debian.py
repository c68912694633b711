"""Programs of Debian packages that tests need beside the engine; the suite installs what is missing."""

from __future__ import annotations

import pytest

from grader.engine import install
from grader.errors import EngineError
from grader.result import silent


def program(name: str, *packages: str) -> str:
    """Where ``name`` is, installed from ``packages`` when it is missing; skips the test where that cannot be done."""
    found = install.find(name)
    if found:
        return found
    if reason := install.supported():
        pytest.skip(f"{name} is missing, and cannot be installed here: {reason}")
    with install._no_services_without_init():
        install._install(list(packages), silent)
    found = install.find(name)
    if not found:
        raise EngineError(f"{', '.join(packages)} brought no {name}", "See what the package holds.", where="apt-get")
    return found

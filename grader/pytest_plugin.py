"""Checks of a rubric as pytest's items: ``pytest --grader-exercise 03 --grader-submission DIR``.

pytest loads this file wherever the grader is installed, so nothing of ours is imported here: without the options there
are no hooks either. What an item does is in `grader.pytest_items`.
"""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of ours; see `pytest --help`."""
    group = parser.getgroup("grader", "checks of a container image's rubric")
    group.addoption("--grader-exercise", metavar="EX", help="run the checks of this exercise, and no other tests")
    group.addoption("--grader-submission", metavar="DIR", help="the folder that is graded")
    group.addoption("--grader-course", metavar="WHERE", help="another course: a folder, an archive or a git repository")
    group.addoption("--grader-yes", action="store_true", help="agree to stand-ins where no image registry is reached")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Before anything of the folders is loaded that pytest was started in."""
    options = early_config.known_args_namespace
    if options.grader_exercise is None:
        if options.grader_submission is not None:
            raise pytest.UsageError("--grader-submission needs --grader-exercise, which says what is graded")
        return
    from grader import pytest_items  # noqa: PLC0415

    pytest_items.prepare(early_config)

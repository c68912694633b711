"""Runs one pytest file of an exercise in this process, so that its tests can look at the subject.

Nothing else is loaded: no conftest.py, no configuration, no plugins of whoever installed some here, no option from the
environment. See pytest's reference, "Command-line Flags".
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from grader import scratch
from grader.errors import GraderError, RubricError, SubmissionError
from grader.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from pathlib import Path

    from grader.checks.subject import Subject

_LINES = 40
#: pytest changes the process that it runs in (`sys.stdout`, for one): one at a time.
_ONE_AT_A_TIME = threading.Lock()
_MARKS = ("points(number): what the test is worth", "hint(text): what to try", "why(text): why it matters")
#: What would watch the whole process, or write files.
_OFF = ("cacheprovider", "terminal", "faulthandler", "threadexception", "unraisableexception", "junitxml")


@dataclass(frozen=True)
class Test:
    """How a test ended.

    ``points`` is None without a mark; ``log`` is the end of pytest's own account of a failure; ``error`` is there when
    the subject could not be made to be tested.
    """

    __test__ = False

    id: str
    title: str
    points: float | None
    why: str
    hints: tuple[str, ...]
    status: Status
    got: str = ""
    log: tuple[str, ...] = ()
    error: SubmissionError | None = None


def run(path: Path, subject: Subject) -> list[Test]:
    """The tests of ``path``, in their order.

    Raises ``RubricError`` for a file that cannot be run, that holds no test, or a test of which raises anything but an
    assertion; whatever a part of the subject raises but a ``SubmissionError``, which fails the test.
    """
    plugin = _Plugin(subject)
    with _ONE_AT_A_TIME, _alone(path), scratch.folder() as folder:
        settings = folder / "pytest.ini"
        settings.write_text("[pytest]\n", encoding="utf-8")
        arguments = [str(path), f"--rootdir={path.parent}", f"--config-file={settings}", "--noconftest"]
        arguments += ["--import-mode=importlib", "--disable-plugin-autoload", "--capture=sys"]
        arguments += [word for name in _OFF for word in ("-p", f"no:{name}")]
        code = pytest.main(arguments, plugins=[plugin])
    return plugin.result(path, int(code))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Without options of the environment, without files written beside the author's, and without a memory of it."""
    options = os.environ.pop("PYTEST_ADDOPTS", None)
    plugins = os.environ.pop("PYTEST_PLUGINS", None)
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        # pytest would take the next exercise's file of the same name for this one.
        for name in [name for name, module in sys.modules.items() if getattr(module, "__file__", None) == str(path)]:
            del sys.modules[name]
        sys.dont_write_bytecode = written
        given = {"PYTEST_ADDOPTS": options, "PYTEST_PLUGINS": plugins}
        os.environ.update({name: value for name, value in given.items() if value is not None})


class _Plugin:
    """The fixtures that tests take, and an ear for how they end."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._tests: list[Test] = []
        self._broken: Exception | None = None
        self._trouble = ""

    def result(self, path: Path, code: int) -> list[Test]:
        if self._broken is not None:
            raise self._broken
        if code == pytest.ExitCode.INTERRUPTED and not self._trouble:
            raise KeyboardInterrupt
        if self._trouble or code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            what = self._trouble or "there is no test in it"
            raise RubricError(f"{path.name} cannot be run: {what}", "Mend the exercise's test.", where=str(path))
        return self._tests

    def _part(self, make: Callable[[], Any]) -> Any:
        """A part of the subject; that it cannot be made is no fault of the test that asks for it."""
        try:
            return make()
        except SubmissionError:
            raise
        except Exception as error:
            self._broken = self._broken or error
            raise

    # --- fixtures; each is made when a test takes it ---

    @pytest.fixture(scope="session")
    def subject(self) -> Subject:
        """Everything that a check may look at."""
        return self._subject

    @pytest.fixture(scope="session")
    def image(self) -> Any:
        """The built image."""
        return self._part(lambda: self._subject.image)

    @pytest.fixture(scope="session")
    def app(self) -> Any:
        """The running app."""
        return self._part(lambda: self._subject.app)

    @pytest.fixture(scope="session")
    def dockerfile(self) -> Any:
        """The parsed Dockerfile."""
        return self._part(lambda: self._subject.dockerfile)

    @pytest.fixture(scope="session")
    def build(self) -> Any:
        """The finished build."""
        return self._part(lambda: self._subject.build)

    @pytest.fixture(scope="session")
    def container(self) -> Callable[..., Any]:
        """Runs a command in a container of the image: ``container(["python", "-V"], within=5).stdout``."""

        def run(args: Sequence[str], **options: Any) -> Any:
            return self._part(lambda: self._subject.run(args, **options))

        return run

    @pytest.fixture(scope="session")
    def fresh(self) -> str:
        """A random value of this run."""
        return self._subject.fresh

    # --- hooks ---

    def pytest_configure(self, config: pytest.Config) -> None:
        for mark in _MARKS:
            config.addinivalue_line("markers", mark)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._trouble = str(report.longrepr).strip().rpartition("\n")[2]

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
        report: pytest.TestReport = (yield).get_result()
        error = call.excinfo.value if call.excinfo else None
        if report.when == "call" or (report.when == "setup" and not report.passed):
            self._note(item, report, error)
        elif error is not None and self._broken is None:
            self._broken = _authors(item, error)

    def _note(self, item: pytest.Item, report: pytest.TestReport, error: BaseException | None) -> None:
        if report.failed and isinstance(error, GraderError) and not isinstance(error, SubmissionError):
            self._broken = self._broken or error
        elif report.failed and error is not None and not _is_verdict(error):
            self._broken = self._broken or _authors(item, error)
        status = Status.PASSED if report.passed else Status.SKIPPED if report.skipped else Status.FAILED
        log = tuple(str(report.longreprtext).splitlines()[-_LINES:]) if report.failed else ()
        got = _said(error) if error else ""
        subjects = error if isinstance(error, SubmissionError) else None
        self._tests.append(replace(_described(item), status=status, got=got, log=log, error=subjects))


def _described(item: pytest.Item) -> Test:
    points, why = item.get_closest_marker("points"), item.get_closest_marker("why")
    documented = (getattr(item.obj, "__doc__", None) or "").strip() if isinstance(item, pytest.Function) else ""
    return Test(
        id=item.name,
        title=documented.partition("\n")[0] or item.name.removeprefix("test_").replace("_", " "),
        points=float(points.args[0]) if points else None,
        why=str(why.args[0]) if why else "",
        hints=tuple(str(mark.args[0]) for mark in item.iter_markers("hint"))[::-1],
        status=Status.SKIPPED,
    )


def _is_verdict(error: BaseException) -> bool:
    """What a test says of the learner's image: an assertion, `pytest.fail`, a skip, or what the subject raised."""
    return isinstance(error, AssertionError | SubmissionError | pytest.fail.Exception | pytest.skip.Exception)


def _said(error: BaseException) -> str:
    text = error.what if isinstance(error, GraderError) else str(error)
    return text.strip().partition("\n")[0] or type(error).__name__


def _authors(item: pytest.Item, error: BaseException) -> RubricError:
    return RubricError(
        f"The test {item.name} raised {type(error).__name__}: {' '.join(str(error).split())[:300]}",
        "Let it assert what it expects; any other exception is a fault of the test.",
        where=f"{item.path.name}:{item.reportinfo()[1] or 0}",
    )

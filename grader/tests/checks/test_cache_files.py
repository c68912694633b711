"""What a rebuild does to the files of an image: which stay the same, and which are added."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from grader.checks._rebuilt import difference
from grader.result import Status
from grader.tests.checks.fakes import FakeImage, check, file, link

if TYPE_CHECKING:
    from grader.engine.connect import Engine
    from grader.result import CheckResult
    from grader.tests.conftest import Grade

BEFORE = {"lib/a.so": "a", "lib/deep/b.so": "b", "lib/c.txt": "c"}


def image(**changes: str | None) -> FakeImage:
    """The files above with other contents, None for one that is gone; ``__`` stands for a slash and ``_`` for a dot."""
    named = {name.replace("__", "/").replace("_", "."): content for name, content in changes.items()}
    content = {path: text for path, text in (BEFORE | named).items() if text is not None}
    return FakeImage([{path: file(len(text)) for path, text in content.items()}], content=content)


@pytest.mark.parametrize("glob", ["/lib/a.so", "lib/*.so", "**/b.so", "**/*.so", "/lib/**"])
def test_files_that_stay_the_same(glob: str) -> None:
    assert difference(image(), image(), [glob], []) is None


@pytest.mark.parametrize(
    ("after", "glob", "told"),
    [
        (image(lib__a_so="other"), "/lib/a.so", "/lib/a.so was made again"),
        (image(lib__deep__b_so="other"), "**/*.so", "/lib/deep/b.so was made again"),
        (image(lib__deep__b_so=None), "**/*.so", "after the rebuild there is no /lib/deep/b.so"),
        (image(), "**/*.dll", "there is no file `**/*.dll` in the image"),
        (image(), "/lib/deep", "there is no file `/lib/deep` in the image"),
    ],
)
def test_files_that_do_not(after: FakeImage, glob: str, told: str) -> None:
    found = difference(image(), after, [glob], [])
    assert found is not None
    assert told in found.told


def test_other_files_may_change() -> None:
    assert difference(image(), image(lib__c_txt="other", lib__d_txt="new"), ["**/*.so"], []) is None


def test_what_is_added_was_not_there_and_is() -> None:
    new = image(lib__new_so="n")
    assert difference(image(), new, [], ["**/new.so"]) is None
    missing = difference(image(), image(), [], ["**/new.so"])
    assert missing is not None
    assert "does not reach the image" in missing.told
    old = difference(new, new, [], ["**/new.so"])
    assert old is not None
    assert "was there before" in old.told


def test_a_symlink_is_no_file() -> None:
    linked = FakeImage([{"lib/a.so": file(), "lib/b.so": link("a.so")}], content={"lib/a.so": "a"})
    assert difference(linked, linked, ["lib/b.so"], []) is not None


def test_one_of_the_two_is_enough_of_a_question() -> None:
    check('check: cache, change: [app.py], unchanged: ["**/a.so"]')
    check('check: cache, change: [app.py], added: ["**/a.so"]')
    with pytest.raises(ValueError, match="leave change"):
        check('check: cache, twice: true, unchanged: ["**/a.so"]')


# --- on a real engine -------------------------------------------------------------------------------------------------

#: Makes a file once for each line of a list, another one each time, and keeps it in /kept.
MADE = """\
FROM debian:bookworm-slim
COPY list /list
RUN {mount}mkdir -p /kept /out; \\
    for word in $(cat /list); do \\
        test -f /kept/$word || cat /proc/sys/kernel/random/uuid > /kept/$word; cp /kept/$word /out; \\
    done; {after}
"""
MOUNT = "--mount=type=cache,target=/kept "
KEPT: dict[str, Any] = {"check": "cache", "change": {"list": "second"}, "unchanged": ["/out/first"]}


def graded(grade: Grade, dockerfile: str, **more: Any) -> CheckResult:
    return grade(dockerfile, [KEPT | more], own={"list": "first\n"}).checks[0]


def test_what_a_cache_mount_keeps_is_not_made_again(grade: Grade) -> None:
    result = graded(grade, MADE.format(mount=MOUNT, after="true"), added=["/out/second"])
    assert result.status is Status.PASSED, result
    assert result.expected == "after a change of list: /out/first as before; /out/second added"


def test_it_is_so_however_often_the_same_is_graded(grade: Grade) -> None:
    # To newer BuildKits a RUN with another cache mounted is the same RUN: it would be taken from the grading before,
    # and the mount of this one stay empty.
    dockerfile = MADE.format(mount=MOUNT, after=f"true {secrets.token_hex(4)}")
    assert [graded(grade, dockerfile).status for _ in range(2)] == [Status.PASSED] * 2


def test_what_nothing_keeps_is(grade: Grade) -> None:
    result = graded(grade, MADE.format(mount="", after="true"), added=["/out/second"])
    assert (result.status, result.line) == (Status.FAILED, 3), result
    assert result.got == "/out/first was made again, and is another one after the rebuild"


def test_steps_and_files_are_asked_together(grade: Grade, engine: Engine) -> None:
    if engine.name == "podman":
        pytest.skip("Podman does not say which steps came from its cache")
    dockerfile = MADE.format(mount=MOUNT, after="true")
    assert graded(grade, dockerfile, rebuilt=["RUN mkdir"]).status is Status.PASSED
    cached = graded(grade, dockerfile, cached=["RUN mkdir"])
    assert (cached.status, cached.line) == (Status.FAILED, 3), cached


def test_no_submission_finds_what_another_one_left_in_a_cache_mount(grade: Grade, engine: Engine) -> None:
    if engine.name == "podman":
        pytest.skip("Podman has no name space for cache mounts")
    name = secrets.token_hex(4)
    leave = f"FROM debian:bookworm-slim\nRUN --mount=type=cache,id={name},target=/kept echo mine > /kept/first\n"
    assert grade(leave, [{"check": "build"}]).status is Status.PASSED
    look = f"FROM debian:bookworm-slim\nRUN --mount=type=cache,id={name},target=/kept test ! -e /kept/first\n"
    assert grade(look, [{"check": "build"}]).status is Status.PASSED
    # Within one build it is one and the same.
    both = leave + f"RUN --mount=type=cache,id={name},target=/kept grep mine /kept/first\n"
    assert grade(both, [{"check": "build"}]).status is Status.PASSED

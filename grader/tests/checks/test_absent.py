from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from grader.checks._commands import command_pattern
from grader.checks._packages import canonical
from grader.checks._paths import path_pattern
from grader.engine.content.layers import Entry
from grader.result import Status
from grader.tests.checks.fakes import FOLDER, GONE, FakeImage, check, file, link, on_image, program, subject

if TYPE_CHECKING:
    from grader.checks.base import Outcome

TOOLS = "check: absent, commands: [gcc, cc, g++, make, ld]"


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("usr/bin/gcc", True),
        ("usr/bin/gcc-12", True),
        ("usr/bin/gcc-12.2", True),
        ("usr/bin/x86_64-linux-gnu-gcc-12", True),
        ("usr/bin/x86_64-linux-gnu-g++", True),
        ("usr/bin/arm-none-eabi-gcc", True),
        ("usr/bin/c99-gcc", True),
        ("var/lib/.hidden/deep/down/make", True),
        ("usr/lib/gcc-lib", False),
        ("usr/bin/gcc-ar", False),
        ("usr/bin/cmake", False),
        ("usr/bin/makeinfo", False),
        ("usr/lib/ld.so", False),
        ("usr/lib64/ld-linux-x86-64.so.2", False),
        ("usr/bin/GCC", False),
        ("usr/bin/ldd", False),
        ("usr/bin/access", False),
    ],
)
def test_commands_are_told_by_their_names_in_any_folder(path: str, there: bool) -> None:  # noqa: FBT001
    outcome = on_image(TOOLS, {path: program()})
    assert (outcome.status is Status.FAILED) is there, outcome
    if there:
        assert f"/{path}" in outcome.got
        assert outcome.line == 2


@pytest.mark.parametrize(
    "entries",
    [
        {"usr/lib/gcc": FOLDER},
        {"usr/share/bash-completion/completions/gcc": file()},
        {"usr/bin/gcc": link("/nowhere")},
        {"usr/bin/gcc": link("gcc")},
        {"usr/lib": FOLDER, "usr/bin/gcc": link("../lib")},
        {"usr/bin/gcc": Entry("special")},
        {},
    ],
    ids=["folder", "no program", "dangling", "circle", "link to a folder", "device", "nothing"],
)
def test_what_cannot_be_executed_is_no_command(entries: dict[str, Entry]) -> None:
    assert on_image(TOOLS, entries).status is Status.PASSED


def test_a_symlink_to_a_program_is_one() -> None:
    outcome = on_image(TOOLS, {"opt/tool": program(), "usr/bin": FOLDER, "usr/bin/gcc": link("../../opt/tool")})
    assert outcome.status is Status.FAILED
    assert outcome.evidence["found"] == ["/usr/bin/gcc"]


def test_a_hard_link_to_a_program_is_one() -> None:
    layer = {"opt/tool": program(), "usr/bin/gcc": Entry("link", 0, 0o755, target="opt/tool")}
    assert on_image(TOOLS, layer).status is Status.FAILED


def on_programs(text: str, programs: dict[str, str], *layers: dict[str, Entry], base: int = 0) -> Outcome:
    """What a check finds in an image some files of which are ``programs`` by their content."""
    image = FakeImage(layers, base)
    image.__dict__["programs"] = {
        index: {path: what for path, what in programs.items() if layer.entries.get(path, GONE).kind == "file"}
        for index, layer in enumerate(image.layers)
        if index >= base
    }
    return check(text).run(subject(image=image))


@pytest.mark.parametrize(
    ("path", "program", "commands", "there"),
    [
        ("opt/helper", "gcc", "gcc", True),
        ("opt/helper", "gcc", "g++", True),
        ("opt/helper", "gcc", "make", False),
        ("opt/helper", "cc1", "cc", True),
        ("opt/helper", "clang", "clang", True),
        ("opt/helper", "clang", "gcc", False),
        ("opt/helper", "tcc", "tcc", True),
        ("opt/helper", "tcc", "cc", True),
        ("opt/helper", "gold", "ld", True),
        ("opt/helper", "make", "make", True),
        ("usr/bin/gcc-12", "gcc", "gcc", True),  # and it need not be executable
        ("usr/bin/gcc-12", "gcc", "g++", False),  # an honest gcc is no g++
        ("usr/lib/gcc/x86_64-linux-gnu/12/cc1", "cc1", "gcc", True),
        ("usr/lib/gcc/x86_64-linux-gnu/12/cc1", "cc1", "g++", False),
        ("usr/lib/gcc/x86_64-linux-gnu/12/lto1", "cc1", "gcc", False),
    ],
)
def test_a_compiler_is_one_by_what_is_in_it(path: str, program: str, commands: str, *, there: bool) -> None:
    outcome = on_programs(f"check: absent, commands: [{commands}]", {path: program}, {path: file()})
    assert (outcome.status is Status.FAILED) is there, outcome
    if there:
        assert outcome.evidence["found"] == [f"/{path}, which is {program} by what is in it"]
        assert outcome.line == 2


def test_every_name_of_a_compiler_is_found() -> None:
    layer = {"opt/a": file(), "opt/b": Entry("link", 0, 0o644, target="opt/a")}
    outcome = on_programs("check: absent, commands: [gcc]", {"opt/a": "gcc"}, layer)
    assert outcome.evidence["count"] == 2


def test_a_compiler_of_the_base_image_goes_by_its_name() -> None:
    outcome = on_programs(TOOLS, {"opt/helper": "gcc"}, {"opt/helper": program()}, {"x": file()}, base=1)
    assert outcome.status is Status.PASSED


def test_the_compiler_proper_is_the_compiler() -> None:
    path = "usr/lib/gcc/x86_64-linux-gnu/12/cc1"
    assert on_image("check: absent, commands: [gcc]", {path: program()}).status is Status.FAILED
    assert on_image("check: absent, commands: [gcc]", {path + "plus": program()}).status is Status.PASSED


@pytest.mark.parametrize(
    ("text", "below", "above"),
    [
        ("commands: [gcc]", {"usr/bin/gcc": program()}, {"usr/bin/gcc": GONE}),
        ("commands: [gcc]", {"usr/bin/gcc": program()}, {"usr/bin": GONE}),
        ("commands: [gcc]", {"usr/bin/gcc": program()}, {"usr/bin": FOLDER._replace(opaque=True)}),
        ("commands: [gcc]", {"usr/bin/gcc": program()}, {"usr/bin/gcc": file()}),
        ("commands: [gcc]", {"opt/helper": program()}, {"opt/helper": GONE}),
        ("paths: [/root/.cache]", {"root/.cache": FOLDER}, {"root/.cache": GONE}),
        ("paths: ['/wheels/*.whl']", {"wheels/a.whl": file()}, {"wheels": GONE}),
        ("debian_packages: [gcc]", {"var/lib/dpkg/info/gcc:amd64.list": file()}, {"var/lib/dpkg/info": GONE}),
        ("pip_packages: [pytest]", {"lib/pytest-8.0.dist-info": FOLDER}, {"lib/pytest-8.0.dist-info": GONE}),
    ],
)
def test_what_a_later_line_deletes_is_still_somewhere(
    text: str, below: dict[str, Entry], above: dict[str, Entry]
) -> None:
    programs = {"opt/helper": "gcc"}
    assert on_programs(f"check: absent, {text}", programs, below, above).status is Status.PASSED
    outcome = on_programs(f"check: absent, {text}, anywhere: true", programs, below, above)
    assert outcome.status is Status.FAILED
    assert outcome.line == 2
    assert "(hidden by line 3, but still in a layer)" in outcome.got
    assert outcome.evidence["count"] == 1


def test_nowhere_is_nowhere() -> None:
    text = "check: absent, commands: [gcc], paths: [/x], pip_packages: [pytest], anywhere: true"
    assert on_image(text, {"a": program(), "y": file()}, {"a": GONE, "x": GONE}).status is Status.PASSED


def test_what_the_base_image_brought_and_the_dockerfile_deleted_is_still_in_the_base_image() -> None:
    outcome = on_image(
        "check: absent, commands: [gcc], anywhere: true", {"usr/bin/gcc": program()}, {"usr/bin/gcc": GONE}, base=1
    )
    assert (outcome.status, outcome.line) == (Status.FAILED, 1)
    assert "(hidden by line 2, but still in a layer) (from the base image)" in outcome.got


def test_a_deleted_command_is_absent() -> None:
    assert on_image(TOOLS, {"usr/bin/gcc": program()}, {"usr/bin/gcc": GONE}).status is Status.PASSED


def test_what_the_base_image_brought_is_said_and_put_on_its_from() -> None:
    outcome = on_image(TOOLS, {"usr/bin/gcc": program()}, {"app": file()}, base=1)
    assert "(from the base image)" in outcome.got
    assert outcome.line == 1


def test_many_finds_are_counted_and_all_are_evidence() -> None:
    outcome = on_image(TOOLS, {f"d{number}/gcc": program() for number in range(300)})
    assert len(outcome.evidence["found"]) == outcome.evidence["count"] == 300


def test_an_images_own_tools_are_never_asked() -> None:
    # `which`, `sh` and `find` that lie are but files: there is nothing in this test that could run them.
    layer = {"bin/sh": program(), "usr/bin/which": program(), "usr/bin/find": program(), "opt/x/gcc": program()}
    assert on_image(TOOLS, layer).status is Status.FAILED


@pytest.mark.parametrize(
    ("glob", "path", "matches"),
    [
        ("/root/.cache/*", "root/.cache/pip", True),
        ("/root/.cache/*", "root/.cache/pip/http", False),
        ("/usr/share/doc/**", "usr/share/doc/a/b", True),
        ("/usr/share/doc/**", "usr/share/doc", False),
        ("/**/*.pyc", "a.pyc", True),
        ("/**/*.pyc", "usr/lib/python3/a.pyc", True),
        ("/usr/**/doc/*.gz", "usr/doc/x.gz", True),
        ("/usr/**/doc/*.gz", "usr/share/a/doc/x.gz", True),
        ("/usr/**/doc/*.gz", "usrdoc/x.gz", False),
        ("/a?b", "a/b", False),
        ("/a?b", "axb", True),
        ("/a[!x]b", "a/b", False),
        ("/a[!x]b", "ayb", True),
        ("/a[xy]b", "axb", True),
        ("/a[x-z]b", "ayb", True),
        ("/a.c", "abc", False),
        ("/*.whl", "tmp/a.whl", False),
        ("/x[", "x[", True),
        ("/tmp/*", "tmp/a\nb", True),
    ],
)
def test_globs_are_a_shells(glob: str, path: str, matches: bool) -> None:  # noqa: FBT001
    assert bool(re.fullmatch(path_pattern(glob), path)) is matches


def test_paths_lead_through_the_symlinks_of_merged_usr() -> None:
    layer = {"bin": link("usr/bin"), "usr": FOLDER, "usr/bin": FOLDER, "usr/bin/gcc-12": program()}
    assert on_image('check: absent, paths: ["/bin/gcc*"]', layer).evidence["found"] == ["/usr/bin/gcc-12"]
    assert on_image('check: absent, paths: ["/bin/gcc-12"]', layer).evidence["found"] == ["/usr/bin/gcc-12"]
    assert on_image('check: absent, paths: ["/bin/g++*"]', layer).status is Status.PASSED


@pytest.mark.parametrize("path", ["/root/.cache", "/root/.cache/", "/etc/dangling", "/**/.cache"])
def test_folders_and_dangling_links_are_paths_too(path: str) -> None:
    layer = {"root": FOLDER, "root/.cache": FOLDER, "etc": FOLDER, "etc/dangling": link("/nowhere")}
    assert on_image(f'check: absent, paths: ["{path}"]', layer).status is Status.FAILED


STATUS = """Package: gcc
Status: {state}
Version: 1

Package: libc6
Architecture: amd64
Status: install ok installed
"""


@pytest.mark.parametrize(
    ("state", "there"),
    [
        ("install ok installed", True),
        ("hold ok installed", True),
        ("install ok unpacked", True),
        ("deinstall ok config-files", False),
        ("purge ok not-installed", False),
    ],
)
def test_debian_packages_count_when_their_files_are_there(state: str, there: bool) -> None:  # noqa: FBT001
    path = "var/lib/dpkg/status"
    outcome = on_image(
        "check: absent, debian_packages: [gcc]", {path: file()}, content={path: STATUS.format(state=state)}
    )
    assert (outcome.status is Status.FAILED) is there


def test_a_debian_package_is_put_on_the_line_that_installed_it() -> None:
    path, listed = "var/lib/dpkg/status", "var/lib/dpkg/info/libc6:amd64.list"
    content = {path: STATUS.format(state="install ok installed")}
    text = "check: absent, debian_packages: [libc6]"
    outcome = on_image(text, {path: file(), listed: file()}, {path: file()}, content=content)
    assert (outcome.line, outcome.evidence["found"]) == (2, [f"/{listed}"])


def test_a_deleted_package_database_hides_nothing() -> None:
    path = "var/lib/dpkg/status"
    outcome = on_image("check: absent, debian_packages: [gcc]", {path: file()}, {path: GONE})
    assert outcome.status is Status.FAILED
    assert "deleted" in outcome.got


def test_distroless_images_keep_a_file_a_package() -> None:
    path = "var/lib/dpkg/status.d/libssl3"
    layer = {path: file(), f"{path}.md5sums": file()}
    content = {path: "Package: libssl3\nVersion: 3\n", f"{path}.md5sums": "Package: gcc\n"}
    assert on_image("check: absent, debian_packages: [libssl3]", layer, content=content).status is Status.FAILED
    assert on_image("check: absent, debian_packages: [gcc]", layer, content=content).status is Status.PASSED


@pytest.mark.parametrize(
    ("path", "name", "there"),
    [
        ("site-packages/Flask_Cors-4.0.dist-info", "flask-cors", True),
        ("site-packages/flask.cors-4.0.dist-info", "Flask_Cors", True),
        ("dist-packages/pytest-8.0-py3.11.egg-info", "pytest", True),
        ("src/pytest.egg-info", "pytest", True),
        ("site-packages/pytest_cov-5.0.dist-info", "pytest", False),
        ("site-packages/pytest/__init__.py", "pytest", False),
    ],
)
def test_python_packages_go_by_their_normalised_names(path: str, name: str, there: bool) -> None:  # noqa: FBT001
    outcome = on_image(f"check: absent, pip_packages: [{name}]", {f"usr/lib/{path}": FOLDER})
    assert (outcome.status is Status.FAILED) is there


def test_an_uninstalled_python_package_is_absent() -> None:
    path = "lib/site-packages/pytest-8.0.dist-info"
    assert on_image("check: absent, pip_packages: [pytest]", {path: FOLDER}, {path: GONE}).status is Status.PASSED


@pytest.mark.parametrize("text", ["", ", paths: [x]", ", paths: [/]", ", commands: [/bin/gcc]", ", commands: ['']"])
def test_what_looks_for_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"absent looks for nothing|paths are absolute|commands are names"):
        on_image(f"check: absent{text}", {})


def test_names_are_taken_literally() -> None:
    assert command_pattern("g++").fullmatch("g++-12")
    assert not command_pattern("g++").fullmatch("ggg")
    assert canonical("A.b__C") == "a-b-c"

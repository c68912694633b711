from __future__ import annotations

import re

import pytest

from grader.checks.absent import canonical, command_pattern, path_pattern
from grader.engine.layers import Entry
from grader.result import Status
from grader.tests.checks.fakes import FOLDER, GONE, file, link, on_image, program

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

"""Installing an engine: what is said where we cannot, and what apt is asked where we can."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from grader.engine import install
from grader.errors import EngineError
from grader.result import ProgressEvent, silent

if TYPE_CHECKING:
    from pathlib import Path

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="apt is Linux")


@pytest.fixture
def debian(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A Debian on which we are root and apt-get is to be found."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(install, "_os_release", lambda: {"ID": "debian"})
    monkeypatch.setattr("shutil.which", lambda program, path=None: f"/usr/bin/{program}")
    return monkeypatch


@linux_only
@pytest.mark.parametrize(
    "release",
    [{"ID": "debian"}, {"ID": "ubuntu", "ID_LIKE": "debian"}, {"ID": "linuxmint", "ID_LIKE": "ubuntu debian"}],
)
def test_debian_and_its_children_are_supported(debian: pytest.MonkeyPatch, release: dict[str, str]) -> None:
    debian.setattr(install, "_os_release", lambda: release)
    assert install.supported() is None


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_macos_and_windows_are_sent_to_docker_desktop(debian: pytest.MonkeyPatch, platform: str) -> None:
    debian.setattr("sys.platform", platform)
    assert "Docker Desktop" in str(install.supported())


@linux_only
def test_other_distributions_are_sent_to_their_packages(debian: pytest.MonkeyPatch) -> None:
    debian.setattr(install, "_os_release", lambda: {"ID": "fedora", "PRETTY_NAME": "Fedora Linux 41"})
    assert "Fedora Linux 41" in str(install.supported())


@linux_only
def test_who_is_not_root_is_told_of_sudo(debian: pytest.MonkeyPatch) -> None:
    debian.setattr("os.geteuid", lambda: 1000)
    assert "sudo" in str(install.supported())


# --- a machine whose apt-get is ours ------------------------------------------------------------------------------


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder that is all of PATH; its apt-get notes what it was asked and makes the programs that it installs."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "mirror_Packages").touch()
    monkeypatch.setattr(install, "_PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(install, "_LISTS", tmp_path / "lists")
    monkeypatch.setattr(install, "_POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(install, "supported", lambda: None)
    monkeypatch.setattr(install, "find", lambda program: str(programs / program) if has(programs, program) else None)
    return programs


def has(programs: Path, program: str) -> bool:
    return (programs / program).exists()


def write_apt(programs: Path, script: str) -> None:
    path = programs / "apt-get"
    path.write_text(f'#!/bin/sh\necho "$@" >>{programs}/asked\n{script}\n')
    path.chmod(0o755)


@linux_only
def test_what_is_there_is_not_installed_again(apt: Path) -> None:
    write_apt(apt, "exit 1")
    (apt / "mmdebstrap").touch()
    install.ensure_tools(["mmdebstrap"], silent)
    assert not (apt / "asked").exists()


@linux_only
def test_only_what_is_missing_is_installed(apt: Path) -> None:
    write_apt(
        apt, f"echo Unpacking; test -e {apt.parent}/policy-rc.d && echo no services; touch {apt}/mmdebstrap {apt}/ip"
    )
    for program in ("dockerd", "iptables"):
        (apt / program).touch()
    events: list[ProgressEvent] = []
    install.install(events.append)
    (line,) = (apt / "asked").read_text().splitlines()
    assert line.endswith("install -y --no-install-recommends iproute2 mmdebstrap")
    assert f"DPkg::Lock::Timeout={install._LOCK_WAIT}" in line
    assert any(event.detail and "Unpacking" in event.text for event in events)
    assert events[-1].text.startswith("installed iproute2, mmdebstrap")
    assert not (apt.parent / "policy-rc.d").exists()


@linux_only
def test_lists_are_fetched_where_there_are_none(apt: Path) -> None:
    (apt.parent / "lists" / "mirror_Packages").unlink()
    write_apt(apt, f"touch {apt}/mmdebstrap")
    install.ensure_tools(["mmdebstrap"], silent)
    assert [line.split()[4] for line in (apt / "asked").read_text().splitlines()] == ["update", "install"]


@linux_only
def test_old_lists_are_fetched_again(apt: Path) -> None:
    write_apt(apt, f"case $* in *update*) touch {apt}/new;; *) test -e {apt}/new && touch {apt}/mmdebstrap;; esac")
    install.ensure_tools(["mmdebstrap"], silent)
    assert [line.split()[4] for line in (apt / "asked").read_text().splitlines()] == ["install", "update", "install"]


@linux_only
@pytest.mark.parametrize(
    ("says", "fix"),
    [
        ("E: Could not get lock /var/lib/dpkg/lock-frontend.", "lock"),
        ("E: You don't have enough free space in /var/cache/apt/archives/.", "disk"),
        ("W: Temporary failure resolving 'mirror.test'", "mirror"),
        ("E: Unable to locate package mmdebstrap", "sources"),
        ("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'", "dpkg --configure -a"),
        ("E: something else", "by hand"),
    ],
)
def test_apts_failure_is_shown_and_how_to_mend_it(apt: Path, says: str, fix: str) -> None:
    write_apt(apt, f'echo "{says}"; exit 100')
    with pytest.raises(EngineError) as caught:
        install.ensure_tools(["mmdebstrap"], silent)
    assert caught.value.log[-1] == says
    assert fix in caught.value.fix
    assert not (apt.parent / "policy-rc.d").exists()


@linux_only
def test_a_policy_of_the_machines_own_is_kept(apt: Path) -> None:
    policy = apt.parent / "policy-rc.d"
    policy.write_text("its own")
    write_apt(apt, f"touch {apt}/mmdebstrap")
    install.ensure_tools(["mmdebstrap"], silent)
    assert policy.read_text() == "its own"


def test_where_it_cannot_be_installed_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "find", lambda _: None)
    monkeypatch.setattr(install, "supported", lambda: "Use sudo.")
    with pytest.raises(EngineError) as caught:
        install.ensure_tools(["mmdebstrap"], silent)
    assert caught.value.fix == "Use sudo."

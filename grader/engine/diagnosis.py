"""The usual reasons that nothing works, each with its mending, for `grader doctor`. Changes nothing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs

from grader.course.units import human_size
from grader.engine import describe, fences, standin
from grader.engine.connect import connect
from grader.engine.pull import Trouble, trouble_with
from grader.errors import EngineError, GraderError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from grader.engine.connect import Engine

#: Seconds that a registry has to answer the doctor.
_PATIENCE = 8.0
#: Free bytes below which what the grader keeps for itself hardly fits.
_LITTLE = 200_000_000
#: What the kernel calls an architecture, and what image registries call it.
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
#: A registry that refuses has been reached.
_REACHED = {Trouble.RATE_LIMIT, Trouble.DENIED, Trouble.NOT_FOUND, Trouble.PLATFORM}


@dataclass(frozen=True)
class Fact:
    """Something that was looked at. ``fix`` says how to mend it, when it asks for that; ``grave``: nothing works so."""

    name: str
    text: str
    fix: str = ""
    grave: bool = False
    more: tuple[str, ...] = ()


def machine() -> Iterator[Fact]:
    """What there is without an engine."""
    yield Fact("Python", f"{platform.python_version()} on {sys.platform} ({platform.machine() or '?'})")
    yield _own_space()


def engine(found: Engine, references: Sequence[str]) -> Iterator[Fact]:
    """What an engine that answers can do, and what it lacks; ``references`` are the base images that are needed."""
    yield Fact("engine", describe.engine(found))
    yield from _windows(found)
    yield _builder(found)
    yield _asked("images", lambda: describe.reading(found))
    yield _asked("questions", lambda: describe.asking(found))
    yield _fences(found)
    yield _asked("space", lambda: describe.space(found))
    yield _architecture(found, references)
    yield _asked("bases", lambda: describe.base_images(found, references))
    trouble = _registry_trouble(found, references)
    yield _network(found, references, trouble)
    yield from _proxy(found, trouble)
    yield from _stand_ins(found, trouble)


def no_engine(error: EngineError) -> Fact:
    """Why none answers, and what to do about it in words of the place that was tried."""
    told = f"{error.what} {error.where}"
    places = tuple(place for place in error.where.split("; ") if place)
    return Fact("engine", f"none answers: {error.what}", _engine_fix(told, error.fix), grave=True, more=places)


def present_engine() -> Engine:
    """An engine that answers now; the doctor neither installs nor starts one. Raises ``EngineError``."""
    return connect(start_private=False)


def _engine_fix(told: str, otherwise: str) -> str:
    if "permission denied" in told:
        if sys.platform != "linux":
            return "Start Docker Desktop as the user that you are, then try again."
        return (
            "Your user may not use that socket. `sudo usermod -aG docker $USER`, then log out and in again; or use a "
            "rootless engine. (Whoever is in that group can do on this machine what root can.)"
        )
    if re.search(r"this grader needs \d", told):
        return "Upgrade that engine: Docker Engine 20.10 or later."
    if os.environ.get("DOCKER_HOST") or "docker context" in told:
        return otherwise
    installed = [name for name in ("docker", "podman", "colima") if shutil.which(name)]
    if "connection refused" in told or "no such socket" in told or installed:
        return f"{_how_to_start(installed)} {otherwise}"
    return otherwise


def _how_to_start(installed: Sequence[str]) -> str:
    if sys.platform in ("win32", "darwin"):
        start = "`colima start`" if "colima" in installed else "Docker Desktop"
        return f"An engine is installed and does not run: start {start}, and wait until it says that it runs."
    if "microsoft" in platform.release().lower():
        return "In WSL: start Docker Desktop in Windows, and switch on this distribution under Settings, Resources."
    if installed == ["podman"]:
        return "Podman is installed and offers no socket: `systemctl --user start podman.socket`."
    return "An engine is installed and does not run: `sudo systemctl start docker`."


def _own_space() -> Fact:
    folder = platformdirs.user_cache_path("image-grader")
    there = next((each for each in (folder, *folder.parents) if each.is_dir()), Path(folder.anchor))
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return Fact("disk", f"{there} cannot be looked at: {error.strerror}", "See that you may read that folder.")
    fix = "Free some: what the grader reads of images is kept there between runs." if free < _LITTLE else ""
    return Fact("disk", f"{human_size(free)} free for your own files in {there}", fix)


def _asked(name: str, look: Callable[[], str]) -> Fact:
    try:
        return Fact(name, look())
    except GraderError as error:
        return Fact(name, error.what, error.fix, grave=True)


def _fences(found: Engine) -> Fact:
    """What stands around builds. No mending is asked for: who grades their own files needs none of them."""
    each = fences.of(found)
    required = [fence for fence in each if fence.required]
    advised = [fence for fence in each if not fence.required]
    lacking = [fence for fence in required if not fence.present]
    alike = len(lacking) == len(required)
    more = [lacking[0].text] if alike else [f"{fence.name}: {fence.text}" for fence in required]
    more += dict.fromkeys(fence.fix for fence in lacking if fence.fix)
    more += [f"{fence.name}: {fence.text}. {fence.fix}".strip() for fence in advised]
    if not lacking:
        return Fact("fences", "builds and apps are bounded", more=tuple(more))
    text = f"none for {', '.join(fence.name for fence in lacking)}"
    return Fact("fences", f"{text}; that matters where you grade what others wrote", more=tuple(more))


def _windows(found: Engine) -> Iterator[Fact]:
    if not found.platform.startswith("linux/"):
        fix = "Switch Docker Desktop to Linux containers (its menu has `Switch to Linux containers`)."
        yield Fact(
            "containers", f"the engine runs {found.platform}, the course's images are for Linux", fix, grave=True
        )


def _builder(found: Engine) -> Fact:
    old = found.name == "docker" and not found.at_least(23)
    fix = "Upgrade the engine if an exercise needs these; the course's own do not." if old else ""
    return Fact("builder", describe.builder(found), fix)


def _architecture(found: Engine, references: Sequence[str]) -> Fact:
    """An image of another architecture runs slowly, or not at all ("exec format error")."""
    wanted = found.platform.partition("/")[2]
    wrong = []
    for reference in references:
        image = standin.inspect(found, reference) or {}
        given = str(image.get("Architecture") or wanted)
        wrong += [f"{reference} is for {given}"] if given != wanted else []
    if wrong:
        names = " ".join(each.split()[0] for each in wrong)
        fix = f"`docker rmi {names}`, unset DOCKER_DEFAULT_PLATFORM, then `grader bases`."
        return Fact("processor", f"the engine is {wanted}, but {', '.join(wrong)}", fix, grave=True)
    here = _ARCHITECTURES.get(platform.machine().lower(), platform.machine().lower())
    emulated = f", this machine {here}: it may be emulated, and slow" if here and here != wanted else ""
    return Fact("processor", f"the engine is {wanted}{emulated}")


def _registry_trouble(found: Engine, references: Sequence[str]) -> EngineError | None:
    return trouble_with(found, references[0], within=_PATIENCE) if references else None


def _network(found: Engine, references: Sequence[str], trouble: EngineError | None) -> Fact:
    if trouble is None:
        return Fact("network", "the engine reaches the registry of the base images" if references else "not needed")
    if getattr(trouble, "trouble", None) in _REACHED:
        return Fact("network", f"the registry was reached: {trouble.what}", trouble.fix, more=trouble.log)
    missing = [reference for reference in references if standin.inspect(found, reference) is None]
    if not missing:
        text = "no registry is reached; all base images are present, so grading needs none"
        return Fact("network", text, more=trouble.log)
    fix = f"{trouble.fix} Or agree to stand-ins, built from Debian packages: `grader bases --yes`."
    return Fact("network", f"{trouble.what} Not present: {', '.join(missing)}.", fix, grave=True, more=trouble.log)


def _proxy(found: Engine, trouble: EngineError | None) -> Iterator[Fact]:
    """The engine pulls and has its own settings; those of this shell do not reach it."""
    ours = {name: url for name, url in urllib.request.getproxies().items() if name in ("http", "https")}
    facts: Mapping[str, Any] = found.client.info()
    theirs = [str(facts.get(key) or "") for key in ("HttpProxy", "HttpsProxy") if facts.get(key)]
    if not ours and not theirs:
        yield Fact("proxy", "none")
        return
    told = f"here {without_credentials(', '.join(ours.values())) or 'none'}; "
    told += f"the engine's {without_credentials(', '.join(theirs)) or 'none'}"
    unreached = trouble is not None and getattr(trouble, "trouble", None) not in _REACHED
    fix = ""
    if ours and not theirs and unreached:
        fix = (
            'Tell the engine of it, too: `"proxies": {"https-proxy": ...}` in /etc/docker/daemon.json (Engine 23 and '
            "later; before, HTTPS_PROXY in the environment of its service), or Settings, Resources, Proxies in Docker "
            "Desktop; then restart it."
        )
    yield Fact("proxy", told, fix)


def _stand_ins(found: Engine, trouble: EngineError | None) -> Iterator[Fact]:
    present = standin.present(found)
    stale = [each for each in present if not standin.is_current(standin.inspect(found, each) or {}, each)]
    if stale:
        fix = "`grader bases --yes` builds them anew."
        yield Fact("stand-ins", f"built by an older recipe: {', '.join(stale)}", fix)
    elif present and trouble is None:
        fix = "`grader bases --refresh` brings the real ones."
        yield Fact("stand-ins", f"in place of images that can be had now: {', '.join(present)}", fix)


def without_credentials(text: str) -> str:
    """``text`` with no user name and no password in its URLs, those without a scheme among them.

    A password may hold a slash or an `@` that should have been encoded: what is taken out goes to the last `@`.
    """
    text = re.sub(r"(?<=//)[^\s,;\"']*@(?!sha256:)", "***@", text)
    return re.sub(r"[^\s/:@,;=\"']+:(?!//)[^\s,;\"']*@(?!sha256:)", "***@", text)

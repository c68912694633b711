"""Unpacks Debian packages into a file system, with mmdebstrap."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import tarfile
import threading
import time
from collections import deque
from pathlib import Path

import platformdirs

from grader import scratch
from grader.engine.standin.machine import SUITE, Machine
from grader.engine.standin.recipe import Recipe, read
from grader.errors import EngineError
from grader.result import Progress, ProgressEvent

# With this hook /usr is merged by symbolic links; without it by a package that brings all of Perl.
_MERGED_USR = "/usr/share/mmdebstrap/hooks/maybe-merged-usr"
_CERTIFICATES = "usr/local/share/ca-certificates/"


def archive(recipe: Recipe, here: Machine, progress: Progress, deadline: float) -> Path:
    """The tar of a recipe's file system, from the cache when this machine has made it before.

    ``deadline`` is in ``time.monotonic()``'s seconds. Raises EngineError with mmdebstrap's last lines.
    """
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{recipe.slug}-{recipe.version}-{here.fingerprint}.tar"
    if path.exists():
        return path
    # One archive a recipe: what an older recipe or another configuration made is of no more use.
    for old in folder.glob(f"{recipe.slug}-*"):
        old.unlink(missing_ok=True)
    partial = path.with_suffix(".partial")
    with scratch.folder() as work:
        _run(_command(recipe, here, work, partial), recipe.reference, progress, deadline)
    partial.rename(path)
    return path


def cache() -> Path:
    """Where the unpacked file systems are kept, so that a second engine gets its stand-ins sooner."""
    return platformdirs.user_cache_path("grader") / "stand-ins"


def tar(files: dict[str, str]) -> bytes:
    """A GNU tar (no PAX headers) of texts by path, owned by root; what lies in an ``sbin`` is executable."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as target:
        for folder in sorted({str(parent) for name in files for parent in Path(name).parents} - {"."}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            target.addfile(entry)
        for name, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if "sbin/" in name else 0o644
            target.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def failed(reference: str, where: str, log: tuple[str, ...], *, late: bool) -> EngineError:
    """What is raised when a stand-in cannot be built."""
    what = "took too long to build" if late else "could not be built"
    return EngineError(
        f"The stand-in for {reference} {what} from Debian packages.",
        "Check that apt works here (`apt-get update`) and that there is room on the disk, then run the command again.",
        where=where,
        log=tuple(line[:300] for line in log),
    )


def _command(recipe: Recipe, here: Machine, work: Path, target: Path) -> list[str]:
    """The command line; writes the files that its hooks read to ``work``."""
    command = ["mmdebstrap", "--format=tar", *recipe.options]
    command += [f"--aptopt={option}" for option in (*here.apt_options, *here.host_apt_options)]
    files = here.files()
    if recipe.files:
        script = work / recipe.files[0]
        script.write_bytes(read(recipe.files[0]))
        command += _hook(
            "extract", {name: text for name, text in files.items() if name.startswith(_CERTIFICATES)}, work
        )
        command.append(f'--extract-hook=sh {shlex.quote(str(script))} "$1"')
    else:
        command.append(f"--hook-dir={_MERGED_USR}")
        command.append('--customize-hook=rm -f "$1"/etc/apt/apt.conf.d/99mmdebstrap "$1"/var/log/*.log')
        command += _hook("customize", files, work)
    return [*command, SUITE, str(target), *here.sources]


def _hook(stage: str, files: dict[str, str], work: Path) -> list[str]:
    """The arguments that put files into the tree at a stage."""
    if not files:
        return []
    path = work / f"{stage}.tar"
    path.write_bytes(tar(files))
    return [f"--{stage}-hook=tar-in {shlex.quote(str(path))} /"]


def _run(command: list[str], reference: str, progress: Progress, deadline: float) -> None:
    """Run mmdebstrap to the deadline, with its messages as progress."""
    last: deque[str] = deque(maxlen=15)
    # /tmp may be small or in memory; a tree of packages is neither.
    environment = {"TMPDIR": "/var/tmp", **os.environ, "LC_ALL": "C.UTF-8"}  # noqa: S108
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
    )
    # It removes its tree when it is asked to end.
    watchdog = threading.Timer(max(0.0, deadline - time.monotonic()), process.terminate)
    watchdog.start()
    try:
        with process:
            for line in process.stderr or ():
                last.append(line.rstrip())
                if line.startswith("I: "):
                    progress(ProgressEvent("bases", f"{reference}: {line[3:].strip()}", detail=True))
    except BaseException:
        process.terminate()
        process.wait()
        raise
    finally:
        watchdog.cancel()
    if process.returncode:
        raise failed(reference, "mmdebstrap", tuple(last), late=time.monotonic() > deadline)

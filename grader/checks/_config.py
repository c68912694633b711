"""An image's configuration in comparable form, and the Dockerfile line that set a part of it.

The keys are those of the OCI image specification (config.md) and of Docker's own HEALTHCHECK; defaults are Docker's.
"""

from __future__ import annotations

import posixpath
import re
from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.submission.dockerfile import Dockerfile, Instruction

#: What the shell form is run with when no SHELL says otherwise.
_SHELL = ("/bin/sh", "-c")
_SHELLS = {"sh", "bash", "dash", "ash", "zsh", "ksh"}
#: Signals by their number on Linux (signal(7), x86 and ARM).
_SIGNALS = {
    1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL", 10: "USR1",
    11: "SEGV", 12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 16: "STKFLT", 17: "CHLD", 18: "CONT", 19: "STOP",
    20: "TSTP", 21: "TTIN", 22: "TTOU", 23: "URG", 24: "XCPU", 25: "XFSZ", 26: "VTALRM", 27: "PROF", 28: "WINCH",
    29: "IO", 30: "PWR", 31: "SYS",
}  # fmt: skip
_STOP_SIGNAL = "SIGTERM"
#: What Docker takes for what a HEALTHCHECK leaves out; seconds, and a count.
_HEALTH = {"interval": 30.0, "timeout": 30.0, "start_period": 0.0, "retries": 3}
_NANO = 1_000_000_000


def environment(config: Mapping[str, Any]) -> dict[str, str]:
    """The variables; the last of a name counts."""
    return dict(pair.partition("=")[::2] for pair in config.get("Env") or ())


def labels(config: Mapping[str, Any]) -> dict[str, str]:
    """The labels."""
    return dict(config.get("Labels") or {})


def command(config: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """`Entrypoint` or `Cmd`; nothing when there is none."""
    return tuple(config.get(key) or ())


def shell_form(config: Mapping[str, Any], key: str) -> bool:
    """Whether `Entrypoint` or `Cmd` starts a shell to run a text: the shell form, or what comes to the same."""
    words = command(config, key)
    shell = tuple(config.get("Shell") or _SHELL)
    if len(words) == len(shell) + 1 and words[:-1] == shell:
        return True
    # Behind another program as well: `tini -- sh -c`, `env sh -c`, `busybox sh -c`.
    return any(_runs_a_text(words[place:]) for place, word in enumerate(words) if posixpath.basename(word) in _SHELLS)


def _runs_a_text(words: Sequence[str]) -> bool:
    """Whether a shell, its name first, is given a text to run: `-c`, alone or among others (`-ec`)."""
    options = takewhile(lambda word: word.startswith("-"), words[1:])
    return any(re.fullmatch(r"-[a-z]*c[a-z]*", option) for option in options)


def port(written: str) -> str:
    """`5000` as the configuration has it: `5000/tcp`."""
    number, _, protocol = written.partition("/")
    return f"{number}/{protocol.lower() or 'tcp'}"


def folder(path: str) -> str:
    """A path without what makes no difference: `/app` for `/app/` and `//app`."""
    return posixpath.normpath(f"/{path.lstrip('/')}")


def signal_name(written: str) -> str:
    """`SIGTERM` for `SIGTERM`, `term` and `15`; for nothing what Docker takes then, which is the same."""
    if written.isdecimal():
        written = _SIGNALS.get(int(written)) or _real_time(int(written)) or written
    name = written.upper().removeprefix("SIG")
    return f"SIG{name}" if name else _STOP_SIGNAL


def _real_time(number: int) -> str:
    """Those that a C library leaves to programs, as engines call them: 34 is `RTMIN`, 64 is `RTMAX`; else nothing."""
    if not 34 <= number <= 64:
        return ""
    return "RTMAX" if number == 64 else f"RTMIN+{number - 34}" if number > 34 else "RTMIN"


def health(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """`test`, `interval`, `timeout` and `start_period` in seconds, and `retries`; None without a health check."""
    given = config.get("Healthcheck") or {}
    test = list(given.get("Test") or ())
    if not test or test == ["NONE"]:
        return None
    seconds = {"Interval": "interval", "Timeout": "timeout", "StartPeriod": "start_period"}
    # 0 is how the configuration says that nothing was given.
    found = {name: given[key] / _NANO for key, name in seconds.items() if given.get(key)}
    found |= {"retries": given["Retries"]} if given.get("Retries") else {}
    return {"test": test} | _HEALTH | found


def line_of(dockerfile: Dockerfile, keyword: str, name: str = "") -> int | None:
    """The line of the last such instruction of the final image, and of one that names ``name`` when there is one."""
    own = [each for each in dockerfile.final_instructions() if each.keyword == keyword]
    about = [each for each in own if name and _names(each, name)] or own
    return about[-1].line if about else None


def _names(instruction: Instruction, name: str) -> bool:
    return re.search(rf"(?<![\w.${{-]){re.escape(name)}(?![\w.-])", instruction.text) is not None


def written(words: Sequence[str]) -> str:
    """A command as its exec form is written."""
    return "[" + ", ".join(f'"{word}"' for word in words) + "]"

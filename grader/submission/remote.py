"""What ADD fetches from the network: addresses of files and of git repositories.

BuildKit fetches `http://` and `https://`, and since its Dockerfile language 1.6 also git repositories by `git://`,
`ssh://`, `https://….git` and `git@host:path`; Podman also takes `github.com/…` for one. It is the engine that fetches,
from its own network: what a RUN may reach does not bind it.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from e2b_dockerfile_utils import ShellLex

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.submission.instructions import Instruction

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/\s]+@[^/\s]+:|github\.com/", re.IGNORECASE)
# Whatever stands behind it: a folder, which no address begins with.
_LOCAL = re.compile(r"(?!github\.com/)[^$/:@\"'`\\]*/", re.IGNORECASE)


def sources(add: Instruction, escape: str) -> Iterator[str]:
    """What an ADD fetches, and what it may fetch for all that can be known before the build: variables can be anything.

    ``escape`` is the Dockerfile's escape character.
    """
    for word in add.args[:-1]:
        if _LOCAL.match(word):
            continue
        plain = None if "$" in word else _unquoted(word, escape)
        if plain is None:
            yield word
        elif is_address(plain):
            yield plain


def is_address(source: str) -> bool:
    """Whether an engine would fetch this from the network."""
    return _ADDRESS.match(source) is not None


def is_allowed(source: str, globs: Sequence[str]) -> bool:
    """Whether an address is one of those that a rubric allows; what depends on a variable is not."""
    return "$" not in source and any(fnmatchcase(source, glob) for glob in globs)


def _unquoted(word: str, escape: str) -> str | None:
    """As the engine reads it, which quotes cannot hide an address from; None when it cannot be read."""
    try:
        return ShellLex(escape, env={}, skip_unset_env=False).process_word(word)
    except (ValueError, RecursionError):
        return None

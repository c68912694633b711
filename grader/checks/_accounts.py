"""Users and groups of an image, as the engine looks them up when it starts a container.

How the files are read is that of Moby's `user` package (tried on Engine 20.10 and 28): the first line that fits counts,
a number is never a name, and what should be a number and is none is 0, which is root.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

USERS = "etc/passwd"
GROUPS = "etc/group"
_NUMBER = re.compile(r"[+-]?[0-9]+")


class Account(NamedTuple):
    """A user or a group: its name, empty when it has none, and its number."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name} ({self.number})" if self.name else str(self.number)


def accounts(content: bytes) -> tuple[Account, ...]:
    """What a file like `USERS` or `GROUPS` holds, in its order."""
    return tuple(_parsed(content.decode(errors="replace")))


def look_up(known: tuple[Account, ...], wanted: str) -> Account | None:
    """Who ``wanted``, a name or a number, is; None for a name that nobody has."""
    if _NUMBER.fullmatch(wanted):
        return named(known, int(wanted))
    return next((one for one in known if one.name == wanted), None)


def named(known: tuple[Account, ...], number: int) -> Account:
    """The account of a number, with its name when it has one."""
    return next((one for one in known if one.number == number), Account("", number))


def _parsed(content: str) -> Iterator[Account]:
    for line in content.split("\n"):
        name, _, rest = line.strip().partition(":")
        if name or rest:
            number = rest.partition(":")[2].partition(":")[0]
            yield Account(name, int(number) if _NUMBER.fullmatch(number) else 0)

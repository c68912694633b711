"""Which workers of a cluster may grade: each is asked what it is before anything is sent to it, newcomers too.

A worker without an engine, of another version of the grader or of Dask, of another platform than most, or with other
base images would grade otherwise than its neighbours: it is refused by name, and asked again from time to time. One
that has met a fault of ours is asked before it gets more.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grader
from grader.bulk import remote
from grader.engine.bases import Base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

#: Seconds between two looks at who is there, and until one that was refused is asked again.
LOOK, AGAIN = 1.0, 30.0
_FOREIGN = ("ModuleNotFoundError", "ImportError", "AttributeError", "TypeError")


@dataclass(frozen=True)
class Member:
    """A worker that may grade, as many at a time as it has threads."""

    name: str
    threads: int


class Crew:
    """Looks after the workers in a thread of its own, from `begin` to `end`; whoever asks gets the last it has seen."""

    def __init__(
        self,
        present: Callable[[], Mapping[str, Member]],
        ask: Callable[..., Mapping[str, Any]],
        exercise: remote.Exercise,
        tell: Callable[[str], None],
    ) -> None:
        """``present`` are all workers by their address. ``ask(addresses, function, *arguments)`` asks some of them.

        ``tell`` is told of those that are refused.
        """
        self.present: Mapping[str, Member] = {}
        self.bases: tuple[Base, ...] = ()
        self.refused: dict[str, str] = {}
        self.away = ""
        self._present = present
        self._ask = ask
        self._exercise = exercise
        self._tell = tell
        self._fit: Mapping[str, Member] = {}
        self._doubted: frozenset[str] = frozenset()
        self._asked: dict[str, float] = {}
        self._platform = ""
        self._contents: tuple[str, ...] = ()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go, name="crew", daemon=True)

    def begin(self) -> None:
        """From now on it looks by itself."""
        self._thread.start()

    def end(self) -> None:
        """It looks no more; a look that goes on is left to end by itself."""
        self._over.set()

    @property
    def fit(self) -> Mapping[str, Member]:
        """Who may grade now."""
        return {address: member for address, member in self._fit.items() if address not in self._doubted}

    def doubt(self, address: str) -> None:
        """It gets nothing more until it was asked again."""
        self._doubted |= {address}

    def look(self) -> None:
        """Asks those that are new, doubted, or were refused long ago."""
        doubted = self._doubted
        present = dict(self._present())
        now = time.monotonic()
        new = [
            address
            for address in present
            if address in doubted or (address not in self._fit and now - self._asked.get(address, -AGAIN) >= AGAIN)
        ]
        self._asked = {address: at for address, at in self._asked.items() if address in present}
        self._asked |= dict.fromkeys(new, now)
        for address in self._fit.keys() - present.keys():
            self._tell(f"worker {self._fit[address].name} is gone; what it was at is graded elsewhere")
        self.present = present
        self._fit = {address: present[address] for address in self._fit if address in present}
        found = self._examined(new) if new else set()
        kept = [address for address in present if address in found or (address in self._fit and address not in new)]
        for address in found - self._fit.keys():
            self.refused.pop(present[address].name, None)
            self._tell(f"worker {present[address].name} grades")
        self._fit = {address: present[address] for address in kept}
        self._doubted -= doubted

    def _go(self) -> None:
        while not self._over.wait(LOOK):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001  # whatever it is, nobody can be asked
                self._lose(str(error))
            else:
                self.away = ""

    def _lose(self, why: str) -> None:
        """The scheduler is away. Those who come back with it are asked anew."""
        self.present, self._fit, self._asked = {}, {}, {}
        if not self.away:
            self.away = f"the scheduler is away: {why}"
            self._tell(self.away)

    # --- who is asked -------------------------------------------------------------------------------------------------

    def _examined(self, addresses: Iterable[str]) -> set[str]:
        """Those that may grade."""
        answers = dict(self._ask(list(addresses), remote.facts))
        alike = {address: told for address, told in answers.items() if not self._refuses(address, _unlike(told))}
        if alike and not self._platform:
            self._platform = _most(told["platform"] for told in alike.values())
        same = [address for address, told in alike.items() if not self._refuses(address, self._elsewhere(told))]
        ready = dict(self._ask(same, remote.prepare, self._exercise)) if same else {}
        ready = {address: told for address, told in ready.items() if not self._refuses(address, _unready(told))}
        if ready and not self._contents:
            self._settle([told["bases"] for told in ready.values()])
        return {address for address, told in ready.items() if not self._refuses(address, self._other_bases(told))}

    def _refuses(self, address: str, why: str | None) -> bool:
        """Whether it is refused, None being for one that has gone meanwhile; it is told once for each reason."""
        if why == "":
            return False
        name = self.present[address].name
        if why and self.refused.get(name) != why:
            self.refused[name] = why
            self._tell(f"worker {name} is refused: {why}")
        return True

    def _elsewhere(self, told: Mapping[str, Any]) -> str:
        found = told["platform"]
        return "" if found == self._platform else f"its engine is of {found}, most others are of {self._platform}"

    def _settle(self, each: list[list[dict[str, Any]]]) -> None:
        """What most have is what all are held to."""
        self._contents = _most(tuple(map(_content, bases)) for bases in each)
        alike = [bases for bases in each if tuple(map(_content, bases)) == self._contents]
        chosen = min(alike, key=lambda bases: [base["id"] for base in bases])
        self.bases = tuple(Base(base["reference"], base["id"], base["stand_in"]) for base in chosen)

    def _other_bases(self, told: Mapping[str, Any]) -> str:
        for base, content in zip(told["bases"], self._contents, strict=True):
            if _content(base) != content:
                return f"its {base['reference']} is another image than most others have; pull it again there"
        return ""


def _content(base: Mapping[str, Any]) -> str:
    """What tells a base image from another. Stand-ins are built on each worker anew; a result says that it used one."""
    return "stand-in" if base["stand_in"] else str(base["content"])


def _most(found: Iterable[Any]) -> Any:
    """What most have; of several the first in order, so that the same workers come to the same."""
    return min(Counter(found).items(), key=lambda item: (-item[1], item[0]))[0]


def _unlike(told: Any) -> str | None:
    """Why a worker cannot grade as this process would; empty when it can, None when it is gone."""
    if isinstance(told, OSError):
        return None
    # It comes as text, since what was asked could not even be read there.
    if isinstance(told, Exception) and any(sign in repr(told) for sign in _FOREIGN):
        return f"it has no grader, or another than version {grader.__version__}; install that there"
    if isinstance(told, Exception):
        return f"it cannot be asked: {told}"
    if told["grader"] != grader.__version__:
        return f"it has version {told['grader']} of the grader, here it is {grader.__version__}; install the same there"
    if told["dask"] != remote.dask():
        return f"it has Dask {told['dask']}, here it is {remote.dask()}; install the same there"
    return str(told["trouble"])


def _unready(told: Any) -> str | None:
    if isinstance(told, OSError):
        return None
    return f"it cannot be asked: {told}" if isinstance(told, Exception) else str(told["trouble"])

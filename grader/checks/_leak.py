"""Looks for secrets in streams of bytes: those that are known, in many disguises, and what looks like one.

Known are the values that a build was given. What looks like a key is told by the marks that its issuer puts into it.
"""

from __future__ import annotations

import re
from base64 import b64encode
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from grader.checks._unpacked import unpacked, unpacker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: A compressed file in a compressed file: layers of it that are unpacked.
_DEEPEST = 3
#: What a key may look like at most, up to where it is certain to be one.
_LONGEST_KEY = 512


class Hit(NamedTuple):
    """Something was found: what, in what form, and whether it is one of the known secrets."""

    what: str
    form: str
    known: bool


class _Key(NamedTuple):
    """What keys of an issuer look like. ``mark`` stands in each of them, and is looked for first."""

    what: str
    mark: bytes
    pattern: re.Pattern[bytes]


def _keys() -> Iterator[_Key]:
    for what, mark, pattern in (
        ("an AWS access key", b"AKIA", rb"(?<![A-Z0-9])AKIA[A-Z2-7]{16}(?![A-Z0-9])"),
        *(("a GitHub token", b"gh%c_" % kind, rb"(?<!\w)gh%c_[A-Za-z0-9]{36,251}" % kind) for kind in b"pousr"),
        ("a GitHub token", b"github_pat_", rb"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
        ("a GitLab token", b"glpat-", rb"glpat-[A-Za-z0-9_-]{20}"),
        ("a Slack token", b"xox", rb"xox[abeoprs]-[0-9]{8,}-[A-Za-z0-9-]{12,}"),
        ("a Google API key", b"AIza", rb"(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
        ("a PyPI token", b"pypi-AgEI", rb"pypi-AgEI[A-Za-z0-9_-]{50,}"),
        ("an npm token", b"npm_", rb"(?<!\w)npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
        ("a Stripe key", b"k_live_", rb"(?<![A-Za-z0-9])[sr]k_live_[A-Za-z0-9]{24,}"),
        # Code that works with keys has the first line alone; in JSON the line ends are written out.
        (
            "a private key",
            b"PRIVATE KEY",
            (
                rb"-----BEGIN (?:[A-Z0-9]+ )?PRIVATE KEY(?: BLOCK)?-----(?:\s|\\[nr]){1,8}"
                rb"(?:[A-Za-z-]+: [^\r\n\\]{0,100}(?:\s|\\[nr]){1,8}){0,3}"
                rb"(?:[A-Za-z0-9+/=]{16,}(?:\s|\\[nr]){0,8}){2}"
            ),
        ),
    ):
        yield _Key(what, mark, re.compile(pattern))


#: Names of variables whose values are secrets.
_NAMED = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY|ACCESS_?KEY|SECRET_?KEY|CREDENTIALS)$", re.IGNORECASE
)


class _Needle(NamedTuple):
    """One way to write a known secret; ``wrapped`` when programs break it over lines."""

    what: str
    form: str
    text: bytes
    wrapped: bool


class Detector:
    """Finds secrets in files and texts."""

    def __init__(self, secrets: Mapping[str, bytes], *, keys: bool = True) -> None:
        """``secrets``, of 8 bytes or more, by what they are called; with ``keys`` also what looks like a key."""
        self._needles = [needle for name, value in secrets.items() for needle in _needles(name, value)]
        self._keys = tuple(_keys()) if keys else ()
        longest = max((len(needle.text) for needle in self._needles), default=0)
        # With the line ends in it, a needle is longer.
        self._overlap = max(2 * longest, _LONGEST_KEY)

    def in_file(self, pieces: Iterable[bytes]) -> set[Hit]:
        """What a file holds, given its bytes; one that is compressed (see `_unpacked`) is looked into."""
        return self._in_stream(iter(pieces), _DEEPEST)

    def in_text(self, text: str) -> set[Hit]:
        """What a name, an instruction or a value holds."""
        return set(self._in_window(text.encode(errors="surrogateescape")))

    def in_variable(self, name: str, value: str) -> set[Hit]:
        """What an environment variable or a build argument holds; some hold a secret by their name."""
        found = self.in_text(value)
        # A path is where to look for it: DB_PASSWORD=/run/secrets/db
        if not found and self._keys and _NAMED.search(name) and value and not value.startswith("/"):
            return {Hit("a secret, by its name,", "", known=False)}
        return found

    def _in_stream(self, pieces: Iterator[bytes], depth: int) -> set[Hit]:
        found: set[Hit] = set()
        passing = self._watched(pieces, found)
        first = next(passing, b"")
        inside = unpacker(first) if depth else None
        if inside:
            found |= self._in_stream(unpacked(inside, chain([first], passing)), depth - 1)
        for _ in passing:
            pass
        return found

    def _watched(self, pieces: Iterator[bytes], found: set[Hit]) -> Iterator[bytes]:
        """The pieces as they pass; what is seen in them is added to ``found``."""
        window = b""
        for piece in pieces:
            # The holes of sparse files are passed by quickly.
            if piece[:1] != b"\0" or piece.strip(b"\0"):
                window += piece
                found.update(self._in_window(window))
                window = window[-self._overlap :]
            else:
                window = b""
            yield piece

    def _in_window(self, data: bytes) -> Iterator[Hit]:
        joined = data.translate(None, b"\r\n") if self._needles else data
        for needle in self._needles:
            if needle.text in (joined if needle.wrapped else data):
                yield Hit(needle.what, needle.form, known=True)
        for key in self._keys:
            if key.mark in data and any(_is_random(match[0]) for match in key.pattern.finditer(data)):
                yield Hit(key.what, "", known=False)


def _needles(name: str, value: bytes) -> Iterator[_Needle]:
    found: dict[bytes, _Needle] = {}

    def add(form: str, text: bytes, *, wrapped: bool = False) -> None:
        found.setdefault(text, _Needle(name, form, text, wrapped))

    add("as it is", value)
    add("URL-encoded", quote(value, safe="").encode())
    add("backwards", value[::-1])
    add("in hexadecimal", value.hex().encode(), wrapped=True)
    add("in hexadecimal", value.hex().upper().encode(), wrapped=True)
    add("in UTF-16", value.decode(errors="surrogateescape").encode("utf-16-le", errors="surrogatepass"))
    for before in range(3):
        # What stands before it in an encoded text moves it by one or two bytes; only the characters that are the
        # secret's alone are looked for.
        first, end = (0, 2, 3)[before], (before + len(value)) * 8 // 6
        encoded = b64encode(bytes(before) + value)[first:end]
        add("in base64", encoded, wrapped=True)
        add("in base64", encoded.translate(bytes.maketrans(b"+/", b"-_")), wrapped=True)
    yield from found.values()


def _is_random(key: bytes) -> bool:
    """Whether it may be a real one: manuals write AKIAIOSFODNN7EXAMPLE, and ghp_xxxxxxxxxx."""
    return b"EXAMPLE" not in key and len(set(key[-24:])) > 8

"""YAML as plain data, with the line and column of everything in it.

The scalars follow the core schema of YAML 1.2 (yaml.org/spec/1.2.2, chapter 10.3), not PyYAML's 1.1: ``on`` and ``yes``
stay text, ``1:30`` is not a number in base sixty and ``2024-01-01`` not a date. Keys are always text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml

from grader.errors import RubricError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Where something is in the data: keys and list indexes from the root down.
DataPath = tuple[str | int, ...]

MAX_BYTES = 1 << 20
#: A rubric has some hundred; aliases of aliases multiply without bound.
MAX_NODES = 20_000
#: A person mends a few at a time.
MAX_SHOWN = 10

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, order=True)
class Position:
    """A place in a file; both numbers count from 1."""

    line: int
    column: int


START = Position(1, 1)


@dataclass(frozen=True, order=True)
class Mistake:
    """Something that an author has to mend."""

    position: Position
    what: str
    fix: str


@dataclass
class Document:
    """A file's data and where each part of it stands. ``texts`` has the source of scalars that are not text."""

    file: Path
    data: Any = None
    keys: dict[DataPath, Position] = field(default_factory=dict)
    values: dict[DataPath, Position] = field(default_factory=dict)
    texts: dict[DataPath, str] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def add(self, position: Position, what: str, fix: str) -> None:
        """Notes a mistake; the same one, met again through an alias, counts once."""
        mistake = Mistake(position, what, fix)
        if mistake not in self.mistakes:
            self.mistakes.append(mistake)

    def refuse(self) -> None:
        """Raises RubricError when there are mistakes, all of them (up to ``MAX_SHOWN``) in file order."""
        if not self.mistakes:
            return
        mistakes = sorted(self.mistakes)
        first = mistakes[0]
        if len(mistakes) == 1:
            raise RubricError(first.what, first.fix, where=at(self.file, first.position))
        lines = [f"{at(self.file, m.position)}: {_sentence(m.what)} {m.fix}" for m in mistakes[:MAX_SHOWN]]
        lines += [f"and {len(mistakes) - MAX_SHOWN} more"] if len(mistakes) > MAX_SHOWN else []
        what = f"{len(mistakes)} things are wrong:\n" + "\n".join(f"  {line}" for line in lines)
        raise RubricError(
            what, "Mend them from the top; one often causes the next.", where=at(self.file, first.position)
        )


def _sentence(text: str) -> str:
    return text if text.endswith("?") else f"{text}."


def at(file: Path, position: Position = START) -> str:
    """``rubric.yaml:14:5``; relative when the file lies below the current folder."""
    shown = file
    if file.is_absolute() and file.is_relative_to(Path.cwd()):
        shown = file.relative_to(Path.cwd())
    return f"{shown}:{position.line}:{position.column}"


def read_bytes(file: Path) -> bytes:
    """The file's content; RubricError when it is missing, no file, unreadable or over ``MAX_BYTES``."""
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise RubricError("The file does not exist", f"Write a {file.name} there.", where=at(file)) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise RubricError(f"The file cannot be read: {reason}", "Check what it is.", where=at(file)) from error
    if len(content) > MAX_BYTES:
        raise RubricError("The file is over 1 MiB", f"Check that it is the right {file.name}.", where=at(file))
    return content


def parse(content: bytes, file: Path) -> Document:
    """Reads a mapping. Raises RubricError for what is no YAML at all; lesser mistakes are noted in the document."""
    document = Document(file)
    root = _compose(_decode(content, file), file)
    if root is None:
        raise RubricError("The file is empty", "Start with `format: 1` and `title:`.", where=at(file))
    if not isinstance(root, yaml.MappingNode):
        raise RubricError(
            "The file does not hold keys and values",
            "Start with lines like `title: ...`.",
            where=at(file, _start(root)),
        )
    try:
        document.data = _Builder(document).build(root, ())
    except RecursionError:
        _too_deep(file)
    if not isinstance(document.data, dict):
        document.refuse()
    return document


def _decode(content: bytes, file: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        raise RubricError(
            "The file is not UTF-8", "Save it with the encoding UTF-8.", where=at(file, _end_of(before))
        ) from None


def _end_of(text: str) -> Position:
    return Position(text.count("\n") + 1, len(text) - (text.rfind("\n") + 1) + 1)


class _CoreLoader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2's core schema; PyYAML fills the table per class."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - the name and its shape are PyYAML's


for _name, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?[0-9]{1,18}|0o[0-7]{1,18}|0x[0-9a-fA-F]{1,15}", "-+0123456789"),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("merge", r"<<", "<"),
):
    _CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(rf"^(?:{_pattern})$"), list(_first))


def _compose(text: str, file: Path) -> yaml.Node | None:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=_CoreLoader)
    except yaml.MarkedYAMLError as error:
        what, fix = _in_plain_words(error)
        raise RubricError(what, fix, where=at(file, _of(_telling_mark(error)))) from None
    except yaml.reader.ReaderError as error:
        position = _end_of(text[: error.position])
        raise RubricError("There is a control character", "Delete it.", where=at(file, position)) from None
    except RecursionError:
        _too_deep(file)
    return node


def _too_deep(file: Path) -> NoReturn:
    raise RubricError("The YAML is nested too deep, or holds itself", "Write it flatter.", where=at(file)) from None


def _telling_mark(error: yaml.MarkedYAMLError) -> yaml.Mark | None:
    # What was never closed is found at the end of the file; where it was opened is what helps.
    if "end of stream" in str(error.problem) and error.context_mark:
        return error.context_mark
    return error.problem_mark or error.context_mark


def _in_plain_words(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    problem = str(error.problem)
    if r"'\t'" in problem:
        return "A tab stands where only spaces may", "Indent with spaces."
    if "mapping values are not allowed" in problem:
        return "A colon stands where no key may be", "Quote the text that holds it, or check the indentation above."
    if "undefined alias" in problem:
        return (
            "An alias names an anchor that is not there",
            "Define it above with `&`, or quote a text starting with `*`.",
        )
    if "another document" in problem:
        return "A second document starts here", "Keep one; delete the `---` line and what follows."
    if "end of stream" in problem:
        return "What is opened here is never closed", "Add the missing quote or bracket."
    return f"This is no valid YAML: {problem}", "Check the quotes, brackets and indentation here and one line above."


def _of(mark: yaml.Mark | None) -> Position:
    return Position(mark.line + 1, mark.column + 1) if mark else START


def _start(node: yaml.Node) -> Position:
    return _of(node.start_mark)


class _Builder:
    """Turns nodes into data. Aliased nodes become copies of their own, so that every path has its own value."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.nodes = 0

    def build(self, node: yaml.Node, path: DataPath) -> Any:
        self._count(node)
        self.document.values[path] = _start(node)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _count(self, node: yaml.Node) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            what = f"The file grows to more than {MAX_NODES} values through its aliases"
            raise RubricError(what, "Write out what the aliases stand for.", where=at(self.document.file, _start(node)))

    def _mapping(self, node: yaml.MappingNode, path: DataPath) -> dict[str, Any]:
        data = {}
        for name, (key, value) in self._pairs(node).items():
            self.document.keys[(*path, name)] = _start(key)
            data[name] = self.build(value, (*path, name))
        return data

    def _pairs(self, node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        self._count(node)
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        merged: list[yaml.MappingNode] = []
        for key, value in node.value:
            if key.tag == _TAG + "merge":
                merged.extend(self._merge_sources(value))
            elif not isinstance(key, yaml.ScalarNode):
                self.document.add(_start(key), "A key has to be a word", "Quote it if it starts with a bracket.")
            elif key.value in own:
                first = _start(own[key.value][0]).line
                what = f"The key `{key.value}` stands here a second time; the first is in line {first}"
                self.document.add(_start(key), what, "Keep one of the two.")
            else:
                own[key.value] = (key, value)
        for source in merged:
            for name, pair in self._pairs(source).items():
                own.setdefault(name, pair)
        return own

    def _merge_sources(self, node: yaml.Node) -> Iterator[yaml.MappingNode]:
        for source in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if isinstance(source, yaml.MappingNode):
                yield source
            else:
                self.document.add(_start(source), "Only keys and values can be merged", "Point `<<` at a mapping.")

    def _scalar(self, node: yaml.Node, path: DataPath) -> Any:
        text = node.value
        try:
            value = _scalar_value(node, text)
        except ValueError:
            self.document.add(_start(node), "This tag does not fit here", "Leave out the word that starts with `!`.")
            return None
        if not isinstance(value, str):
            self.document.texts[path] = text
        return value


def _scalar_value(node: yaml.Node, text: str) -> Any:
    kind = node.tag.removeprefix(_TAG) if isinstance(node, yaml.ScalarNode) else None
    if kind in {"str", "merge"}:
        return text
    if kind == "null":
        return None
    if kind == "bool" and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if kind == "int":
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if kind == "float":
        value = float(text)
        # An endless number has no place in a rubric: as text it is refused wherever a number is meant.
        return value if math.isfinite(value) else text
    raise ValueError(kind)

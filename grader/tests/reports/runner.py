"""A model of GitHub's runner: what it takes for commands in a log, and how it reads the files of a step."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

#: Those that do something; a token that commands were stopped with is one more until it came.
KNOWN = {
    "add-mask", "add-matcher", "add-path", "debug", "echo", "endgroup", "error", "group", "notice", "remove-matcher",
    "save-state", "set-env", "set-output", "stop-commands", "warning",
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    name: str
    data: str
    properties: dict[str, str] = field(default_factory=dict)


def commands(log: str) -> list[Command]:
    """What the runner does upon a log; lines end as .NET's do."""
    done: list[Command] = []
    token = None
    for line in re.split(r"\r\n|\r|\n", log):
        command = _new_form(line, token) or _old_form(line, token)
        if command is None:
            continue
        if token is not None:
            token = None if command.name == token.lower() else token
        elif command.name == "stop-commands":
            token = command.data
        else:
            done.append(command)
    return done


def _new_form(line: str, token: str | None) -> Command | None:
    found = re.match(r"::(.+?)::(.*)", line.lstrip())
    return _command(found[1], found[2], token, ",", "") if found else None


def _old_form(line: str, token: str | None) -> Command | None:
    found = re.search(r"##\[(.+?)\](.*)", line)
    return _command(found[1], found[2], token, ";", "old ") if found else None


def _command(head: str, data: str, token: str | None, separator: str, kind: str) -> Command | None:
    name, _, rest = head.strip().partition(" ")
    if name.lower() not in KNOWN | ({token.lower()} if token else set()):
        return None
    pairs = (pair.partition("=") for pair in rest.split(separator) if "=" in pair)
    properties = {key.strip(): unescaped(text) for key, _, text in pairs}
    return Command((kind if name.lower() in KNOWN else "") + name.lower(), unescaped(data), properties)


def unescaped(text: str) -> str:
    for escaped, character in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(escaped, character)
    return text


def variables(text: str) -> dict[str, str]:
    """What `$GITHUB_OUTPUT` and `$GITHUB_ENV` come to. A line that is neither form is refused, as the runner does."""
    found: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if not line:
            continue
        name, sign, rest = re.match(r"([^=<]+)(=|<<)(.*)", line).groups()  # type: ignore[union-attr]
        if sign == "=":
            found[name] = rest
            continue
        content: list[str] = []
        while (following := next(lines)) != rest:
            content.append(following)
        found[name] = "\n".join(content)
    return found

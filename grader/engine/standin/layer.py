"""Makes images of what was unpacked, and builds the layers above it, in the engine."""

from __future__ import annotations

import base64
import json
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import requests
from docker import errors as docker_errors

from grader.engine.standin.recipe import Recipe, read
from grader.engine.standin.unpack import failed, tar
from grader.result import Progress, ProgressEvent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from grader.engine.connect import Engine

_ENGINE_FAULTS = (docker_errors.DockerException, requests.RequestException)
# The longest that a step of a stand-in's build is silent, in seconds: apt waiting for a slow mirror.
_SILENCE = 300


def load(engine: Engine, archive: Path, name: str, recipe: Recipe, labels: Mapping[str, str]) -> None:
    """Make an unpacked file system an image of one layer. Raises EngineError."""
    changes = [*recipe.changes, *(f"LABEL {key}={value}" for key, value in labels.items())]
    try:
        # The tag stays in the name, as docker's own CLI sends it: Podman takes no notice of a parameter for it.
        answer = str(engine.client.import_image_from_file(str(archive), name, None, changes))
    except _ENGINE_FAULTS as error:
        raise failed(recipe.reference, engine.endpoint, (str(error),), late=False) from error
    if '"error"' in answer:
        raise failed(recipe.reference, engine.endpoint, tuple(answer.splitlines()[-5:]), late=False)


@dataclass(frozen=True)
class Build:
    """One layer to be built: under which name and labels, with which build arguments.

    ``deadline`` is in ``time.monotonic()``'s seconds.
    """

    recipe: Recipe
    name: str
    labels: Mapping[str, str]
    arguments: Mapping[str, str]
    deadline: float


def build(engine: Engine, asked: Build, progress: Progress) -> None:
    """Build a recipe's Dockerfile. Raises EngineError with the build's last lines."""
    log: deque[str] = deque(maxlen=20)
    reference = asked.recipe.reference
    try:
        error = _follow(engine, asked, log, progress)
    except _ENGINE_FAULTS as fault:
        raise failed(reference, engine.endpoint, (*log, str(fault)), late=False) from fault
    if error or time.monotonic() > asked.deadline:
        # The engine repeats the whole command before it says how it ended.
        raise failed(reference, engine.endpoint, (*log, error[-200:]), late=not error)


def _follow(engine: Engine, asked: Build, log: deque[str], progress: Progress) -> str:
    """Send the build and follow it to its end or the deadline; closing the connection ends it. Returns its error."""
    client: Any = engine.client
    parameters = {
        "version": "2",
        "t": asked.name,
        # This machine's own network: the mirror or the proxy may be reached from nowhere else.
        "networkmode": "host",
        "nocache": "1",
        # Podman leaves the container of a step that failed otherwise.
        "forcerm": "1",
        "labels": json.dumps(dict(asked.labels)),
        "buildargs": json.dumps(dict(asked.arguments)),
    }
    response = client.post(
        client._url("/build"),  # noqa: SLF001 - docker-py offers no BuildKit build
        params=parameters,
        data=tar({"Dockerfile": read(asked.recipe.files[0]).decode()}),
        headers={"Content-Type": "application/x-tar"},
        stream=True,
        timeout=(10, _SILENCE),
    )
    with response:
        client._raise_for_status(response)  # noqa: SLF001
        for event in client._stream_helper(response, decode=True):  # noqa: SLF001
            if event.get("error"):
                return str(event["error"])
            for line in _log_lines(event):
                log.append(line)
                progress(ProgressEvent("bases", f"{asked.recipe.reference}: {line}", detail=True))
            if time.monotonic() > asked.deadline:
                break
    return ""


def _log_lines(event: Mapping[str, Any]) -> list[str]:
    """What a build printed: classic text, or the messages (field 4) of the logs (field 3) of BuildKit's trace."""
    if event.get("id") == "moby.buildkit.trace":
        status = base64.b64decode(event.get("aux") or "")
        logs = (value for number, value in _fields(status) if number == 3)
        text = b"".join(value for log in logs for number, value in _fields(log) if number == 4).decode(errors="replace")
    else:
        text = str(event.get("stream", ""))
    return [line.strip() for line in text.splitlines() if line.strip()]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The numbers and contents of a protobuf message's length-delimited fields."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        if key & 7 == 2:
            length, position = _varint(message, position)
            yield key >> 3, message[position : position + length]
            position += length
        elif key & 7 == 0:
            _, position = _varint(message, position)
        else:
            position += 8 if key & 7 == 1 else 4


def _varint(message: bytes, position: int) -> tuple[int, int]:
    """The number that begins at a position, and the position after it."""
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7

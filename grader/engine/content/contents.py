"""Single files of an image, out of a container that never starts."""

from __future__ import annotations

import tarfile
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from grader.engine.api import sdk
from grader.engine.api.client import created
from grader.engine.api.stream import Stream
from grader.engine.content import tarlayer
from grader.engine.content.layers import is_whiteout
from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from grader.engine.connect import Engine
    from grader.engine.content.layers import Entry

_CHUNK = 1 << 20


def fetch(engine: Engine, image_id: str, labels: Mapping[str, str], paths: Iterable[str]) -> dict[str, bytes]:
    """Regular files by their path; missing ones are left out. ``labels`` mark the container that is needed."""
    with _container(engine, image_id, labels) as container:
        found = {path: _file(engine.client, container, path) for path in paths}
    return {path: content for path, content in found.items() if content is not None}


def listing(engine: Engine, image_id: str, labels: Mapping[str, str]) -> Mapping[str, Entry]:
    """The final file system as the engine shows it to a container, out of one export.

    The engine adds what every container needs: `/.dockerenv`, `/dev`, `/proc`, `/etc/hosts` and the like.
    """
    with _container(engine, image_id, labels) as container:
        return tarlayer.read(
            Stream(engine.client.export(container, chunk_size=_CHUNK)), search=False, marked=True
        ).entries


def first_whiteout(engine: Engine, image_id: str, labels: Mapping[str, str]) -> str | None:
    """A file of the final file system that has the name of a whiteout; None when there is none."""
    with _container(engine, image_id, labels) as container:
        files = tarlayer.members(Stream(engine.client.export(container, chunk_size=_CHUNK)), marked=True)
        return next((member.name for member, _ in files if is_whiteout(member.name)), None)


@contextmanager
def _container(engine: Engine, image_id: str, labels: Mapping[str, str]) -> Iterator[str]:
    """A container that never starts."""
    client: Any = engine.client
    # As root: Podman looks the user up even for a container that never starts.
    options: dict[str, Any] = {"command": ["/"], "user": "0", "labels": dict(labels), "network_disabled": True}
    container = created(client, image_id, **options)
    try:
        yield container
    except tarfile.TarError as error:
        raise EngineError(
            f"What the engine sends of the image's files is not complete: {error}",
            "Grade again; if it stays, restart the engine.",
            where=image_id,
        ) from error
    finally:
        # What cannot be removed now is found by its label at the end.
        with suppress(OSError):
            client.remove_container(container, force=True, v=True)


def _file(client: Any, container: str, path: str) -> bytes | None:
    try:
        chunks, _ = client.get_archive(container, f"/{path}".encode(errors="surrogateescape"))
    except sdk.errors.NotFound:
        return None
    for member, archive in tarlayer.members(Stream(chunks), marked=True):
        file = archive.extractfile(member) if member.isreg() else None
        if file is not None:
            return file.read()
    return None

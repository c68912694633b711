"""Base images in a file, for a machine that begins with none: a hosted runner keeps the file from run to run.

Only real images are kept. A stand-in would come back on an engine whose user has not agreed to any.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import requests
from docker import errors as docker_errors

from grader.engine import standin
from grader.errors import EngineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from grader.engine.bases import Base
    from grader.engine.connect import Engine

# An engine is silent while it unpacks a large layer.
_SILENCE = 300.0


def load(engine: Engine, references: Sequence[str], file: Path) -> bool:
    """Loads the images of ``file`` when one of the references is absent; whether that was done.

    Raises EngineError when the file cannot be loaded: they can be pulled instead.
    """
    if all(standin.inspect(engine, reference) for reference in references):
        return False
    client: Any = engine.client
    try:
        with file.open("rb") as data:
            answer = client.post(client._url("/images/load"), data=data, stream=True, timeout=(10, _SILENCE))  # noqa: SLF001
            with answer:
                client._raise_for_status(answer)  # noqa: SLF001
                for event in client._stream_helper(answer, decode=True):  # noqa: SLF001
                    if "error" in event:
                        raise _unloaded(file, str(event["error"]))
    except (docker_errors.DockerException, requests.RequestException, OSError, ValueError) as error:
        raise _unloaded(file, str(error)) from error
    return True


def save(engine: Engine, bases: Sequence[Base], file: Path) -> list[str]:
    """Writes the images to ``file``, whole or not at all; returns the references that are in it.

    Raises EngineError when the engine does not give them, UsageError when the file cannot be written.
    """
    names = [base.reference for base in bases if not base.stand_in]
    if not names:
        return []
    client: Any = engine.client
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        url, params = client._url("/images/get"), [("names", name) for name in names]  # noqa: SLF001
        with client.get(url, params=params, stream=True, timeout=(10, _SILENCE)) as answer:
            client._raise_for_status(answer)  # noqa: SLF001
            _written(answer, part)
        part.replace(file)
    except (docker_errors.DockerException, requests.RequestException) as error:
        raise EngineError(
            "The engine does not give the base images for the archive", "Run the command again.", where=str(file),
            log=(str(error)[:400],),
        ) from error  # fmt: skip
    except OSError as error:
        what = f"The base images cannot be kept: {error.strerror}"
        raise UsageError(what, "Name a file in a folder that exists and has room.", where=str(file)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return names


def _written(answer: requests.Response, part: Path) -> None:
    with part.open("wb") as out:
        for chunk in answer.iter_content(1 << 20):
            out.write(chunk)


def _unloaded(file: Path, why: str) -> EngineError:
    what = f"The archive of base images cannot be loaded: {' '.join(why.split())[:300]}"
    return EngineError(what, "Delete it; it is made again.", where=str(file))

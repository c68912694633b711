"""Python packages for the Python of an image, by that image's own pip: what it downloads there installs there."""

from __future__ import annotations

import tarfile
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from grader.engine import build as building
from grader.engine import leftovers
from grader.engine.api.stream import Stream
from grader.errors import EngineError, RubricError
from grader.submission import context as contexts
from grader.submission import dockerfile as dockerfiles
from grader.submission.files import DOCKERFILE, File

if TYPE_CHECKING:
    import io
    from collections.abc import Mapping

    from grader.engine.connect import Engine
    from grader.result import Progress

#: Seconds that all downloads of an exercise may take.
_LIMIT = 900.0
_INDEX_ERROR = "What cannot be found is misspelt, or has no version for this Python; the log's last lines say which."


@dataclass(frozen=True)
class Pip:
    """The pip of an image that is present."""

    engine: Engine
    image: str
    progress: Progress

    def download(self, requirements: str, options: str = "") -> Mapping[str, bytes]:
        """Wheels and source archives by file name; ``requirements`` is a requirements file's text.

        ``options`` are more of `pip download`'s. Raises ``RubricError`` when pip fails, ``EngineError`` when the engine
        or the network does.
        """
        text = (
            f"FROM {self.image}\nUSER 0\nWORKDIR /grader\nCOPY requirements.txt .\n"
            f"RUN pip download --no-cache-dir --disable-pip-version-check {options} -d packages -r requirements.txt\n"
        ).encode()
        context = contexts.pack({DOCKERFILE: File(text), "requirements.txt": File(requirements.encode())})
        run = leftovers.Run.new()
        try:
            asked = building.Options(_LIMIT, run.labels, cache=False)
            built = building.build(self.engine, context, dockerfiles.parse(text), asked, progress=self.progress)
            if built.failure is not None or built.image_id is None:
                log = built.failure.log if built.failure else ()
                raise RubricError(f"pip could not download what is asked for, in {self.image}", _INDEX_ERROR, log=log)
            return _taken(self.engine, built.image_id, run)
        finally:
            leftovers.remove(self.engine, run)


def _taken(engine: Engine, image: str, run: leftovers.Run) -> dict[str, bytes]:
    client: Any = engine.client
    # It never starts; as root, because Podman looks the user up even so.
    container = client.create_container(image, ["-"], user="0", labels=run.labels, network_disabled=True)["Id"]
    try:
        chunks, _ = client.get_archive(container, "/grader/packages")
        with tarfile.open(fileobj=cast("io.BytesIO", Stream(chunks)), mode="r:") as archive:
            return {
                member.name.rpartition("/")[2]: content.read()
                for member in archive
                if member.isfile() and (content := archive.extractfile(member))
            }
    except (OSError, tarfile.TarError) as error:
        raise EngineError("The engine did not hand over what was downloaded", "Run it again.") from error
    finally:
        with suppress(OSError):
            client.remove_container(container, force=True)

"""How a build gets its secrets: through a session of ours, or as Podman wants them, inside the context."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from grader.engine import credentials
from grader.submission import secretmounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.engine.build import Options
    from grader.engine.connect import Engine
    from grader.engine.trace import Step
    from grader.submission.dockerfile import Dockerfile

#: Characters that a line of a secret has at least; a shorter one would be found everywhere.
_TELLING = 5


@dataclass(frozen=True)
class Secrets:
    """What builds may ask for by its id. ``asked`` are the ids that one of them was given, added while it runs."""

    values: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    asked: set[str] = field(default_factory=set)

    def hidden(self, text: str) -> str:
        """``text`` without the values: a step may print what it was given, and logs are kept and sent."""
        for value in self.values.values():
            for line in {value.decode(errors="replace").strip(), *value.decode(errors="replace").split("\n")}:
                if len(line.strip()) >= _TELLING:
                    text = text.replace(line.strip(), "***")
        return text

    def hide(self, step: Step) -> Step:
        """The same of a step's log and error."""
        return replace(step, log=self.hidden(step.log), error=self.hidden(step.error)) if self.values else step


class Handed(NamedTuple):
    """The tar to send, and the parameters of the build call that go with it."""

    tar: bytes
    parameters: Mapping[str, str]


@contextmanager
def handed(engine: Engine, dockerfile: Dockerfile, tar: bytes, options: Options) -> Iterator[Handed]:
    """What a build has to be sent so that it gets the secrets of ``options``, for as long as it runs.

    A session is opened only where the Dockerfile asks for it, or a registry that BuildKit itself fetches from.

    Raises ``EngineError`` when the engine opens none.
    """
    secrets = options.secrets
    if engine.name == "podman":
        yield _inside(tar, secrets.values)
        # It does not say what a step asked for; every mount of a stage that the image is made from does.
        built = (dockerfile.up_to(options.target) if options.target else None) or dockerfile
        secrets.asked.update(secretmounts.mounted_ids(built, built.final) & secrets.values.keys())
        return
    logins = credentials.of(engine, options.cache_from)
    if not (logins or options.session or secretmounts.needs_session(dockerfile)):
        yield Handed(tar, {})
        return
    from grader.engine import session  # noqa: PLC0415  # brings asyncio along; most builds need none

    with session.opened(engine, secrets, logins) as identity:
        yield Handed(tar, {"session": identity})


def _inside(tar: bytes, values: Mapping[str, bytes]) -> Handed:
    """Podman takes the files out of the context before it builds (`pkg/api/handlers/compat/images_build.go`)."""
    if not values:
        return Handed(tar, {})
    files = {f"grader-{uuid.uuid4().hex}": (name, value) for name, value in values.items()}
    content = io.BytesIO(tar)
    with tarfile.open(fileobj=content, mode="a", format=tarfile.GNU_FORMAT) as archive:
        for file, (_, value) in files.items():
            member = tarfile.TarInfo(file)
            member.size, member.mode = len(value), 0o600
            archive.addfile(member, io.BytesIO(value))
    given = [f"id={name},src={file}" for file, (name, _) in files.items()]
    return Handed(content.getvalue(), {"secrets": json.dumps(given)})

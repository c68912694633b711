"""Builds what was handed in, and changes of it, in the way that the rubric asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grader.engine import build as building
from grader.engine import frontend
from grader.engine.buildsecrets import Secrets
from grader.submission import context as build_context
from grader.submission import dockerfile as dockerfiles
from grader.submission import secretmounts
from grader.submission.files import DOCKERFILE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.engine.build import Build
    from grader.engine.connect import Engine
    from grader.engine.leftovers import Run
    from grader.request import Request
    from grader.submission.dockerfile import Dockerfile
    from grader.submission.files import File


class Builder:
    """The builds of one run; they share its labels, its secrets and its cache mounts."""

    def __init__(self, request: Request, run: Run, fresh: str) -> None:
        """Builds nothing yet. ``fresh`` is the random value of this run, for secrets and build arguments."""
        settings = request.rubric.settings
        self._settings = settings
        self._progress = request.progress
        self._run = run
        given = settings.build_secrets
        self.secrets = Secrets({name: text.replace("{fresh}", fresh).encode() for name, text in given.items()})
        # Cache mounts of its own: what another submission left in one would be taken for this one's work.
        own = {"BUILDKIT_CACHE_MOUNT_NS": f"grader-{run.id}"}
        self._args = own | {name: text.replace("{fresh}", fresh) for name, text in settings.build_args.items()}
        #: The submission's own, whether it failed or not: nobody builds a stage or a change before it.
        self.first: Build | None = None

    def build(self, engine: Engine, dockerfile: Dockerfile, files: Mapping[str, File], **options: Any) -> Build:
        """Builds ``files``, whose Dockerfile is ``dockerfile``; ``options`` are those of `engine.build.Options`.

        Raises ``SubmissionError`` with the line at fault, and ``EngineError`` when it is not the learner's.
        """
        settings, written = self._settings, files[DOCKERFILE]
        network = settings.build_network
        data = frontend.prepare(engine, dockerfile, written.data, own=not network, progress=self._progress)
        if types := self._renewed(engine, dockerfile):
            marked = secretmounts.renewed(data, dockerfile, f"grader-{self._run.id}", types)
            data, options = (data, {**options, "cache": False}) if marked is None else (marked, options)
            options["session"] = True
            # Podman tells steps by their text.
            dockerfile = dockerfiles.parse(data) if engine.name == "podman" else dockerfile
        options["args"] = {**self._args, **options.get("args", {})}
        sent = replace(written, data=data)
        context = build_context.pack({**files, DOCKERFILE: sent}, limit=settings.context_limit)
        wanted = building.Options(
            timeout=settings.build_timeout,
            labels=self._run.labels,
            secrets=self.secrets,
            network=network,
            wheelhouse=settings.wheelhouse,
            **options,
        )
        build = building.build(engine, context, dockerfile, wanted, progress=self._progress)
        self.first = self.first or build
        if build.failure is not None:
            raise build.failure
        return build

    def _renewed(self, engine: Engine, dockerfile: Dockerfile) -> set[str]:
        """Mounts whose RUN steps are made anew by each grading, though the engine's cache would take them for done."""
        # No cache looks at what is in a secret: it would give what was made with that of another run.
        types = {"secret"} if self.secrets.values else set()
        # Nor, since about Engine 23, at which cache is mounted: a step would come from another run, and this one's
        # mount, which that step had filled, would be empty. Podman has no mounts of one run's own.
        if engine.name == "docker" and secretmounts.has_cache_mounts(dockerfile):
            types.add("cache")
        return types

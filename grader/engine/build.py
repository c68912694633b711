"""A build context -> an image, through BuildKit and the Engine API, without a CLI and without buildx.

`POST /build?version=2` (Engine API, ImageBuild) takes the tar and answers with JSON lines: BuildKit's trace, the
image's id, or an error. Podman takes the same call and answers with its own builder's text.
"""

from __future__ import annotations

import json
import os
import re
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from grader.engine import buildsecrets, cancel
from grader.engine.api import sdk
from grader.engine.api.client import post, proxies
from grader.engine.buildsecrets import Secrets
from grader.engine.told import told as as_told
from grader.engine.trace import Step, Trace, Vertex, as_step
from grader.errors import EngineError, GraderError, SubmissionError
from grader.result import BuildResult, Progress, ProgressEvent, silent
from grader.submission.steps import told as named

if TYPE_CHECKING:
    from grader.engine.api.wire import Answer
    from grader.engine.connect import Engine
    from grader.engine.podman.buildah import Buildah
    from grader.submission.context import Context
    from grader.submission.dockerfile import Dockerfile


@dataclass(frozen=True)
class Build:
    """A finished build. ``image_id`` is None exactly when ``failure`` says what the learner's files did wrong.

    ``culprit`` is the step that failed then, if one did. ``asked`` are the ids of the secrets that this build, or one
    before it with the same ``Options.secrets``, asked for and was given.
    """

    image_id: str | None
    steps: tuple[Step, ...]
    duration: float
    failure: SubmissionError | None = None
    culprit: Step | None = None
    asked: frozenset[str] = frozenset()

    @property
    def result(self) -> BuildResult:
        """How this build is told in a result."""
        return BuildResult(round(self.duration, 4), as_told(self.steps, self.duration))


@dataclass(frozen=True)
class Options:
    """What a build is asked for. ``timeout`` is in seconds; ``labels`` mark the image as ours.

    ``cache_from`` names images whose layers may be taken instead of being built; without ``cache`` they are not.
    ``session`` opens one even if nothing that is known of the Dockerfile asks for it. Without ``network`` RUN steps
    have none; ``wheelhouse`` is then the file of requirements whose packages the context brings, "" for none.
    """

    timeout: float = 300.0
    labels: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    cache: bool = True
    cache_from: tuple[str, ...] = ()
    secrets: Secrets = field(default_factory=Secrets)
    session: bool = False
    network: bool = True
    wheelhouse: str = ""


def build(
    engine: Engine, context: Context, dockerfile: Dockerfile, options: Options, *, progress: Progress = silent
) -> Build:
    """Builds ``context``; the caller has already parsed the Dockerfile and held it against the policy.

    Never skip that: a Dockerfile without FROM ends Engine 20.10 with a panic.

    Raises ``EngineError`` when the engine, the network, a registry or the disk failed. What the learner's files did
    wrong comes back as ``Build.failure``, with the Dockerfile line and the end of the step's log.
    """
    trial = partial(_attempt, engine)
    try:
        result = trial(context, dockerfile, options, progress)
    except EngineError as error:
        from grader.engine.faults import doubt  # noqa: PLC0415  # only a failure needs to be blamed on anybody

        return doubt.Doubt(engine, context, dockerfile, options, progress, trial).raised(error)
    if result.failure is None:
        return result
    from grader.engine.faults import doubt  # noqa: PLC0415  # see above

    return doubt.Doubt(engine, context, dockerfile, options, progress, trial).failed(result)


def _attempt(engine: Engine, context: Context, dockerfile: Dockerfile, options: Options, progress: Progress) -> Build:
    """One build."""
    started = time.monotonic()
    log = _builder(engine)(engine, dockerfile, options, progress)
    try:
        with (
            buildsecrets.handed(engine, dockerfile, context.tar, options) as (tar, more),
            cancel.deadline(options.timeout, log.stop) as clock,
        ):
            proxies = _proxies(engine) if options.network else {}
            parameters = {**_parameters(context, options, proxies), **log.parameters, **more}
            image_id, error = _run(engine, tar, parameters, log, clock)
            while log.stumbled(error) and not clock.expired:
                image_id, error = _run(engine, tar, parameters, log, clock)
    except (sdk.requests.RequestException, OSError, sdk.errors.APIError, ValueError) as fault:
        raise EngineError(
            f"The engine went away during the build: {fault}",
            "See that it runs (`grader doctor`), then grade again; nothing is counted against the submission.",
            where=engine.endpoint,
        ) from fault
    duration = time.monotonic() - started
    log.finish()
    steps, culprit = tuple(map(options.secrets.hide, log.steps())), log.culprit(error)
    culprit = culprit and options.secrets.hide(culprit)
    told = _Told(options.secrets.hidden(error), culprit, steps)
    failure = None
    if error or clock.expired:
        failure = _failure(told, options, clock, (dockerfile, context, engine))
    if isinstance(failure, EngineError):
        _complete(failure, steps, duration, culprit)
        raise failure
    if failure is None and image_id is None:
        raise EngineError("The engine ended the build without an image and without an error", "Grade again.")
    if isinstance(failure, SubmissionError):
        return Build(None, steps, duration, failure, culprit)
    return Build(image_id, steps, duration, asked=frozenset(options.secrets.asked))


def _complete(error: EngineError, steps: tuple[Step, ...], duration: float, culprit: Step | None) -> None:
    """An error that may turn out to be none carries the build that failed then."""
    from grader.engine.faults.blame import DoubtfulError  # noqa: PLC0415  # see `build`

    if isinstance(error, DoubtfulError):
        error.build = Build(None, steps, duration, error.theirs, culprit)


def _builder(engine: Engine) -> type[_BuildKit | Buildah]:
    if engine.name == "docker":
        return _BuildKit
    from grader.engine.podman.buildah import Buildah  # noqa: PLC0415  # most engines are not Podman, and a build waits for it

    return Buildah


class _BuildKit:
    """One build by BuildKit: what it is asked, what it says, and how it ends."""

    def __init__(self, engine: Engine, dockerfile: Dockerfile, options: Options, progress: Progress) -> None:
        self._engine = engine
        self._dockerfile = dockerfile
        self._options = options
        self._trace = Trace()
        self._progress = progress
        self._told: set[str] = set()
        self._id = uuid.uuid4().hex

    @property
    def parameters(self) -> dict[str, str]:
        """What is asked of this builder alone."""
        asked = {"version": "2", "buildid": self._id, "labels": json.dumps(dict(self._options.labels))}
        if self._options.cache_from:
            asked["cachefrom"] = json.dumps(self._options.cache_from)
        if not self._options.network:
            asked["networkmode"] = "none"
        return asked

    def stop(self) -> None:
        """Asks the engine to end the build; by a connection of its own, for the client's is busy with the answer."""
        client: Any = self._engine.client
        with suppress(sdk.requests.RequestException, OSError):
            client.post(client._url("/build/cancel"), params={"id": self._id}, timeout=cancel.GRACE)  # noqa: SLF001

    def stumbled(self, _error: str) -> bool:
        """Whether the build failed of something that passes: nothing of the kind is known."""
        return False

    def finish(self) -> None:
        """Nothing: the engine itself bounds what it keeps."""

    def feed(self, message: Mapping[str, Any]) -> None:
        """Takes in one JSON line of the engine's answer."""
        if message.get("id") == "moby.buildkit.trace" and isinstance(message.get("aux"), str):
            for vertex in self._trace.feed(message["aux"]):
                self._tell(vertex)

    def steps(self) -> tuple[Step, ...]:
        """The steps so far."""
        return self._trace.steps(self._dockerfile)

    def culprit(self, _error: str) -> Step | None:
        """The step that failed, else the one that was running longest when everything stopped."""
        vertices = [vertex for vertex in self._trace.vertices.values() if vertex.name]
        broken = [vertex for vertex in vertices if vertex.error and "context canceled" not in vertex.error]
        running = sorted((v for v in vertices if v.running), key=lambda v: v.started or 0)
        cancelled = [vertex for vertex in vertices if vertex.error]
        found = next(iter([*broken, *running, *cancelled]), None)
        return as_step(found, self._dockerfile) if found else None

    def _tell(self, vertex: Vertex) -> None:
        # "copy /context /" is how newer front ends take the context in: nothing of the learner's either.
        if not vertex.name or vertex.name.startswith(("[internal]", "copy /context ")):
            return
        name = named(vertex.name, self._dockerfile).name
        if vertex.completed and name not in self._told and not vertex.error:
            self._told.add(name)
            step = as_step(vertex, self._dockerfile)
            how = "cached" if step.cached else f"{step.duration or 0:.1f} s"
            self._progress(ProgressEvent("build", f"{name} ({how})", step=name))
        elif vertex.running:
            last = vertex.log.decode(errors="replace").rstrip().rpartition("\n")[2] or vertex.progress
            last = self._options.secrets.hidden(last)
            self._progress(ProgressEvent("build", name, detail=True, step=name, log=last))


def _run(
    engine: Engine, tar: bytes, parameters: Mapping[str, str], log: _BuildKit | Buildah, clock: cancel.Clock
) -> tuple[str | None, str]:
    """Image id and error text, either of which may be missing."""

    def ask() -> sdk.requests.Response | Answer:
        # The SDK's own call has no parameter for BuildKit (docker-py issue 2230).
        headers = {"Content-Type": "application/x-tar"}
        response = post(engine.client, "/build", data=tar, params=parameters, headers=headers, silence=clock.silence)
        if response.status_code != HTTPStatus.OK:
            with response:
                raise _RefusedError(response)
        return response

    image_id, error = None, ""
    try:
        for line in clock.lines(ask):
            message = json.loads(line)
            log.feed(message)
            error = message.get("error") or error
            image_id = _image_id(message) or image_id
    except _RefusedError as refused:
        return None, str(refused)
    except (sdk.requests.RequestException, OSError, ValueError):
        if not clock.expired:
            raise
    return image_id, error


def _proxies(engine: Engine) -> dict[str, str]:
    """The proxy that builds should use: what docker's own configuration says, as the CLI does.

    Our own engine has no such configuration; there it is the proxy of the machine. These arguments are predefined, so
    they are neither in the image's history nor in a cache key.
    """
    configured = proxies(engine.client)
    if configured or not engine.private:
        return configured
    names = ("http_proxy", "https_proxy", "no_proxy")
    given = {name: os.environ.get(name) or os.environ.get(name.upper()) for name in names}
    return {spelled: value for name, value in given.items() if value for spelled in (name, name.upper())}


def _parameters(context: Context, options: Options, proxies: Mapping[str, str]) -> dict[str, str]:
    """What is asked of every builder."""
    parameters = {"dockerfile": context.dockerfile, "rm": "1", "forcerm": "1"}
    if not options.cache:
        parameters["nocache"] = "1"
    if options.target:
        parameters["target"] = options.target
    if arguments := {**proxies, **options.args}:
        parameters["buildargs"] = json.dumps(arguments)
    return parameters


class _RefusedError(Exception):
    """The engine does not even begin; its message says why."""

    def __init__(self, response: sdk.requests.Response | Answer) -> None:
        try:
            super().__init__(str(response.json()["message"]))
        except (ValueError, KeyError, TypeError):
            super().__init__(f"HTTP {response.status_code}: {response.text[:500]}")


def _image_id(message: Mapping[str, Any]) -> str | None:
    """The id that the engine gives the image; BuildKit's own message first, and Podman's `aux` is the same."""
    aux = message.get("aux")
    if isinstance(aux, Mapping) and message.get("id", "moby.image.id") == "moby.image.id":
        found = aux.get("ID")
        return str(found) if found else None
    podman = re.fullmatch(r"[0-9a-f]{64}\n?", message.get("stream", ""))
    return f"sha256:{podman[0].strip()}" if podman else None


class _Told(NamedTuple):
    """What a build said at its end: its error, the step that failed, and all steps."""

    error: str
    culprit: Step | None
    steps: tuple[Step, ...]


def _failure(
    told: _Told, options: Options, clock: cancel.Clock, asked: tuple[Dockerfile, Context, Engine]
) -> GraderError:
    from grader.engine.embedded import standing  # noqa: PLC0415  # see `build`
    from grader.engine.faults import blame, offline  # noqa: PLC0415  # see `build`

    instead = "" if options.network else offline.instead(options.wheelhouse)
    if clock.expired:
        return blame.timeout(told.culprit, options.timeout, engine_hung=clock.cut, instead=instead)
    dockerfile, context, engine = asked
    known = blame.Asked(
        dockerfile, context, tuple(options.secrets.values), standing.of(engine), instead, engine.platform
    )
    return blame.failure(told.error, told.culprit, steps=told.steps, asked=known)

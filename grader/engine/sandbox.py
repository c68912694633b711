"""Runs an image with nothing that it does not need, until its app answers.

No network but its own loopback, no capabilities, no new privileges, bounded memory, processes, CPU, files and logs, no
mounts, never the engine's socket, never privileged. What the container's command, user or entrypoint does wrong is the
learner's; what the engine fails to do is not.
"""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests
from docker.errors import APIError, NotFound
from docker.types import LogConfig, Ulimit

from grader.course.units import human_time
from grader.engine.namespace import (
    Answer,
    Entered,
    Listener,
    Namespace,
    Probe,
    Published,
    Question,
    is_ours,
    start_probe,
)
from grader.errors import EngineError, SubmissionError
from grader.result import Progress, ProgressEvent, silent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.engine.connect import Engine

#: How often a waiting grader looks again, in seconds; with `Entered` a look costs well under a millisecond.
_LOOK_EVERY = 0.01
_ASK_STATE_EVERY = 0.1
#: An app that listens on 127.0.0.1 alone for this long (seconds) has made up its mind.
_SETTLED = 2.0
_LOG_LINES = 20
_LOG_BYTES = 16_000

# What the engine says at start when the image, not the engine, is at fault: texts seen for mistakes made on purpose. A
# mere “permission denied” may as well be a limit that the engine may not set.
_CALLED = r'exec: "[^"]*": (?:stat [^:]*: )?'
_STARTED_WRONG = (
    (
        re.compile(_CALLED + r"(?:no such file or directory|executable file not found|not a directory)"),
        "The command of the image does not exist in it",
    ),
    (re.compile(_CALLED + "permission denied"), "The command of the image may not be executed"),
    (re.compile(_CALLED + "exec format error"), "The command of the image is no program for this machine"),
    (re.compile(_CALLED + "is a directory"), "The command of the image is a directory"),
    (
        re.compile(r"no command specified|no command or entrypoint (?:provided|specified)|args must not be empty"),
        "The image has no command to start",
    ),
    (
        re.compile(r"unable to find user|no matching entries in passwd|error looking up user|invalid user"),
        "The user of the image does not exist in it",
    ),
    (
        re.compile(r"unable to find group|no matching entries in group|error looking up group"),
        "The group of the image does not exist in it",
    ),
    (
        re.compile(
            r"working directory '[^']*' is invalid|chdir to cwd \(|cannot mkdir: .* is not a directory"
            r"|workdir \"[^\"]*\" does not exist|mkdir .*: not a directory"
        ),
        "The working directory of the image cannot be used",
    ),
)


@dataclass(frozen=True)
class Options:
    """How an app is started and what tells that it is ready. Times are seconds, memory is bytes."""

    port: int
    path: str = "/"
    within: float = 30.0
    status: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    memory: int = 512_000_000
    internet: bool = False


class AppError(SubmissionError):
    """The image's app does not do what it should; ``log`` holds the last lines that it printed."""


@dataclass
class App:
    """A running app, ready to be asked."""

    engine: Engine = field(repr=False)
    container: str
    port: int
    namespace: Namespace = field(repr=False)
    started_in: float

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        """One HTTP exchange with the app; ``options`` are those of `Question`."""
        return self.namespace.ask(Question(method, path, self.port, **options))

    def log(self) -> tuple[str, ...]:
        """The last lines of what the app printed."""
        return last_lines(self.engine, self.container)


class Sandbox:
    """Starts apps, each in a container of its own; ``close`` removes all of it.

    ``probes`` are images that a probe container may be made from: the exercise's own base images.
    """

    def __init__(self, engine: Engine, labels: Mapping[str, str], probes: Sequence[str]) -> None:
        """Starts nothing yet."""
        self._engine = engine
        self._labels = dict(labels)
        self._probes = probes
        self._probe: Probe | None = None
        self._containers: list[str] = []
        self._namespaces: list[Namespace] = []
        self._enters = engine.local
        self.notes: list[str] = []

    def prepare(self) -> None:
        """Starts what is needed before an app can be asked; worth doing while the image builds."""
        if not self._enters and self._probe is None:
            options = self._create_options(memory=128_000_000, mode="none")
            self._probe = start_probe(self._engine, self._probes, options | {"environment": {}})
            if self._probe:
                self._containers.append(self._probe.container)

    def start(self, image: str, options: Options, *, progress: Progress = silent) -> App:
        """An app that has answered. Raises ``AppError`` when it does not, ``EngineError`` when the engine fails."""
        began = time.monotonic()
        progress(ProgressEvent("start", "starting the image", detail=True))
        container, namespace = self._running(image, options)
        if namespace is None:
            # An engine in a VM, or a grader in a container: its processes are not this machine's.
            self._enters = False
            self._remove(container)
            container, namespace = self._running(image, options)
        if namespace is None:
            raise EngineError("The app's network cannot be reached", "Grade again; `grader doctor` tells more.")
        self._wait(container, namespace, options, began)
        took = time.monotonic() - began
        progress(ProgressEvent("start", f"the app answers on port {options.port} ({took:.1f} s)"))
        return App(self._engine, container, options.port, namespace, took)

    def close(self) -> None:
        """Removes the containers and what is in them."""
        for namespace in self._namespaces:
            namespace.close()
        probe = self._probe.container if self._probe else ""
        apps = [container for container in self._containers if container != probe]
        with ThreadPoolExecutor(max(1, len(apps)), "removing") as pool:
            list(pool.map(self._remove, apps))
        # Podman keeps a container whose namespace others share.
        if probe in self._containers:
            self._remove(probe)

    def _remove(self, container: str) -> None:
        """What cannot be removed now is found by its label later."""
        with suppress(APIError, requests.RequestException):
            self._engine.client.remove_container(container, force=True, v=True)
        self._containers.remove(container)

    # --- starting ---

    def _running(self, image: str, options: Options) -> tuple[str, Namespace | None]:
        """A started container and the way to its app; None when there is none from here."""
        self.prepare()
        container = self._create(image, options)
        try:
            self._engine.client.start(container)
        except APIError as error:
            raise _start_failure(error) from error
        namespace = self._way_in(container, options)
        if namespace is not None and not isinstance(namespace, Probe):
            self._namespaces.append(namespace)
        return container, namespace

    def _create(self, image: str, options: Options) -> str:
        published = options.port if self._is_published(options) else None
        create = self._create_options(options.memory, self._mode(options), published)
        try:
            container: str = self._engine.client.create_container(image, environment=dict(options.env), **create)["Id"]
        except APIError as error:
            raise _start_failure(error) from error
        self._containers.append(container)
        return container

    def _mode(self, options: Options) -> str:
        if options.internet or self._is_published(options):
            return "bridge"
        return f"container:{self._probe.container}" if self._probe else "none"

    def _is_published(self, options: Options) -> bool:
        """With the internet open, a probe cannot hold the namespace: the engine makes the app's own."""
        return not self._enters and (options.internet or self._probe is None)

    def _create_options(self, memory: int, mode: str, published: int | None = None) -> dict[str, Any]:
        host = self._engine.client.create_host_config(
            network_mode=mode,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            mem_limit=memory,
            memswap_limit=memory,
            pids_limit=256,
            nano_cpus=1_000_000_000,
            ulimits=_limits(podman=self._engine.name == "podman"),
            log_config=_bounded_logs(podman=self._engine.name == "podman"),
            port_bindings={published: ("127.0.0.1", None)} if published else None,
        )
        # The engine would run the image's HEALTHCHECK beside our questions; whoever wants it asks for it.
        return {
            "labels": self._labels,
            "host_config": host,
            "healthcheck": {"test": ["NONE"]},
            "ports": [published] if published else None,
        }

    def _way_in(self, container: str, options: Options) -> Namespace | None:
        if self._probe and not options.internet:
            return self._probe
        if self._enters:
            return self._enter(container)
        self.notes.append("The app ran with a network: this engine lets nobody into a container without one.")
        return Published(self._published_port(container, options.port))

    def _enter(self, container: str) -> Namespace | None:
        """Into the namespace of its process; None when that is no process of this machine."""
        pid = self._state(container).get("Pid") or 0
        if pid and is_ours(pid, container):
            with suppress(OSError):
                return Entered(pid)
        return None if self._state(container).get("Running") else _Gone()

    def _published_port(self, container: str, port: int) -> int:
        bound = self._engine.client.port(container, port) or []
        if not bound:
            raise EngineError("The engine did not publish the app's port", "Grade again.", where=container)
        return int(bound[0]["HostPort"])

    # --- waiting ---

    def _wait(self, container: str, namespace: Namespace, options: Options, began: float) -> None:
        watch = _Watch(options)
        deadline = began + options.within
        next_look_at_state = 0.0
        while True:
            now = time.monotonic()
            if now >= next_look_at_state:
                state = self._state(container)
                next_look_at_state = now + _ASK_STATE_EVERY
                if not state.get("Running"):
                    raise _exited(state, last_lines(self._engine, container))
            if watch.ready(namespace, deadline):
                return
            if now > deadline or watch.settled(now):
                raise watch.failure(last_lines(self._engine, container))
            time.sleep(_LOOK_EVERY)

    def _state(self, container: str) -> Mapping[str, Any]:
        try:
            return self._engine.client.inspect_container(container)["State"] or {}
        except NotFound as error:
            raise EngineError("Somebody removed the app's container", "Grade again.", where=container) from error


class _Gone:
    """The namespace of a container whose process had ended before anybody could enter."""

    def ask(self, _question: Question) -> Answer:
        return Answer(kind="refused", error="the app has ended")

    def listeners(self) -> tuple[Listener, ...] | None:
        return ()

    def close(self) -> None:
        pass


class _Watch:
    """What has been seen of an app that is not ready yet."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._listeners: tuple[Listener, ...] = ()
        self._inside_since: float | None = None
        self._answer: Answer | None = None

    def ready(self, namespace: Namespace, deadline: float) -> bool:
        """Whether the app answers as it should; the socket table first, because asking a closed port tells nothing."""
        found = namespace.listeners()
        if found is not None:
            self._listeners = found
            here = [listener for listener in found if listener.port == self._options.port]
            if not any(not listener.inside_only for listener in here):
                self._inside_since = (self._inside_since or time.monotonic()) if here else None
                return False
            self._inside_since = None
        within = max(0.1, min(5.0, deadline - time.monotonic()))
        question = Question("GET", self._options.path, self._options.port, within=within, limit=64 << 10)
        self._answer = namespace.ask(question)
        return not self._answer.error and self._is_good(self._answer.status)

    def settled(self, now: float) -> bool:
        """Whether waiting longer is of no use."""
        return self._inside_since is not None and now - self._inside_since > _SETTLED

    def failure(self, log: tuple[str, ...]) -> AppError:
        """Why the app did not become ready."""
        options = self._options
        if self._inside_since is not None:
            return AppError(
                f"The app listens on port {options.port}, but on 127.0.0.1 only: "
                "nobody outside its container reaches it",
                "Let it listen on 0.0.0.0.",
                log=log,
            )
        if self._answer is not None and not self._answer.error:
            return AppError(
                f"The app answers GET {options.path} with status {self._answer.status}, "
                f"not {options.status or 'a success'}, for {human_time(options.within)}",
                "Its last log lines may say why.",
                log=log,
            )
        if self._answer is not None and self._answer.kind != "refused":
            return AppError(
                f"The app accepts connections on port {options.port}, "
                f"but GET {options.path} fails: {self._answer.error}",
                "Its last log lines may say why.",
                log=log,
            )
        return self._deaf(log)

    def _deaf(self, log: tuple[str, ...]) -> AppError:
        options = self._options
        others = sorted({listener.port for listener in self._listeners if listener.port != options.port})
        if others:
            ports = ", ".join(map(str, others))
            return AppError(
                f"The app listens on port {ports}, not on {options.port}",
                f"Let it listen on port {options.port}. EXPOSE alone changes nothing.",
                log=log,
            )
        return AppError(
            f"The app runs, but does not listen on port {options.port} after {human_time(options.within)}",
            "Does the command start the server, or wait for something that is not there?",
            log=log,
        )

    def _is_good(self, status: int) -> bool:
        wanted = self._options.status
        return status == wanted if wanted else 200 <= status < 400


def last_lines(engine: Engine, container: str) -> tuple[str, ...]:
    """The last lines that a container printed, to stdout and stderr; a learner's data."""
    try:
        raw: bytes = engine.client.logs(container, stdout=True, stderr=True, tail=_LOG_LINES)
    except (APIError, requests.RequestException):
        return ()
    return tuple(raw[-_LOG_BYTES:].decode(errors="replace").splitlines()[-_LOG_LINES:])


def _limits(*, podman: bool) -> list[Ulimit]:
    limits = [Ulimit(name="nofile", soft=1024, hard=4096), Ulimit(name="core", soft=0, hard=0)]
    if podman:
        # Left alone, Podman asks for its own idea of a maximum, which a machine may refuse; `pids_limit` binds anyway.
        limits.append(Ulimit(name="nproc", soft=8192, hard=8192))
    return limits


def _bounded_logs(*, podman: bool) -> LogConfig:
    """Podman takes the name for its own k8s-file, and knows of one file only."""
    return LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m"} | ({} if podman else {"max-file": "1"}))


def _exited(state: Mapping[str, Any], log: tuple[str, ...]) -> AppError:
    code = state.get("ExitCode")
    if state.get("OOMKilled"):
        return AppError("The app was ended for using more memory than it may", "Let it use less.", log=log)
    return AppError(
        f"The app ended at once, with exit code {code}",
        "The command has to start the server and stay in the foreground."
        if code == 0
        else "Its last log lines say why.",
        log=log,
    )


def _start_failure(error: APIError) -> EngineError | SubmissionError:
    text = str(error.explanation or error)
    for pattern, what in _STARTED_WRONG:
        if pattern.search(text.lower()):
            return AppError(f"{what}: {text.strip()[:300]}", "Look at CMD, ENTRYPOINT, USER and WORKDIR.")
    return EngineError(
        f"The engine could not start the container: {text.strip()[:300]}",
        "Nothing is counted against the submission. Grade again; `grader doctor` tells more.",
    )

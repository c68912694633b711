"""Runs an image with nothing that it does not need, until its app answers.

What the container's command, user or entrypoint does wrong is the learner's; what the engine fails to do is not.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from grader.course.units import human_time
from grader.engine import fences
from grader.engine.api import sdk
from grader.engine.api.client import created
from grader.engine.faults import starved
from grader.engine.faults.refusal import start_failure
from grader.engine.running import run
from grader.engine.running import state as states
from grader.engine.running.app import App, exited, last_lines
from grader.engine.running.namespace import (
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
from grader.engine.running.processes import Beside, Local
from grader.engine.running.readiness import Watch
from grader.errors import EngineError
from grader.result import Progress, ProgressEvent, silent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grader.engine.connect import Engine
    from grader.engine.running.app import Options
    from grader.engine.running.processes import View
    from grader.engine.running.run import Command, Finished

#: How often a waiting grader looks again, in seconds; with `Entered` a look costs well under a millisecond.
_LOOK_EVERY = 0.01
_ASK_STATE_EVERY = 0.1


#: What it takes to look at processes of other users, and to stop them.
_LOOKERS = ("SYS_PTRACE", "DAC_READ_SEARCH", "KILL")


class Sandbox:
    """Starts apps, each in a container of its own; ``close`` removes all of it.

    ``probes`` are images that a probe container may be made from: the exercise's own base images.
    """

    def __init__(self, engine: Engine, labels: Mapping[str, str], probes: Sequence[str]) -> None:
        """Starts nothing yet."""
        self._engine = engine
        self._labels = dict(labels)
        self._probes = probes
        #: Held ready for the next app, which takes it.
        self._probe: Probe | None = None
        self._probe_containers: list[str] = []
        self._containers: list[str] = []
        self._namespaces: list[Namespace] = []
        self._enters = engine.local
        self._closed = False
        self._hung = False
        self.notes: list[str] = []

    def prepare(self) -> None:
        """Starts what is needed before an app can be asked; worth doing while the image builds."""
        if not self._enters and self._probe is None:
            options = fences.fenced(self._engine, self._labels, memory=128_000_000, runtime=None)
            self._probe = start_probe(self._engine, self._probes, options | {"environment": {}})
            if self._probe:
                self._probe_containers.append(self._probe.container)

    def start(self, image: str, options: Options, *, progress: Progress = silent) -> App:
        """An app that has answered. Raises ``AppError`` when it does not, ``EngineError`` when the engine fails."""
        began = time.monotonic()
        container, namespace = self._running(image, options, progress)
        if namespace is None and not self._closed:
            # An engine in a VM, or a grader in a container: its processes are not this machine's.
            self._enters = False
            self._remove(container)
            container, namespace = self._running(image, options, progress)
        if namespace is None:
            raise EngineError("The app's network cannot be reached", "Grade again; `grader doctor` tells more.")
        self._wait(container, namespace, options, began)
        took = time.monotonic() - began
        progress(ProgressEvent("start", f"the app answers on port {options.port} ({took:.1f} s)"))
        return App(self._engine, container, options.port, namespace, took, self._view(container))

    def run(self, image: str, command: Command) -> Finished:
        """Runs a command in a container of its own; raises as `run.in_image` does."""
        return run.in_image(self._engine, image, self._labels, command)

    def close(self) -> None:
        """Removes the containers and what is in them; from now on none is started."""
        self._closed = True
        for namespace in self._namespaces:
            namespace.close()
        # Podman keeps a container whose namespace others share: the apps go first.
        for containers in (self._containers, self._probe_containers):
            with ThreadPoolExecutor(max(1, len(containers)), "removing") as pool:
                list(pool.map(self._remove, tuple(containers)))

    def _remove(self, container: str) -> None:
        """What cannot be removed now is found by its label later; an engine that hangs is waited for once."""
        try:
            if not self._hung:
                self._engine.client.remove_container(container, force=True, v=True)
        except OSError as error:  # the client library's errors are kinds of it
            self._hung |= isinstance(error, sdk.requests.Timeout)
        for containers in (self._containers, self._probe_containers):
            with suppress(ValueError):
                # A thread that still starts an app and the one that cleans up may both come here.
                containers.remove(container)

    # --- starting ---

    def _running(self, image: str, options: Options, progress: Progress) -> tuple[str, Namespace | None]:
        """A started container and the way to its app; None when there is none from here."""
        probe = self._take_probe(options)
        container = self._create(image, options, probe)
        progress(ProgressEvent("start", "starting the image, waiting for its app"))
        try:
            self._engine.client.start(container)
        except sdk.errors.APIError as error:
            raise start_failure(error) from error
        namespace = probe or self._way_in(container, options)
        if namespace is not None and not probe:
            self._namespaces.append(namespace)
        return container, namespace

    def _take_probe(self, options: Options) -> Probe | None:
        """One for each app: two could not listen on the same port. With the internet open the namespace is its own."""
        if self._enters or options.internet:
            return None
        self.prepare()
        probe, self._probe = self._probe, None
        return probe

    def _create(self, image: str, options: Options, probe: Probe | None) -> str:
        published = None if self._enters or probe else options.port
        own = "bridge" if options.internet or published else "none"
        create = fences.fenced(
            self._engine,
            self._labels,
            options.memory,
            network_mode=f"container:{probe.container}" if probe else own,
            port_bindings={published: ("127.0.0.1", None)} if published else None,
            **(fences.read_only(self._engine, options.tmpfs) if options.read_only else {}),
        )
        create |= {"environment": dict(options.env), "ports": [published] if published else None}
        try:
            container = created(self._engine.client, image, **create)
        except sdk.errors.APIError as error:
            raise start_failure(error) from error
        self._containers.append(container)
        return container

    def _way_in(self, container: str, options: Options) -> Namespace | None:
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

    def _view(self, container: str) -> View:
        return Local(container) if self._enters else Beside(partial(self._look, container), self._engine.runtime)

    def _look(self, container: str, command: Command) -> Finished:
        """Beside a container, from the first base image that has a Python; as root, who may look at what others run."""
        done = run.Finished(None, refused="no base image has a Python")
        for image in self._probes:
            shared = {"pid_mode": f"container:{container}", "cap_add": list(_LOOKERS), "read_only": True}
            done = run.in_image(self._engine, image, self._labels, command, **shared, runtime=None)
            if not done.refused:
                break
        return done

    # --- waiting ---

    def _wait(self, container: str, namespace: Namespace, options: Options, began: float) -> None:
        watch = Watch(options)
        deadline = began + options.patience
        next_look_at_state = 0.0
        while True:
            now = time.monotonic()
            if now >= next_look_at_state:
                state = self._state(container)
                next_look_at_state = now + _ASK_STATE_EVERY
                if not state.get("Running"):
                    raise exited(state, last_lines(self._engine, container))
            if watch.ready(namespace, deadline):
                return
            if watch.settled(now):
                raise watch.failure(last_lines(self._engine, container))
            if now > deadline:
                self._check_time(container, options)
                raise watch.failure(last_lines(self._engine, container))
            time.sleep(_LOOK_EVERY)

    def _check_time(self, container: str, options: Options) -> None:
        """Raises ``EngineError`` when the app was not ready because others had the processors."""
        waited = starved.waited(container, options.patience) if self._enters else None
        if waited is not None:
            raise EngineError(
                f"The app was not ready after {human_time(options.patience)}, and the machine gave it no time: "
                f"for {human_time(round(waited, 1))} of that it waited for a processor",
                "Nothing is counted against it. Grade again when the machine has less to do, or fewer at once.",
                log=last_lines(self._engine, container),
            )

    def _state(self, container: str) -> Mapping[str, Any]:
        return states.of(self._engine, container)


class _Gone:
    """The namespace of a container whose process had ended before anybody could enter."""

    def ask(self, _question: Question) -> Answer:
        return Answer(kind="refused", error="the app has ended")

    def listeners(self) -> tuple[Listener, ...] | None:
        return ()

    def close(self) -> None:
        pass

"""Pulls a base image from its registry, and tells apart what can go wrong with that."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from grader.engine.api import sdk
from grader.errors import EngineError, ExitCode
from grader.result import Fault, ProgressEvent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grader.engine.connect import Engine
    from grader.result import Progress

_TRIES = 3
_PAUSE = 1.0  # seconds before the second try; each further one waits twice as long
# The engine is silent while it waits for a registry, and while it unpacks a large layer.
_SILENCE = 120.0
_REPORT_EVERY = 0.2


class Trouble(Enum):
    """Why a pull failed: it decides whether another try, another day or another reference would help."""

    RATE_LIMIT = "rate limit"
    DENIED = "denied"
    NOT_FOUND = "not found"
    UNREACHABLE = "unreachable"
    CERTIFICATE = "certificate"
    DISK = "disk"
    PLATFORM = "platform"
    SILENT = "silent"
    TRANSIENT = "transient"


# What another try may mend.
_PASSING = {Trouble.SILENT, Trouble.TRANSIENT}


class PullError(EngineError):
    """A pull failed; ``trouble`` says of what kind."""

    def __init__(self, trouble: Trouble, what: str, fix: str, *, where: str, log: tuple[str, ...] = ()) -> None:
        super().__init__(what, fix, where=where, log=log)
        self.trouble = trouble
        if trouble is Trouble.NOT_FOUND:
            # The reference comes from the exercise: a wrong one is its author's to mend.
            self.fault, self.exit_code = Fault.AUTHOR, ExitCode.USAGE


# In this order: a registry's message may contain words of a later line. Docker Hub says "denied" of a repository that
# does not exist, too.
_SIGNS: tuple[tuple[Trouble, tuple[str, ...]], ...] = (
    (Trouble.RATE_LIMIT, ("toomanyrequests", "too many requests", "rate limit", "status: 429", "status code 429")),
    (Trouble.DISK, ("no space left", "disk quota exceeded")),
    (
        Trouble.CERTIFICATE,
        ("x509:", "certificate signed by unknown", "certificate verify failed", "tls: failed to verify"),
    ),
    (
        Trouble.PLATFORM,
        ("no matching manifest", "no image found in manifest list", "does not match the specified platform"),
    ),
    (
        Trouble.UNREACHABLE,
        (
            "no such host",
            "server misbehaving",
            "name resolution",
            "name or service not known",
            "connection refused",
            "no route to host",
            "network is unreachable",
            "proxyconnect",
            "server gave http response to https client",
        ),
    ),
    (
        Trouble.DENIED,
        ("unauthorized", "authentication required", "no basic auth", "denied", "forbidden", "status: 401"),
    ),
    (Trouble.SILENT, ("timeout", "timed out", "deadline exceeded", "not answer in time", "time for pulling")),
    (Trouble.NOT_FOUND, ("manifest unknown", "not found", "name unknown", "invalid reference format", "status: 404")),
)


@dataclass
class Puller:
    """Pulls for one command: what it learnt of a registry that is out of reach holds for the next reference too.

    ``first_byte`` is how long, in seconds, a registry may take to begin; None leaves it the ordinary silence.
    """

    engine: Engine
    deadline: float
    progress: Progress
    first_byte: float | None = None
    unreachable: dict[str, PullError] = field(default_factory=dict)
    meter: _Meter = field(init=False)

    def __post_init__(self) -> None:
        """One meter for all the pulls, which may go on side by side."""
        self.meter = _Meter(self.progress)

    def pull(self, reference: str, *, tries: int = _TRIES) -> None:
        """Pull a reference, again after transient faults. Raises PullError."""
        registry = sdk.auth.resolve_repository_name(sdk.parse_repository_tag(reference)[0])[0]
        if registry in self.unreachable:
            known = self.unreachable[registry]
            raise PullError(known.trouble, *_words(known.trouble, reference), where=known.where, log=known.log)
        pause = _PAUSE
        for attempt in range(1, tries + 1):
            try:
                self._once(reference, registry)
            except PullError as error:
                final = attempt == tries or time.monotonic() + pause > self.deadline
                if error.trouble not in _PASSING or final:
                    if error.trouble in {Trouble.UNREACHABLE, Trouble.SILENT}:
                        self.unreachable[registry] = error
                    raise
                text = f"{reference}: {error.log[0] if error.log else error.what}; trying again in {pause:.0f} s"
                self.progress(ProgressEvent("bases", text, detail=True))
                time.sleep(pause)
                pause *= 2
            else:
                return

    def _once(self, reference: str, registry: str) -> None:
        self.meter.begin(reference)
        where = "Docker Hub" if registry == sdk.auth.INDEX_NAME else registry
        try:
            for event in self._events(reference, registry):
                if message := event.get("error"):
                    raise _told(reference, str(message), where)
                self.meter.add(reference, event)
                if time.monotonic() > self.deadline:
                    raise _told(reference, "the time for pulling base images is over", where)
        except sdk.errors.APIError as error:
            raise _told(reference, str(error.explanation or error), where) from error
        except sdk.requests.Timeout as error:
            raise _told(reference, "the registry did not answer in time", where) from error
        except (sdk.errors.DockerException, sdk.requests.RequestException, OSError) as error:
            raise _engine_gone(self.engine, error) from error

    def _events(self, reference: str, registry: str) -> Any:
        """Start the pull and yield the engine's messages, with docker's own credentials for the registry."""
        client: Any = self.engine.client
        name, tag = sdk.parse_repository_tag(reference)
        header = sdk.auth.get_config_header(client, registry)
        patience = max(0.1, min(self.first_byte or _SILENCE, self.deadline - time.monotonic()))
        # docker-py's own `pull` waits for ever.
        response = client.post(
            client._url("/images/create"),  # noqa: SLF001
            params={"fromImage": name, "tag": tag or "latest"},
            headers={"X-Registry-Auth": header} if header else {},
            stream=True,
            timeout=(10, patience),
        )
        with response:
            client._raise_for_status(response)  # noqa: SLF001
            for event in client._stream_helper(response, decode=True):  # noqa: SLF001
                self._be_patient(response)
                yield event

    def _be_patient(self, response: sdk.requests.Response) -> None:
        """Once a registry has begun, it may pause for as long as any other."""
        if self.first_byte is None:
            return
        client: Any = self.engine.client
        channel = client._get_raw_response_socket(response)  # noqa: SLF001
        channel = getattr(channel, "_sock", channel)
        if hasattr(channel, "settimeout"):
            channel.settimeout(max(0.1, min(_SILENCE, self.deadline - time.monotonic())))


def trouble_with(engine: Engine, reference: str, *, within: float) -> PullError | None:
    """What would keep the engine from pulling a reference, as its registry says now; None when nothing would.

    Nothing is pulled. Takes no longer than ``within`` seconds, and is None for an engine that does not answer this
    question (Podman).
    """
    registry = sdk.auth.resolve_repository_name(sdk.parse_repository_tag(reference)[0])[0]
    where = "Docker Hub" if registry == sdk.auth.INDEX_NAME else registry
    client: Any = engine.client
    before, client.timeout = client.timeout, within
    try:
        client.inspect_distribution(reference)
    except sdk.errors.NotFound as error:
        return None if engine.name == "podman" else _told(reference, str(error), where, error.explanation)
    except sdk.errors.APIError as error:
        return _told(reference, str(error), where, error.explanation)
    except (sdk.errors.DockerException, sdk.requests.RequestException):
        return _told(reference, "timed out", where)
    finally:
        client.timeout = before
    return None


class _Meter:
    """Adds up the bytes of all layers of all images and reports them, a few times a second."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._images: dict[str, dict[str, tuple[int, int]]] = {}
        self._next = 0.0
        self._lock = threading.Lock()

    def begin(self, reference: str) -> None:
        """The first try, or another one."""
        with self._lock:
            self._images[reference] = {}

    def add(self, reference: str, event: Mapping[str, Any]) -> None:
        """What the engine says of one layer."""
        with self._lock:
            self._count(self._images[reference], event)
            now = time.monotonic()
            if now < self._next or not any(self._images.values()):
                return
            self._next = now + _REPORT_EVERY
            text = self._text()
        self._progress(ProgressEvent("bases", text, detail=True))

    def _count(self, layers: dict[str, tuple[int, int]], event: Mapping[str, Any]) -> None:
        detail = event.get("progressDetail") or {}
        if event.get("status") == "Downloading" and detail.get("total"):
            layers[str(event.get("id"))] = (int(detail.get("current") or 0), int(detail["total"]))
        elif event.get("status") in {"Download complete", "Pull complete"} and str(event.get("id")) in layers:
            total = layers[str(event["id"])][1]
            layers[str(event["id"])] = (total, total)

    def _text(self) -> str:
        numbers = [layer for layers in self._images.values() for layer in layers.values()]
        current, total = (sum(column) for column in zip(*numbers, strict=True))
        name = f"{len(self._images)} images" if len(self._images) > 1 else next(iter(self._images))
        return f"{name}: {current / 1e6:.0f} of {total / 1e6:.0f} MB, {100 * current // total} %"


def _told(reference: str, message: str, where: str, said: str | None = None) -> PullError:
    """The error that a message of the engine's stands for; ``said`` is what to tell of it, if not all."""
    lowered = message.lower()
    trouble = next((t for t, signs in _SIGNS if any(sign in lowered for sign in signs)), Trouble.TRANSIENT)
    return PullError(trouble, *_words(trouble, reference), where=where, log=((said or message).strip()[:400],))


def _words(trouble: Trouble, reference: str) -> tuple[str, str]:
    """What happened and how to mend it."""
    return {
        Trouble.RATE_LIMIT: (
            f"The registry refused to send {reference} for now: too many pulls from this address.",
            "Wait (Docker Hub counts by the hour), or log in with `docker login`, which raises the limit.",
        ),
        Trouble.DENIED: (
            f"The registry did not let us pull {reference}: it is private, or there is no such repository.",
            "Log in with `docker login` if it is private; check the spelling in the exercise if it is not.",
        ),
        Trouble.NOT_FOUND: (
            f"The registry has no image {reference}.",
            "Check the name and the tag in the exercise's `bases` (and that the tag has not been withdrawn).",
        ),
        Trouble.UNREACHABLE: (
            f"The registry of {reference} is not reached from here.",
            "Check the network, and the proxy and registry mirror in the engine's configuration.",
        ),
        Trouble.CERTIFICATE: (
            f"The certificate of {reference}'s registry is not trusted by the engine.",
            "Where a proxy inspects TLS, add its CA to the machine's certificates and restart the engine.",
        ),
        Trouble.DISK: (
            f"There is no room on the engine's disk for {reference}.",
            "Make room: `grader clean` removes what grading left, `docker system prune` more.",
        ),
        Trouble.PLATFORM: (
            f"The image {reference} does not exist for this engine's architecture.",
            "Use an engine of an architecture that the image is made for.",
        ),
        Trouble.SILENT: (
            f"The registry did not answer in time when asked for {reference}.",
            "Check the network and the proxy, or try later.",
        ),
        Trouble.TRANSIENT: (
            f"The registry did not send {reference}, and trying again did not help.",
            "Try later; the registry's own status page may say more.",
        ),
    }[trouble]


def _engine_gone(engine: Engine, error: Exception) -> EngineError:
    return EngineError(
        "The engine stopped answering while it pulled a base image.",
        "See that it runs (`grader doctor`), then run the command again.",
        where=engine.endpoint,
        log=(str(error)[:400],),
    )

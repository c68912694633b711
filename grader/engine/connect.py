"""Finds an engine that answers: the one the user chose, else the usual places, else our own.

Only this package knows that a Docker client library exists; everything else sees ``Engine``.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from grader.engine import install, private
from grader.engine.api import sdk
from grader.engine.api.client import Client, serves, whole
from grader.engine.running import state
from grader.errors import EngineError, UsageError
from grader.result import EngineResult, Progress, ProgressEvent, silent

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Names the runtime of the engine's that runs the images of learners.
RUNTIME_VARIABLE = "GRADER_RUNTIME"
#: What Engine 20.10, 28 and Podman 4 all speak.
API_VERSION = "1.41"
#: Seconds an engine may take to say that it is there; a socket without one behind it answers at once or never.
PING_TIMEOUT = 5.0
#: Seconds any single call may take before the engine counts as gone; streams have bounds of their own.
CALL_TIMEOUT = 60.0


@dataclass(frozen=True)
class Engine:
    """An engine that answered.

    ``platform`` reads ``linux/amd64``. ``private`` says that it is our own. ``local`` says that this process is root
    on the machine whose processes and folders are the engine's own; callers still verify what they read there.
    ``runtime`` is what runs the images of learners, empty for the engine's default.
    """

    client: sdk.APIClient = field(repr=False)
    name: str
    version: str
    api_version: str
    platform: str
    endpoint: str
    private: bool = False
    local: bool = False
    runtime: str = ""
    #: The process that listens there, where the kernel tells; another one later is an engine that was started anew.
    process: int | None = None

    @property
    def result(self) -> EngineResult:
        """How this engine is named in a result."""
        return EngineResult(self.name, self.version, self.platform)

    def at_least(self, major: int) -> bool:
        """Whether this is Docker Engine of at least this major version; a version that is no number counts as new."""
        first = self.version.split(".", 1)[0]
        return self.name == "docker" and (not first.isdigit() or int(first) >= major)


@dataclass(frozen=True)
class Candidate:
    """A place where an engine may answer; ``source`` says in words where we have it from."""

    endpoint: str
    source: str
    tls: sdk.tls.TLSConfig | None = None
    chosen: bool = False


def connect(*, agreed: bool = False, start_private: bool = True, progress: Progress = silent) -> Engine:
    """The first engine that answers, in the order of ``candidates``, else our private one.

    ``agreed`` says that the user lets us install what an engine needs; without ``start_private`` an own engine that
    does not run is left alone. Raises ``EngineError`` when none answers; the message names every place that was tried.
    Raises ``UsageError`` when it does not know the runtime that is asked for.
    """
    return _with_runtime(_connected(agreed=agreed, start_private=start_private, progress=progress))


def _connected(*, agreed: bool, start_private: bool, progress: Progress) -> Engine:
    tried: list[str] = []
    if found := _first_that_answers(tried):
        return found
    if not start_private and not private.running():
        raise _no_engine(tried, None if private.available() else install.supported(), can_start=private.available())
    if not private.running() and not private.available():
        _install(agreed=agreed, tried=tried, progress=progress)
        # Where an init system runs, the package has started the system's own engine.
        if found := _first_that_answers([]):
            return found
    return _open(Candidate(private.start(progress), "the grader's own engine"), is_private=True)


def _with_runtime(engine: Engine) -> Engine:
    """The engine, told which of its runtimes is to run what learners made (Engine API, SystemInfo, `Runtimes`)."""
    wanted = os.environ.get(RUNTIME_VARIABLE, "")
    if not wanted:
        return engine
    known = sorted(engine.client.info().get("Runtimes") or {})
    if wanted not in known:
        raise UsageError(
            f"The engine knows no runtime `{wanted}`",
            f"It knows {', '.join(known) or 'none by name'}. Others are told to it in its daemon.json, as `runtimes`.",
            where=f"--runtime or {RUNTIME_VARIABLE}",
        )
    return replace(engine, runtime=wanted)


def _first_that_answers(tried: list[str]) -> Engine | None:
    """Adds to ``tried`` why each place did not answer; a place that the user chose raises at once."""
    for candidate in candidates():
        try:
            return _open(candidate)
        except (sdk.errors.DockerException, sdk.requests.RequestException, OSError, ValueError) as error:
            tried.append(f"{candidate.source} ({candidate.endpoint}): {_reason(error)}")
            if candidate.chosen:
                raise _chosen_does_not_answer(candidate, error) from error
    return None


def candidates() -> Iterator[Candidate]:
    """Where to look, in order. What a user chose (DOCKER_HOST, a docker context) is the only place then."""
    if host := os.environ.get("DOCKER_HOST"):
        yield Candidate(host, "DOCKER_HOST", _environment_tls(), chosen=True)
        return
    if context := _docker_context():
        yield context
    for path, source in _sockets():
        if path.exists():
            yield Candidate(f"unix://{path}", source)
    if sys.platform == "win32":
        yield Candidate("npipe:////./pipe/docker_engine", "Docker Desktop")
        yield Candidate("npipe:////./pipe/dockerDesktopLinuxEngine", "Docker Desktop")
        yield Candidate("npipe:////./pipe/podman-machine-default", "Podman")


def _sockets() -> Iterator[tuple[Path, str]]:
    if sys.platform == "win32":
        return
    home = Path.home()
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}")
    yield Path("/var/run/docker.sock"), "the system's Docker Engine"
    yield home / ".docker/run/docker.sock", "Docker Desktop"
    yield home / ".docker/desktop/docker.sock", "Docker Desktop"
    yield home / ".colima/default/docker.sock", "Colima"
    yield home / ".config/colima/default/docker.sock", "Colima"
    yield home / ".rd/docker.sock", "Rancher Desktop"
    yield runtime / "docker.sock", "rootless Docker Engine"
    yield runtime / "podman/podman.sock", "Podman"
    yield home / ".local/share/containers/podman/machine/podman.sock", "Podman machine"
    yield Path("/run/podman/podman.sock"), "Podman"


def _docker_context() -> Candidate | None:
    """The docker CLI's current context, as its own files say it; None for ``default``."""
    config = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    name = os.environ.get("DOCKER_CONTEXT") or _json(config / "config.json").get("currentContext")
    if not isinstance(name, str) or name in ("", "default"):
        return None
    key = sha256(name.encode()).hexdigest()
    endpoint = _json(config / "contexts/meta" / key / "meta.json").get("Endpoints", {}).get("docker", {})
    if not endpoint.get("Host"):
        raise EngineError(
            f"The docker context “{name}” does not exist",
            "Choose another with `docker context use NAME`, or set DOCKER_HOST.",
            where=str(config / "config.json"),
        )
    tls = _context_tls(config / "contexts/tls" / key / "docker", verify=not endpoint.get("SkipTLSVerify"))
    return Candidate(endpoint["Host"], f"docker context “{name}”", tls, chosen=True)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _environment_tls() -> sdk.tls.TLSConfig | None:
    if not os.environ.get("DOCKER_TLS_VERIFY"):
        return None
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or Path.home() / ".docker")
    return _context_tls(folder, verify=True)


def _context_tls(folder: Path, *, verify: bool) -> sdk.tls.TLSConfig | None:
    if not folder.is_dir():
        return None
    pair = (folder / "cert.pem", folder / "key.pem")
    authority = folder / "ca.pem"
    return sdk.tls.TLSConfig(
        client_cert=(str(pair[0]), str(pair[1])) if pair[0].exists() else None,
        ca_cert=str(authority) if authority.exists() else None,
        verify=verify,
    )


def _open(candidate: Candidate, *, is_private: bool = False) -> Engine:
    # The SDK leaks a socket that nobody serves, and says of it what only its authors understand.
    process = state.listening(candidate.endpoint) if candidate.endpoint.startswith("unix://") else None
    client = _client(candidate)
    try:
        facts: Any = client.version(api_version=False)
        client.timeout = int(CALL_TIMEOUT)
        names = [component.get("Name", "") for component in facts.get("Components") or []]
        _speak(client, str(facts["ApiVersion"]), str(facts.get("MinAPIVersion") or API_VERSION))
        podman = any("podman" in name.lower() for name in names)
        return Engine(
            client=whole(client) if podman else client,
            name="podman" if podman else "docker",
            version=str(facts["Version"]),
            api_version=str(facts["ApiVersion"]),
            platform=f"{facts['Os']}/{facts['Arch']}",
            endpoint=candidate.endpoint,
            private=is_private or candidate.endpoint == private.endpoint(),
            local=_is_root_on_linux() and candidate.endpoint.startswith("unix://"),
            process=process,
        )
    except (KeyError, TypeError, AttributeError, sdk.requests.exceptions.InvalidJSONError) as error:
        client.close()
        raise ValueError("something answers there, but no container engine") from error
    except BaseException:
        client.close()
        raise


def _client(candidate: Candidate) -> sdk.APIClient:
    if serves(candidate.endpoint):
        return cast("sdk.APIClient", Client(candidate.endpoint, API_VERSION, int(PING_TIMEOUT)))
    from grader.engine.api.library import Library  # noqa: PLC0415  # see `sdk`

    return Library(
        base_url=candidate.endpoint,
        version=API_VERSION,
        tls=candidate.tls or False,
        timeout=int(PING_TIMEOUT),
        use_ssh_client=candidate.endpoint.startswith("ssh://"),
    )


def _speak(client: sdk.APIClient, newest: str, oldest: str) -> None:
    """Settles on a version of the Engine API: ours, or the oldest that a newer engine still takes."""
    if _number(newest) < _number(API_VERSION):
        raise ValueError(
            f"an engine of API {newest}, but this grader needs {API_VERSION} (Docker Engine 20.10) or later"
        )
    if _number(oldest) > _number(API_VERSION):
        cast("Any", client)._version = oldest  # noqa: SLF001 - the SDK would ask the engine once more


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _is_root_on_linux() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0


def _install(*, agreed: bool, tried: list[str], progress: Progress) -> None:
    obstacle = install.supported()
    if obstacle or not agreed:
        raise _no_engine(tried, obstacle)
    progress(ProgressEvent("engine", "no container engine answers; installing one"))
    install.install(progress)


def _no_engine(tried: list[str], obstacle: str | None, *, can_start: bool = False) -> EngineError:
    places = "; ".join(tried) or "no socket of Docker, Docker Desktop, Colima, Rancher Desktop or Podman exists"
    if can_start:
        return EngineError(
            "No container engine answers", "Start the grader's own: `grader engine start`.", where=places
        )
    fix = obstacle or "Let the grader install one: `grader engine install`, or add --yes to this command."
    return EngineError("No container engine answers", fix, where=places)


def _chosen_does_not_answer(candidate: Candidate, error: BaseException) -> EngineError:
    return EngineError(
        f"The engine of {candidate.source} does not answer: {_reason(error)}",
        f"Start that engine, or unset {candidate.source} so that the grader looks for another."
        if candidate.source == "DOCKER_HOST"
        else "Start that engine, or choose another with `docker context use default`.",
        where=candidate.endpoint,
    )


def _reason(error: BaseException) -> str:
    """The innermost cause in a few words; client libraries wrap it several times over."""
    text = str(error)
    for sign, words in (
        ("PermissionError", "permission denied"),
        ("Permission denied", "permission denied"),
        ("FileNotFoundError", "no such socket"),
        ("No such file", "no such socket"),
        ("Connection refused", "connection refused"),
        ("timed out", "no answer in time"),
        ("Name or service not known", "no such host"),
    ):
        if sign in text:
            return words
    return text.splitlines()[0][:160] if text else type(error).__name__

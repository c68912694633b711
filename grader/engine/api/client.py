"""The Engine API over a unix socket: the calls that every grading makes, with the standard library alone.

Whoever holds a `Client` uses it as the Docker client library's own `APIClient`. That one is made, and its library
imported, only when it is asked for anything else, or when the engine refuses: what went wrong it tells best.
"""

from __future__ import annotations

import http
import json
import os
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from grader.engine.api import sdk
from grader.engine.api.wire import CONNECT_TIMEOUT, Answer, Connection, as_the_library_tells_it

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Words of `create_host_config` -> keys of the Engine API's HostConfig (ContainerCreate) that take the same values.
_HOST_CONFIG = {
    "cap_add": "CapAdd",
    "cap_drop": "CapDrop",
    "log_config": "LogConfig",
    "mem_limit": "Memory",
    "memswap_limit": "MemorySwap",
    "nano_cpus": "NanoCpus",
    "network_mode": "NetworkMode",
    "pids_limit": "PidsLimit",
    "runtime": "Runtime",
    "security_opt": "SecurityOpt",
    "ulimits": "Ulimits",
}
#: What `create_container` is told of an app or a command; whoever asks for more gets it from the library.
_CONTAINER = {"environment", "healthcheck", "host_config", "labels"}
#: Words for what is run -> keys of ContainerCreate.
_RUN = {"command": "Cmd", "entrypoint": "Entrypoint", "user": "User", "working_dir": "WorkingDir"}
#: Words of `exec_create` -> keys of ContainerExec.
_EXEC = {"stdout": "AttachStdout", "stderr": "AttachStderr", "user": "User", "workdir": "WorkingDir"}


#: Times that images are listed again.
_LISTINGS = 10


def serves(endpoint: str) -> bool:
    """Whether a `Client` will do: on a unix socket, unless docker's own configuration wants requests to be different.

    Proxies for containers and additional HTTP headers are read by the library as the docker CLI reads them.
    """
    return endpoint.startswith("unix://") and not _is_configured()


def _is_configured() -> bool:
    home = Path.home()
    folder = Path(os.environ.get("DOCKER_CONFIG") or home / ".docker")
    # The last two are where the library looks next.
    for file in (folder / "config.json", home / ".docker/config.json", home / ".dockercfg"):
        try:
            config = json.loads(file.read_bytes())
            return not isinstance(config, dict) or bool(config.get("proxies") or config.get("HttpHeaders"))
        except FileNotFoundError:
            continue
        except (OSError, ValueError):
            return True
    return False


def whole(client: sdk.APIClient | Client) -> sdk.APIClient:
    """The library's own client, for an engine that only resembles Docker's: this one was tried on no other."""
    return client.library if isinstance(client, Client) else client


def proxies(client: sdk.APIClient | Client) -> dict[str, str]:
    """The proxies that docker's configuration gives to builds, as environment variables."""
    if isinstance(client, Client):
        # See `serves`.
        return {}
    library: Any = client
    return dict(library._proxy_configs.get_environment())  # noqa: SLF001  # the CLI's own reading, in the SDK


def post(  # noqa: PLR0913  # what a request is made of
    client: sdk.APIClient | Client,
    path: str,
    *,
    data: bytes,
    params: Mapping[str, str],
    headers: Mapping[str, str],
    silence: float,
) -> sdk.requests.Response | Answer:
    """POSTs ``data``; the answer is to be read as it comes, whatever its status, and closed.

    ``silence`` is how many seconds the engine may say nothing. Raises ``requests.RequestException``.
    """
    if isinstance(client, Client):
        return client.send("POST", path, data=data, params=params, headers=headers, silence=silence)
    library: Any = client
    url, timeout = library._url(path), (CONNECT_TIMEOUT, silence)  # noqa: SLF001  # the SDK has no parameter for a body
    response: sdk.requests.Response = library.post(
        url, data=data, params=params, headers=headers, stream=True, timeout=timeout
    )
    return response


def has(answer: Any, needs: Sequence[str] | None, what: str) -> Any:
    """The engine's answer to ``what``, when it is an object with ``needs`` in it, or without them a list.

    Raises ``requests.RequestException``: what an engine says that is not well must be taken for nothing else.
    """
    fits = isinstance(answer, list) if needs is None else isinstance(answer, dict) and all(n in answer for n in needs)
    if not fits:
        raise sdk.requests.exceptions.InvalidJSONError(f"its answer to {what} makes no sense")
    return answer


def created(client: Any, image: str, *words: Any, **options: Any) -> str:
    """The id of a container that is made; ``words`` and ``options`` are `create_container`'s."""
    return str(has(client.create_container(image, *words, **options), ("Id",), "the making of a container")["Id"])


class Client:
    """Stands for the library's ``APIClient``, and raises what that raises. It may be used by several threads."""

    def __init__(self, endpoint: str, version: str, timeout: int) -> None:
        """``version`` is the Engine API's; ``timeout`` is how many seconds a call may take."""
        self.timeout = timeout
        self._endpoint = endpoint
        self._version = version
        self._connect_timeout = timeout
        self._library: sdk.APIClient | None = None
        self._making = Lock()

    def __getattr__(self, name: str) -> Any:
        """Whatever is not here, the library has."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.library, name)

    @property
    def library(self) -> sdk.APIClient:
        """The library's own client of the same engine."""
        with self._making:
            if self._library is None:
                from grader.engine.api.library import Library  # noqa: PLC0415  # a grading that goes well needs none

                self._library = Library(self._endpoint, version=self._version, timeout=self._connect_timeout)
                self._library.timeout = self.timeout
            return self._library

    def close(self) -> None:
        """Lets go of the library's connections; those of this client end with their calls."""
        if self._library is not None:
            self._library.close()

    # --- calls, each with the library's name and parameters -----------------------------------------------------------

    def version(self, *, api_version: bool = True) -> Any:
        """SystemVersion; without ``api_version`` in whatever version the engine likes best."""
        return self._call("GET", "/version", prefix=None if api_version else "", needs=())

    def info(self) -> Any:
        """SystemInfo."""
        return _told(self._content("GET", "/info"))

    def inspect_image(self, image: str | Mapping[str, Any]) -> Any:
        """ImageInspect."""
        return self._call("GET", f"/images/{_quoted(image)}/json", needs=("Id", "RootFS"))

    def images(self, *others: Any, **options: Any) -> Any:
        """ImageList, with ``filters`` alone."""
        for _ in range(_LISTINGS):
            try:
                return self._images(*others, **options)
            except sdk.errors.NotFound:
                # containerd's image store stumbles over an image that somebody removes while it lists them.
                continue
        return self._images(*others, **options)

    def _images(self, *others: Any, **options: Any) -> Any:
        if others or options.keys() != {"filters"} or not _is_simple(options["filters"]):
            return self.library.images(*others, **options)
        return self._call("GET", "/images/json", {"filters": _filters(options["filters"])}, needs=None)

    def remove_image(self, image: str | Mapping[str, Any], **options: bool) -> Any:
        """ImageDelete."""
        return self._call("DELETE", f"/images/{_quoted(image)}", options, needs=None)

    def create_host_config(self, **options: Any) -> Any:
        """The HostConfig of ContainerCreate."""
        asked = {name: value for name, value in options.items() if value is not None}
        if not asked.keys() <= _HOST_CONFIG.keys():
            return self.library.create_host_config(**options)
        return {_HOST_CONFIG[name]: value for name, value in asked.items()}

    def create_container(self, image: str, *others: Any, **options: Any) -> Any:
        """ContainerCreate."""
        asked = {name: value for name, value in options.items() if value is not None}
        run = {key: asked.pop(name) for name, key in _RUN.items() if name in asked}
        # The library splits a command that is a text into words.
        if isinstance(run.get("Cmd"), str) or isinstance(run.get("Entrypoint"), str):
            return self.library.create_container(image, *others, **options)
        if others or not asked.keys() <= _CONTAINER or asked.get("healthcheck", {}).keys() - {"test"}:
            return self.library.create_container(image, *others, **options)
        body = {
            "Image": image,
            **run,
            "Env": [f"{name}={value}" for name, value in (asked.get("environment") or {}).items()],
            "Labels": asked.get("labels"),
            "HostConfig": asked.get("host_config"),
            "Healthcheck": {"Test": asked["healthcheck"]["test"]} if "healthcheck" in asked else None,
            "AttachStdout": True,
            "AttachStderr": True,
        }
        return self._call("POST", "/containers/create", data=json.dumps(body).encode(), needs=("Id",))

    def start(self, container: str | Mapping[str, Any]) -> None:
        """ContainerStart."""
        self._done("POST", f"/containers/{_quoted(container)}/start")

    def kill(self, container: str | Mapping[str, Any], signal: str | None = None) -> None:
        """ContainerKill: sends ``signal``, by its name, to the container's first process."""
        self._done("POST", f"/containers/{_quoted(container)}/kill", {"signal": signal} if signal else {})

    def inspect_container(self, container: str | Mapping[str, Any]) -> Any:
        """ContainerInspect."""
        return self._call("GET", f"/containers/{_quoted(container)}/json", needs=("Id", "State"))

    def containers(self, *others: Any, **options: Any) -> Any:
        """ContainerList, of ``all`` or only those that run, with ``filters``."""
        if others or options.keys() != {"all", "filters"} or not _is_simple(options["filters"]):
            return self.library.containers(*others, **options)
        asked = options | {"filters": _filters(options["filters"])}
        return self._call("GET", "/containers/json", asked, needs=None)

    def logs(self, container: str, **options: Any) -> Any:
        """ContainerLogs: the last ``tail`` lines of a container without a TTY, which is what all of ours are."""
        if options.keys() != {"stdout", "stderr", "tail"}:
            return self.library.logs(container, **options)
        asked = options | {"tail": str(options["tail"])}
        return _unframed(self._content("GET", f"/containers/{_quoted(container)}/logs", asked))

    def wait(self, container: str, *, timeout: float) -> Any:
        """ContainerWait; raises ``requests.ReadTimeout`` when it has not ended after ``timeout`` seconds."""
        path = f"/containers/{_quoted(container)}/wait"
        with post(self, path, data=b"", params={}, headers={}, silence=timeout) as answer:
            content = answer.content
        if isinstance(answer, Answer) and answer.status_code >= http.HTTPStatus.BAD_REQUEST:
            raise answer.refusal()
        return _told(content)

    def exec_create(self, container: str, cmd: list[str], **options: Any) -> Any:
        """ContainerExec."""
        asked = {name: value for name, value in options.items() if value}
        if not asked.keys() <= _EXEC.keys() | {"environment"}:
            return self.library.exec_create(container, cmd, **options)
        env = [f"{name}={value}" for name, value in asked.pop("environment", {}).items()]
        body = {"Cmd": cmd, "Env": env} | {_EXEC[name]: value for name, value in asked.items()}
        return _told(self._content("POST", f"/containers/{_quoted(container)}/exec", data=json.dumps(body).encode()))

    def exec_inspect(self, exec_id: str) -> Any:
        """ExecInspect."""
        return _told(self._content("GET", f"/exec/{_quoted(exec_id)}/json"))

    def remove_container(self, container: str | Mapping[str, Any], **options: bool) -> None:
        """ContainerDelete."""
        self._done("DELETE", f"/containers/{_quoted(container)}", options)

    # --- how they are made --------------------------------------------------------------------------------------------

    def _call(self, method: str, path: str, *what: Any, needs: Sequence[str] | None, **more: Any) -> Any:
        """What the engine answers to ``_content``'s question; ``needs`` as in `has`."""
        content = self._content(method, path, *what, **more)
        try:
            told = json.loads(content)
        except ValueError:
            told = ""
        return has(told, needs, f"{method} {path}")

    def _done(self, method: str, path: str, *what: Any) -> None:
        """Does what has no answer but that it was done: an engine that has something to say has not done it."""
        if self._content(method, path, *what):
            has("", None, f"{method} {path}")

    def _content(
        self,
        method: str,
        path: str,
        params: Mapping[str, bool | str] = MappingProxyType({}),
        *,
        data: bytes | None = None,
        prefix: str | None = None,
    ) -> bytes:
        """The whole body of the engine's answer."""
        headers = {"Content-Type": "application/json"} if data is not None else {}
        spelled = {name: str(int(value)) if isinstance(value, bool) else value for name, value in params.items()}
        with self.send(method, path, data=data, params=spelled, headers=headers, prefix=prefix) as answer:
            content = answer.content
        if answer.status_code >= http.HTTPStatus.BAD_REQUEST:
            raise answer.refusal()
        return content

    def send(  # noqa: PLR0913  # what a request is made of
        self,
        method: str,
        path: str,
        *,
        data: bytes | None = None,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        silence: float | None = None,
        prefix: str | None = None,
    ) -> Answer:
        """One request, on a connection of its own; the answer is to be closed. Raises ``requests.RequestException``.

        All of it takes no longer than a call may take, or with ``silence`` no pause in it takes longer than that.
        """
        url = f"{f'/v{self._version}' if prefix is None else prefix}{path}"
        url += f"?{urlencode(params)}" if params else ""
        path = self._endpoint.removeprefix("unix://")
        connection = Connection(path, silence or self.timeout, silence=silence is not None)
        try:
            with as_the_library_tells_it():
                # An engine may refuse before it has read everything; its answer says why.
                with suppress(BrokenPipeError):
                    connection.request(method, url, data, {"User-Agent": "grader", **headers})
                return Answer(connection, connection.getresponse(), url)
        except BaseException:
            connection.close()
            raise


def _quoted(thing: str | Mapping[str, Any]) -> str:
    """A name or an id; the library also takes what the engine answered when it made the thing."""
    return quote(thing if isinstance(thing, str) else str(thing["Id"]), safe="/:")


def _told(content: bytes) -> Any:
    """The engine's JSON; raises ``requests.RequestException`` for what is none."""
    try:
        return json.loads(content)
    except ValueError as error:
        raise sdk.requests.exceptions.InvalidJSONError(error) from error


def _unframed(stream: bytes) -> bytes:
    """What was printed, out of the frames that tell stdout from stderr: a byte, three zeros, the length in four.

    (Engine API, ContainerAttach, "Stream format".)
    """
    pieces, at = [], 0
    while at + 8 <= len(stream):
        length = int.from_bytes(stream[at + 4 : at + 8])
        pieces.append(stream[at + 8 : at + 8 + length])
        at += 8 + length
    return b"".join(pieces)


def _is_simple(filters: Mapping[str, Any]) -> bool:
    return all(isinstance(value, str) for value in filters.values())


def _filters(filters: Mapping[str, str]) -> str:
    return json.dumps({name: [value] for name, value in filters.items()})

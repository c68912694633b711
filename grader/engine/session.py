"""BuildKit's client session: how a build gets secrets and credentials from us, without a CLI and without buildx.

`POST /session` (Engine API) upgrades a connection to HTTP/2, on which the engine is the client and we answer gRPC.
Sources: `session/grpchijack`, `secrets/secrets.proto`, `auth/auth.proto` and `sshforward/ssh.proto` in moby/buildkit.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import uuid
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from grader.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping

    from grader.engine.buildsecrets import Secrets
    from grader.engine.connect import Engine

#: Seconds that an engine may take to open a session, and that a session may take to end.
PATIENCE = 30.0
#: Bytes that the head of the engine's answer may have.
_LONGEST_HEAD = 64 << 10

_SECRETS = "/moby.buildkit.secrets.v1.Secrets/GetSecret"
_CREDENTIALS = "/moby.filesync.v1.Auth/Credentials"
_AGENT = "/moby.sshforward.v1.SSH/CheckAgent"
_HEALTH = "/grpc.health.v1.Health/Check"
_METHODS = (_SECRETS, _CREDENTIALS, _AGENT, _HEALTH)
#: HealthCheckResponse.ServingStatus (grpc/health/v1/health.proto).
_SERVING = 1


@contextmanager
def opened(engine: Engine, secrets: Secrets, logins: Mapping[str, tuple[str, str]] | None = None) -> Iterator[str]:
    """A session that lasts as long as the block; its id goes into `POST /build` as ``session``.

    ``logins`` are those of `credentials.of`; no other registry gets any.

    Raises ``EngineError`` when this engine gives none. Should the engine go away later, its build fails of that.
    """
    identity = uuid.uuid4().hex
    with _loop() as run:
        try:
            transport = run(_connected(engine, identity, _Services(secrets, logins or {})))
        except (OSError, TimeoutError, ValueError) as error:
            raise EngineError(
                f"The engine opens no session for build secrets and credentials: {error or type(error).__name__}",
                "See that it runs (`grader doctor`), then grade again.",
                where=engine.endpoint,
            ) from error
        try:
            yield identity
        finally:
            run(_closed(transport))


@contextmanager
def _loop() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """An event loop in a thread of its own; what it gives runs a coroutine there and waits for it."""
    loop = asyncio.new_event_loop()
    # A daemon: one that waits for an engine that is gone must not keep the process from ending.
    thread = threading.Thread(target=loop.run_forever, name="build-session", daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        future = asyncio.run_coroutine_threadsafe(work, loop)
        try:
            return future.result(PATIENCE)
        finally:
            future.cancel()

    try:
        yield run
    finally:
        with suppress(TimeoutError):
            run(_cancelled())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        if not thread.is_alive():
            loop.close()


async def _cancelled() -> None:
    """Ends what still runs in this loop."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await _settled()


async def _closed(transport: asyncio.Transport) -> None:
    # Nothing is left to be said: a `close` would wait until the engine has read what was written.
    transport.abort()
    await _settled()


async def _settled() -> None:
    """A transport closes its socket in the next turn of the loop; one over TLS has another one below it."""
    for _ in range(5):
        await asyncio.sleep(0)


# --- the connection ---------------------------------------------------------------------------------------------------


async def _connected(engine: Engine, identity: str, services: _Services) -> asyncio.Transport:
    """A connection to the engine on which ``services`` answer."""
    from grpclib.server import Server  # noqa: PLC0415  # takes a tenth of a second; most builds need no session

    # Without a handler of the user's own, Python would print a lost connection.
    logging.getLogger("grpclib").addHandler(logging.NullHandler())
    serve = Server([services])._protocol_factory  # noqa: SLF001  # its `start` listens, and here the engine does
    loop = asyncio.get_running_loop()

    def upgrade() -> _Upgrade:
        return _Upgrade(_request(engine, identity), serve, loop.create_future())

    client: Any = engine.client
    address = urlsplit(client.base_url)
    if engine.endpoint.startswith("unix://"):
        transport, protocol = await loop.create_unix_connection(upgrade, engine.endpoint.removeprefix("unix://"))
    elif address.scheme in ("http", "https") and not engine.endpoint.startswith(("ssh://", "npipe://")):
        secure = _tls(client) if address.scheme == "https" else None
        transport, protocol = await loop.create_connection(upgrade, address.hostname, address.port, ssl=secure)
    else:
        raise EngineError(
            "Build secrets cannot be given to an engine over SSH or a named pipe",
            "Point DOCKER_HOST at it with unix:// or tcp://, or grade on the engine's own machine.",
            where=engine.endpoint,
        )
    try:
        await protocol.upgraded
    except BaseException:
        transport.abort()
        raise
    return transport


def _tls(client: Any) -> ssl.SSLContext:
    """Which certificates the SDK shows and believes, for a connection of our own."""
    settings = client.merge_environment_settings(client.base_url, {}, None, None, None)
    believed = settings["verify"]
    context = ssl.create_default_context(cafile=believed if isinstance(believed, str) else DEFAULT_CA_BUNDLE_PATH)
    if not believed:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings["cert"]:
        context.load_cert_chain(*settings["cert"])
    return context


def _request(engine: Engine, identity: str) -> bytes:
    client: Any = engine.client
    url = urlsplit(client._url("/session"))  # noqa: SLF001
    headers = {
        # What the user's own configuration adds, for a proxy before the engine.
        **client.headers,
        "Host": url.netloc,
        "Content-Length": "0",
        "Connection": "Upgrade",
        "Upgrade": "h2c",
        "X-Docker-Expose-Session-Uuid": identity,
        "X-Docker-Expose-Session-Name": "grader",
        "X-Docker-Expose-Session-Sharedkey": "",
    }
    lines = [f"POST {url.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"X-Docker-Expose-Session-Grpc-Method: {method}" for method in _METHODS]
    return "\r\n".join([*lines, "", ""]).encode()


class _Upgrade(asyncio.Protocol):
    """Asks for the session in HTTP/1.1; once the engine has agreed, hands the connection on to what ``serve`` makes."""

    def __init__(self, request: bytes, serve: Callable[[], Any], upgraded: asyncio.Future[None]) -> None:
        self.upgraded = upgraded
        self._request = request
        self._serve = serve
        self._head = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._head += data
        head, end, rest = self._head.partition(b"\r\n\r\n")
        if len(head) > _LONGEST_HEAD:
            self._give_up("its answer is no HTTP")
        if not end:
            return
        status = head.split(b"\r\n", 1)[0].decode(errors="replace")
        if status.split(" ")[1:2] != ["101"]:
            self._give_up(status)
            return
        protocol = self._serve()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        # The engine may have begun to speak HTTP/2 in the same packet.
        if rest:
            protocol.data_received(rest)
        self.upgraded.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        self._give_up("it closed the connection")

    def _give_up(self, why: str) -> None:
        self._transport.abort()
        if not self.upgraded.done():
            self.upgraded.set_exception(ConnectionError(why))
            # Whoever waited may have given up meanwhile; asyncio would print that nobody asked.
            self.upgraded.exception()


# --- what we answer ---------------------------------------------------------------------------------------------------


class _Services:
    """The methods that the engine may call."""

    def __init__(self, secrets: Secrets, logins: Mapping[str, tuple[str, str]]) -> None:
        self._secrets = secrets
        self._logins = logins

    def __mapping__(self) -> dict[str, Any]:
        """What `grpclib` asks of a service: its methods, their cardinality and their messages."""
        from grpclib.const import Cardinality, Handler  # noqa: PLC0415

        methods = {
            _SECRETS: (self._secret, "GetSecretRequest", "GetSecretResponse"),
            _CREDENTIALS: (self._login, "CredentialsRequest", "CredentialsResponse"),
            _AGENT: (self._no_agent, "CheckAgentRequest", "CheckAgentResponse"),
            _HEALTH: (self._health, "HealthCheckRequest", "HealthCheckResponse"),
        }
        return {
            name: Handler(answer, Cardinality.UNARY_UNARY, _message(asked), _message(answered))
            for name, (answer, asked, answered) in methods.items()
        }

    async def _secret(self, stream: Any) -> None:
        from grpclib import GRPCError, Status  # noqa: PLC0415

        wanted = (await stream.recv_message()).ID
        value = self._secrets.values.get(wanted)
        if value is None:
            # An optional secret is then left out; any other code would fail the build.
            raise GRPCError(Status.NOT_FOUND, "this exercise gives no such secret")
        self._secrets.asked.add(wanted)
        await stream.send_message(_message("GetSecretResponse")(data=value))

    async def _login(self, stream: Any) -> None:
        # Two empty strings: the engine goes on as nobody.
        user, secret = self._logins.get((await stream.recv_message()).Host, ("", ""))
        await stream.send_message(_message("CredentialsResponse")(Username=user, Secret=secret))

    async def _no_agent(self, stream: Any) -> None:
        from grpclib import GRPCError, Status  # noqa: PLC0415

        await stream.recv_message()
        # The engine asks without looking whether we have the method; of this code it makes words for a person.
        raise GRPCError(Status.UNIMPLEMENTED, "no SSH agent is given to builds")

    async def _health(self, stream: Any) -> None:
        await stream.recv_message()
        await stream.send_message(_message("HealthCheckResponse")(status=_SERVING))


@cache
def _message(name: str) -> Any:
    """The class of one of the messages above, declared here as in `trace`: no generated code is shipped."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory  # noqa: PLC0415

    kinds = descriptor_pb2.FieldDescriptorProto
    text, data, number = kinds.TYPE_STRING, kinds.TYPE_BYTES, kinds.TYPE_INT32
    # In order of their numbers, from 1. What else newer engines send (annotations) is skipped.
    fields: dict[str, list[tuple[str, Any]]] = {
        "GetSecretRequest": [("ID", text)],
        "GetSecretResponse": [("data", data)],
        "CredentialsRequest": [("Host", text)],
        "CredentialsResponse": [("Username", text), ("Secret", text)],
        "CheckAgentRequest": [("ID", text)],
        "CheckAgentResponse": [],
        "HealthCheckRequest": [("service", text)],
        "HealthCheckResponse": [("status", number)],
    }
    package = f"grader.session.{name}"
    file = descriptor_pb2.FileDescriptorProto(name=f"grader/session/{name}.proto", package=package, syntax="proto3")
    message = file.message_type.add(name=name)
    for place, (field_name, kind) in enumerate(fields[name], start=1):
        message.field.add(name=field_name, number=place, type=kind, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.Default()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))

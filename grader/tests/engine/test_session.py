"""The session in which a build gets its secrets, on a real engine; where one cannot be had, with an engine made up."""

from __future__ import annotations

import asyncio
import base64
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import docker
import pytest

from grader.engine import credentials, session
from grader.engine.buildsecrets import Secrets
from grader.engine.connect import API_VERSION, Engine
from grader.errors import EngineError, SubmissionError
from grader.tests.engine.building import Workshop, eventually, unique
from grader.tests.engine.faulty import http, passing_on, saying, serving, silent

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from grader.result import ProgressEvent

SLIM = "FROM python:3.11-slim\n"
VALUE = b"s3cret-value"


def given(**more: bytes) -> Secrets:
    return Secrets({"pip-token": VALUE} | {name.replace("_", "-"): value for name, value in more.items()})


def step(test: str, *, mount: str = "id=pip-token") -> str:
    return SLIM + f"RUN --mount=type=secret,{mount} {test} && echo {unique()}\n"


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    assert eventually(lambda: not [thread for thread in threading.enumerate() if thread.name == "build-session"])


@pytest.fixture
def buildkit(workshop: Workshop) -> Workshop:
    if workshop.engine.name == "podman":
        pytest.skip("takes BuildKit: Podman has no sessions")
    return workshop


def test_a_step_gets_its_secret_and_the_build_knows_that_it_asked(workshop: Workshop) -> None:
    built = workshop.build(step(f"test $(cat /run/secrets/pip-token) = {VALUE.decode()}"), secrets=given(other=b"-"))
    assert built.failure is None, built.failure.log
    assert built.asked == {"pip-token"}


def test_a_secret_that_no_step_mounts_is_not_asked_for(workshop: Workshop) -> None:
    assert workshop.build(SLIM + f"RUN echo {unique()}\n", secrets=given()).asked == set()


def test_a_step_that_is_not_needed_asks_for_nothing(workshop: Workshop) -> None:
    text = SLIM.strip() + " AS one\n" + step("true").partition("\n")[2] + f"FROM one AS two\nRUN echo {unique()}\n"
    unused = text + SLIM + f"RUN echo {unique()}\n"
    assert workshop.build(unused, secrets=given()).asked == set()
    assert workshop.build(unused, secrets=given(), target="two").asked == {"pip-token"}


@pytest.mark.parametrize("value", [bytes(range(256)), b"x" * 400_000], ids=["binary", "400 kB"])
def test_a_secret_may_hold_anything(workshop: Workshop, value: bytes) -> None:
    digest = subprocess.run(["sha256sum"], input=value, capture_output=True, check=True).stdout.decode()[:64]
    text = step(f"test $(sha256sum < /run/secrets/pip-token | cut -c1-64) = {digest}")
    assert workshop.build(text, secrets=Secrets({"pip-token": value})).failure is None


def test_a_mount_without_an_id_is_named_after_its_file(buildkit: Workshop) -> None:
    built = buildkit.build(step("test -s /root/pip-token", mount="target=/root/pip-token"), secrets=given())
    assert built.failure is None
    assert built.asked == {"pip-token"}


def test_an_optional_secret_that_nobody_gives_is_left_out(workshop: Workshop) -> None:
    text = step("test ! -e /run/secrets/other", mount="id=other")
    assert workshop.build(text).failure is None
    assert workshop.build(text + "RUN true\n", secrets=given()).failure is None


def test_a_required_secret_that_nobody_gives_is_the_learners_mistake(workshop: Workshop) -> None:
    text = step("true", mount="id=other,required=true")
    failure = workshop.build(text, secrets=given()).failure
    assert isinstance(failure, SubmissionError)
    assert ("`other`" in failure.what, "`pip-token`" in failure.fix, failure.line) == (True, True, 2)
    failure = workshop.build(text).failure
    assert isinstance(failure, SubmissionError)
    assert "gives none" in failure.fix


def test_so_is_an_ssh_agent_and_an_optional_one_is_left_out(workshop: Workshop) -> None:
    failure = workshop.build(SLIM + f"RUN --mount=type=ssh,required=true echo {unique()}\n", secrets=given()).failure
    assert isinstance(failure, SubmissionError)
    assert ("SSH agent" in failure.what, failure.line) == (True, 2)
    assert workshop.build(SLIM + f"RUN --mount=type=ssh echo {unique()}\n").failure is None


def test_a_build_that_asks_for_nothing_opens_no_session(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []
    monkeypatch.setattr(session, "opened", lambda *_: opened.append(1))
    assert workshop.build(SLIM + f"RUN echo {unique()}\n", secrets=given()).failure is None
    assert opened == []


# --- connections ------------------------------------------------------------------------------------------------------


@contextmanager
def on_tcp(engine: Engine, secure: ssl.SSLContext | None = None) -> Iterator[int]:
    """A port of 127.0.0.1 behind which the engine answers, over TLS if wanted."""
    if not engine.endpoint.startswith("unix://"):
        pytest.skip("takes an engine at a socket")
    loop = asyncio.new_event_loop()

    writers: list[asyncio.StreamWriter] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_unix_connection(engine.endpoint.removeprefix("unix://"))
        await asyncio.gather(pump(reader, behind[1]), pump(behind[0], writer))

    async def close() -> None:
        server.close()
        for writer in writers:
            writer.close()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)

    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0, ssl=secure))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def reached_at(engine: Engine, endpoint: str, tls: Any = None) -> Iterator[Engine]:
    client = docker.APIClient(endpoint, version=API_VERSION, timeout=60, tls=tls or False)
    try:
        yield replace(engine, client=client, endpoint=endpoint)
    finally:
        client.close()


def test_an_engine_at_a_port_gets_its_secrets_too(buildkit: Workshop) -> None:
    with on_tcp(buildkit.engine) as port, reached_at(buildkit.engine, f"tcp://127.0.0.1:{port}") as engine:
        assert buildkit.build(step("true"), secrets=given(), on=engine).asked == {"pip-token"}


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """One that signs itself, for 127.0.0.1, and its key."""
    # In the SDK's library it goes before what the SDK was told.
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    files = (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    ask = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=engine"]
    name = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*ask, *name, "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize("verify", [True, False])
def test_so_does_one_that_takes_none_without_a_certificate(
    buildkit: Workshop, certificate: tuple[str, str], *, verify: bool
) -> None:
    door = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificate[0])
    door.load_cert_chain(*certificate)
    door.verify_mode = ssl.CERT_REQUIRED
    tls = docker.tls.TLSConfig(client_cert=certificate, ca_cert=certificate[0], verify=verify)
    with on_tcp(buildkit.engine, door) as port, reached_at(buildkit.engine, f"tcp://127.0.0.1:{port}", tls) as engine:
        assert buildkit.build(step("true"), secrets=given(), on=engine).asked == {"pip-token"}


def test_a_certificate_that_nobody_vouches_for_is_refused(buildkit: Workshop, certificate: tuple[str, str]) -> None:
    door = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    door.load_cert_chain(*certificate)
    with on_tcp(buildkit.engine, door) as port:
        endpoint = f"https://127.0.0.1:{port}"
        with (
            reached_at(buildkit.engine, endpoint) as engine,
            pytest.raises(EngineError),
            session.opened(engine, given()),
        ):
            pass


@pytest.mark.parametrize("endpoint", ["ssh://somebody@somewhere", "npipe:////./pipe/docker_engine"])
def test_where_no_session_can_be_had_it_is_said(workshop: Workshop, endpoint: str) -> None:
    engine = replace(workshop.engine, endpoint=endpoint)
    with pytest.raises(EngineError, match="SSH or a named pipe"), session.opened(engine, given()):
        pass


SWITCHED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
#: How an HTTP/2 client begins: the preface and its settings (RFC 9113, 3.4).
BEGIN = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    "answer",
    [
        saying(http(b'{"message": "page not found"}', b"404 Not Found")),
        saying(b"HTTP/1.1 200 OK\r\n\r\n"),
        saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        saying(b"x" * 100_000),
        saying(b"HTTP/1.1 101"),
        saying(),
        silent,
    ],
    ids=["404", "200", "no HTTP", "endless", "cut off", "closed", "silent"],
)
def test_an_engine_that_opens_no_session_is_to_blame(
    workshop: Workshop,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[socket.socket], None],
) -> None:
    monkeypatch.setattr(session, "PATIENCE", 1.0)
    with (
        serving(tmp_path / "s", answer) as endpoint,
        reached_at(workshop.engine, endpoint) as engine,
        pytest.raises(EngineError, match="opens no session"),
        session.opened(engine, given()),
    ):
        pass


def test_an_engine_may_begin_to_speak_with_its_first_packet(workshop: Workshop, tmp_path: Path) -> None:
    heard: list[bytes] = []

    def answer(client: socket.socket) -> None:
        client.recv(65536)
        client.sendall(SWITCHED + BEGIN)
        while data := client.recv(65536):
            heard.append(data)

    acknowledged = bytes([0, 0, 0, 4, 1, 0, 0, 0, 0])
    with (
        serving(tmp_path / "s", answer) as endpoint,
        reached_at(workshop.engine, endpoint) as engine,
        session.opened(engine, given()),
    ):
        assert eventually(lambda: acknowledged in b"".join(heard))


def test_an_interrupted_build_closes_its_session(buildkit: Workshop) -> None:
    def interrupt(event: ProgressEvent) -> None:
        if "RUN" in event.text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        buildkit.build(step("sleep 30"), secrets=given(), progress=interrupt)


def test_an_engine_that_goes_away_is_to_blame_and_the_session_is_closed(buildkit: Workshop, tmp_path: Path) -> None:
    if not buildkit.engine.endpoint.startswith("unix://"):
        pytest.skip("takes an engine at a socket")
    cut = threading.Event()

    def progress(event: ProgressEvent) -> None:
        if "begun" in event.text:
            cut.set()

    passing = passing_on(buildkit.engine.endpoint, cut)
    with (
        serving(tmp_path / "s", passing) as endpoint,
        reached_at(buildkit.engine, endpoint) as engine,
        pytest.raises(EngineError),
    ):
        buildkit.build(step("echo begun; sleep 20"), secrets=given(), progress=progress, on=engine)


# --- credentials ------------------------------------------------------------------------------------------------------


class _Private(BaseHTTPRequestHandler):
    """A registry that lets in who is logged in, and has nothing; ``seen`` are the credentials that it was shown."""

    seen: ClassVar[set[str]] = set()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        given = self.headers.get("Authorization", "")
        if given.startswith("Basic "):
            self.seen.add(base64.b64decode(given[6:]).decode())
        self.send_response(404 if given else 401)
        self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the parent's name
        """Say nothing."""


@pytest.fixture
def registry(buildkit: Workshop, certificate: tuple[str, str]) -> Iterator[str]:
    _Private.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Private)
    if buildkit.engine.at_least(23):
        # To a registry on loopback newer engines speak TLS, whoever vouches for it.
        door = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        door.load_cert_chain(*certificate)
        server.socket = door.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def logged_in(engine: Engine, entries: dict[str, Any]) -> Engine:
    """The same engine, reached with another configuration of docker's."""
    client: Any = docker.APIClient(engine.endpoint, version=API_VERSION)
    client._auth_configs = docker.auth.AuthConfig({"auths": docker.auth.AuthConfig.parse_auth(entries)})
    return replace(engine, client=client)


def test_buildkit_gets_the_login_of_a_registry_that_it_was_told_of(buildkit: Workshop, registry: str) -> None:
    if not buildkit.engine.local:
        pytest.skip("takes an engine that reaches this machine's loopback")
    login = {"auth": base64.b64encode(b"somebody:pass:word").decode()}
    engine = logged_in(buildkit.engine, {registry: login, "other.test": login})
    try:
        text = SLIM + f"RUN echo {unique()}\n"
        assert buildkit.build(text, on=engine, cache_from=(f"{registry}/it:1",)).failure is None
        assert _Private.seen == {"somebody:pass:word"}
    finally:
        engine.client.close()


def test_only_logins_of_the_images_that_are_named_are_given(workshop: Workshop) -> None:
    login = {"auth": base64.b64encode(b"somebody:word").decode()}
    engine = logged_in(
        workshop.engine,
        {"https://index.docker.io/v1/": login, "a.test:5000": {"identitytoken": "t"}, "b.test": login, "c.test": {}},
    )
    try:
        named = ("python:3.11", "a.test:5000/x/y:1", "c.test/z", "d.test/z")
        assert credentials.of(engine, named) == {
            "registry-1.docker.io": ("somebody", "word"),
            "a.test:5000": ("", "t"),
        }
        assert credentials.of(engine, ()) == {}
    finally:
        engine.client.close()

"""The sandbox as it is seen from inside, and every way in which an app may fail to answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError

from grader.engine import sandbox
from grader.engine.faults.refusal import AppError, start_failure
from grader.engine.running import namespace
from grader.engine.running.app import App, Options
from grader.engine.running.namespace import Entered, Probe, Published
from grader.engine.sandbox import Sandbox
from grader.errors import EngineError
from grader.tests.engine.building import Workshop, unique

if TYPE_CHECKING:
    from grader.engine.connect import Engine
from grader.engine.image import inspect

PROBES = ("debian:bookworm-slim", "python:3.11-slim")

# One server for all: what it does depends on the path, where it listens on its arguments.
SERVER = r"""
import json, os, socket, sys, threading, time
def listen(host, port):
    server = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((host, int(port)))
    server.listen(50)
    return server
def facts():
    status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
    limits = {line[:26].strip(): line[26:].split()[:2] for line in open("/proc/self/limits")}
    def reaches(host, port):
        try:
            socket.create_connection((host, port), 1).close()
            return True
        except OSError:
            return False
    return {
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "caps": [int(status[name], 16) for name in ("CapEff", "CapPrm", "CapBnd")],
        "no_new_privs": int(status["NoNewPrivs"]),
        "seccomp": int(status["Seccomp"]),
        "files": limits["Max open files"], "core": limits["Max core file size"],
        "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
        "socket": [path for path in ("/var/run/docker.sock", "/run/podman/podman.sock") if os.path.exists(path)],
        "out": reaches("8.8.8.8", 53), "env": dict(os.environ), "hostname": socket.gethostname(),
    }
def threads():
    made = 0
    try:
        for made in range(1000):
            threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
    except RuntimeError:
        pass
    return {"threads": made}
def answer(client):
    path = client.recv(65536).split(b" ")[1].decode()
    say = lambda head, body=b"": client.sendall(b"HTTP/1.1 " + head + b"\r\nConnection: close\r\n\r\n" + body)
    if path == "/facts": say(b"200 OK", json.dumps(facts()).encode())
    elif path == "/threads": say(b"200 OK", json.dumps(threads()).encode())
    elif path == "/500": say(b"500 Oh")
    elif path == "/redirect": say(b"302 Found\r\nLocation: /facts", b"moved")
    elif path == "/hang": time.sleep(60)
    elif path == "/trickle":
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True: client.sendall(b"x"); time.sleep(0.05)
    elif path == "/endless":
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True: client.sendall(b"x" * 65536)
    elif path == "/headers": say(b"200 OK\r\n" + b"X: y\r\n" * 500)
    elif path == "/long": say(b"200 OK\r\nX: " + b"y" * 200000)
    elif path == "/garbage": client.sendall(b"\x00\xff not HTTP\r\n\r\n")
    elif path == "/continue":
        while True: client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    elif path == "/nothing": pass
    elif path == "/cut": client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
    else: say(b"200 OK", b"hello")
def one(client):
    try: answer(client)
    except OSError: pass
    finally: client.close()
print("starting", *sys.argv[1:], flush=True)
time.sleep(float(os.environ.get("SLOW", 0)))
sockets = [listen(*place.rsplit("@", 1)) for place in sys.argv[1:]]
def serve(server):
    while True: threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()
for server in sockets[1:]: threading.Thread(target=serve, args=(server,), daemon=True).start()
serve(sockets[0])
"""


def dockerfile(command: str = '["python3", "/server.py", "0.0.0.0@5000"]', more: str = "") -> str:
    return f"FROM python:3.11-slim\nCOPY server.py /\n{more}\nCMD {command}\n"


@pytest.fixture(params=["entered", "probe", "published"])
def way(request: pytest.FixtureRequest, engine: Engine) -> str:
    if request.param == "entered" and not engine.local:
        pytest.skip("takes root on the engine's machine")
    return str(request.param)


Start = Callable[..., App]


@pytest.fixture
def start(workshop: Workshop) -> Iterator[Start]:
    """Starts the image of a Dockerfile; all of it is removed at the end."""
    opened: list[Sandbox] = []

    def run(text: str, way: str = "entered", **options: Any) -> App:
        image = workshop.image(text, {"server.py": SERVER})
        engine = workshop.engine if way == "entered" else replace(workshop.engine, local=False)
        box = Sandbox(engine, workshop.run.labels, PROBES if way != "published" else ())
        opened.append(box)
        return box.start(image.id, Options(**({"port": 5000, "within": 20.0} | options)))

    yield run
    for box in opened:
        box.close()
        assert not box._containers
        assert not box._probe_containers
    only = {"label": f"grader.run={workshop.run.id}"}
    assert not workshop.engine.client.containers(all=True, filters=only)


def test_every_way_in_gives_the_same_answers(start: Start, way: str) -> None:
    app = start(dockerfile(), way)
    kinds: dict[str, type] = {"entered": Entered, "probe": Probe, "published": Published}
    assert isinstance(app.namespace, kinds[way])
    assert told(app.ask("GET", "/")) == (200, b"hello", "", False)
    assert told(app.ask("GET", "/500")) == (500, b"", "", False)
    assert told(app.ask("GET", "/redirect")) == (302, b"moved", "", False)
    assert told(app.ask("GET", "/hang", within=0.3)) == (0, b"", "timeout", False)
    assert told(app.ask("GET", "/trickle", within=0.5)) == (0, b"", "timeout", False)
    assert told(app.ask("GET", "/endless", limit=1000)) == (200, b"x" * 1000, "", True)
    assert told(app.ask("GET", "/headers")) == (0, b"", "protocol", False)
    assert told(app.ask("GET", "/long")) == (0, b"", "protocol", False)
    assert told(app.ask("GET", "/garbage")) == (0, b"", "protocol", False)
    assert told(app.ask("GET", "/continue", within=0.5)) == (0, b"", "timeout", False)
    assert told(app.ask("GET", "/nothing")) == (0, b"", "protocol", False)
    assert told(app.ask("GET", "/cut")) == (0, b"", "protocol", False)
    assert told(app.ask("GET", "/\r\nX: y")) == (0, b"", "protocol", False)
    assert "starting" in app.log()[0]
    listeners = app.namespace.listeners()
    if listeners is not None:
        assert [(one.address, one.port) for one in listeners] == [("0.0.0.0", 5000)]


def told(answer: namespace.Answer) -> tuple[int, bytes, str, bool]:
    return answer.status, answer.body, answer.kind, answer.cut


def test_a_port_that_nobody_listens_on_is_refused(start: Start) -> None:
    app = start(dockerfile())
    assert replace(app, port=5001).ask("GET", "/").kind == "refused"


def test_the_app_has_nothing_that_it_does_not_need(start: Start, way: str) -> None:
    app = start(dockerfile(more="ENV GIVEN=image"), way, env={"GIVEN": "rubric"}, memory=100_000_000)
    facts = json.loads(app.ask("GET", "/facts", within=20.0).body)
    if way != "published":
        assert facts["interfaces"] == ["lo"]
        assert not facts["out"]
    assert facts["caps"] == [0, 0, 0]
    assert facts["no_new_privs"] == 1
    assert facts["files"] == ["1024", "4096"]
    assert facts["core"] == ["0", "0"]
    assert facts["processes"] <= 2
    assert facts["socket"] == []
    assert facts["env"]["GIVEN"] == "rubric"
    assert json.loads(app.ask("GET", "/threads").body)["threads"] < 256
    host = app.engine.client.inspect_container(app.container)["HostConfig"]
    assert host["Memory"] == host["MemorySwap"] == 100_000_000
    assert (host["Privileged"], host["Binds"] or [], host["PidsLimit"]) == (False, [], 256)


@pytest.mark.parametrize(
    ("command", "more", "words"),
    [
        ('["python3", "/server.py", "127.0.0.1@5000"]', "", "on 127.0.0.1 only"),
        ('["python3", "/server.py", "0.0.0.0@8000"]', "EXPOSE 5000", "listens on port 8000, not on 5000"),
        ('["python3", "/server.py", "0.0.0.0@8000", "127.0.0.1@9000"]', "", "listens on port 8000, 9000, not on 5000"),
        ('["python3", "-c", "print(\'so long\'); raise SystemExit(7)"]', "", "exit code 7"),
        ('["true"]', "", "exit code 0"),
        ('["sleep", "600"]', "", "does not listen on port 5000"),
        ('["/no/such/program"]', "", "does not exist"),
        ('["nosuchprogram"]', "", "does not exist"),
        ('["/etc/passwd"]', "", "may not be executed"),
        ('["/etc"]', "", "a directory|may not be executed"),
        ('["true"]', "USER nobody-here", "user of the image does not exist"),
        ('["true"]', "USER root:nogroup-here", "group of the image does not exist"),
        ("[]", "ENTRYPOINT []", "no command"),
    ],
)
def test_an_app_that_cannot_be_reached_is_told_apart(start: Start, command: str, more: str, words: str) -> None:
    with pytest.raises(AppError, match=words) as raised:
        start(dockerfile(command, more), within=3.0)
    assert raised.value.fix


@pytest.mark.parametrize(
    ("path", "options", "words"),
    [
        ("/500", {}, "with status 500, not a success"),
        ("/", {"status": 204}, "with status 200, not 204"),
        ("/hang", {}, "fails: no complete answer in time"),
        ("/garbage", {}, "fails: BadStatusLine"),
        ("/nothing", {}, "fails: the app closed the connection before its answer was whole"),
    ],
)
def test_an_app_that_answers_wrongly_is_told_apart(
    start: Start, path: str, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(AppError, match=words) as raised:
        start(dockerfile(), path=path, within=1.5, **options)
    assert any("starting" in line for line in raised.value.log)


def test_inside_only_is_told_by_a_probe_and_of_the_newer_protocol_too(start: Start) -> None:
    with pytest.raises(AppError, match=r"on 127\.0\.0\.1 only"):
        start(dockerfile('["python3", "/server.py", "127.0.0.1@5000"]'), "probe", within=5.0)


def test_a_slow_app_is_waited_for(start: Start, way: str) -> None:
    app = start(dockerfile(), way, env={"SLOW": "1.2"})
    assert app.started_in > 1.2
    assert app.ask("GET", "/").status == 200


def test_an_app_that_uses_too_much_memory_is_told_so(start: Start) -> None:
    hog = '["python3", "-c", "x = bytearray(400000000)"]'
    with pytest.raises(AppError, match=r"memory|exit code 137"):
        start(dockerfile(hog), memory=50_000_000)


def test_an_image_without_python_or_shell_runs(start: Start, workshop: Workshop) -> None:
    text = "FROM gcr.io/distroless/python3-debian12\nCOPY server.py /\n"
    config = inspect(workshop.engine, "gcr.io/distroless/python3-debian12:latest")["Config"]
    program = [] if config.get("Entrypoint") else ["python3"]
    app = start(text + "CMD " + json.dumps([*program, "/server.py", "0.0.0.0@5000"]) + "\n")
    assert app.ask("GET", "/").body == b"hello"


def test_volumes_go_with_the_container_and_health_checks_do_not_run(start: Start, workshop: Workshop) -> None:
    before = volumes(workshop.engine)
    app = start(dockerfile(more="VOLUME /data\nHEALTHCHECK --interval=1s CMD touch /data/checked"))
    found = workshop.engine.client.inspect_container(app.container)
    assert (found["Config"].get("Healthcheck") or {}).get("Test") in (["NONE"], None)
    assert len(volumes(workshop.engine) - before) == 1
    workshop.engine.client.remove_container(app.container, force=True, v=True)
    assert volumes(workshop.engine) == before


def volumes(engine: Engine) -> set[str]:
    return {volume["Name"] for volume in engine.client.volumes()["Volumes"] or ()}


@contextmanager
def opened(workshop: Workshop, *, local: bool, probes: tuple[str, ...] = PROBES) -> Iterator[Sandbox]:
    box = Sandbox(replace(workshop.engine, local=local), workshop.run.labels, probes)
    try:
        yield box
    finally:
        box.close()


def test_a_probe_image_without_python_gives_way_to_the_next(workshop: Workshop) -> None:
    with opened(workshop, local=False) as box:
        box.prepare()
        assert box._probe is not None
        image = workshop.engine.client.inspect_container(box._probe.container)["Config"]["Image"]
        assert image.endswith("python:3.11-slim")


def test_an_engine_whose_processes_are_not_this_machines_is_asked_through_a_probe(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "is_ours", lambda *_: False)
    image = workshop.image(dockerfile(), {"server.py": SERVER})
    with opened(workshop, local=True) as box:
        app = box.start(image.id, Options(5000))
        assert isinstance(app.namespace, Probe)
        assert app.ask("GET", "/").body == b"hello"
        assert (len(box._containers), len(box._probe_containers)) == (1, 1)
    with opened(workshop, local=True, probes=()) as box:
        assert isinstance(box.start(image.id, Options(5000)).namespace, Published)
        assert box.notes


def test_an_app_with_the_internet_has_an_interface_and_is_still_asked_from_inside(
    start: Start, workshop: Workshop
) -> None:
    app = start(dockerfile(), internet=True)
    assert len(json.loads(app.ask("GET", "/facts", within=20.0).body)["interfaces"]) > 1
    if workshop.engine.local:
        assert isinstance(app.namespace, Entered)


def test_a_container_that_somebody_removes_is_not_the_learners(workshop: Workshop) -> None:
    image = workshop.image(dockerfile('["sleep", "100"]'), {"server.py": SERVER})
    with opened(workshop, local=workshop.engine.local) as box:
        real = box._running

        def remove(*args: Any) -> Any:
            started = real(*args)
            workshop.engine.client.remove_container(started[0], force=True)
            return started

        box._running = remove  # type: ignore[method-assign,assignment]
        with pytest.raises(EngineError):
            box.start(image.id, Options(5000))


@pytest.mark.parametrize(
    ("text", "learner"),
    [
        ('exec: "x": executable file not found in $PATH: unknown', True),
        ('exec: "/x": stat /x: no such file or directory: unknown', True),
        ("unable to find user joe: no matching entries in passwd file", True),
        ("error setting rlimit type 6: operation not permitted: OCI permission denied", False),
        ("failed to create shim: mkdir /run/x: permission denied", False),
        ("failed to mount overlay: no such file or directory", False),
        ("cgroup: no space left on device", False),
        ("something new", False),
    ],
)
def test_only_known_texts_at_start_are_the_learners(text: str, *, learner: bool) -> None:
    error = start_failure(APIError(text, explanation=text))
    assert isinstance(error, AppError if learner else EngineError)


def test_a_question_is_not_asked_of_a_host_by_name() -> None:
    assert namespace.Question("GET", "/", 80).order()["host"] == "127.0.0.1"


def test_a_fresh_value_reaches_the_app_unchanged(start: Start) -> None:
    assert start(dockerfile()).ask("GET", f"/{unique()}").body == b"hello"


def test_cleaning_up_while_an_app_is_being_started_is_no_bug(engine: Engine) -> None:
    sandbox = Sandbox(engine, {}, probes=[])
    sandbox.close()
    sandbox._remove("no-such-container")
    assert sandbox._closed

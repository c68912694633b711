"""Podman as an engine: what it takes from its cache, what it keeps, and that what it runs can be ended.

Where the suite's own engine is another one, and `podman` is installed, it is a Podman of these tests' own.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from grader.engine import leftovers
from grader.engine.build import Options
from grader.engine.connect import API_VERSION, Engine
from grader.engine.podman import marked
from grader.engine.podman.buildah import Buildah
from grader.engine.podman.proof import Claim, Proofs
from grader.errors import SubmissionError
from grader.result import silent
from grader.submission import dockerfile
from grader.tests.engine import building
from grader.tests.engine.building import Workshop, eventually, unique

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SLIM = "FROM debian:bookworm-slim\n"


@pytest.fixture(scope="session")
def podman(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A Podman that has `debian:bookworm-slim`."""
    if engine.name == "podman":
        yield engine
        return
    if not shutil.which("podman") or not engine.local:
        pytest.skip("takes a Podman, and root to start one")
    with _service(tmp_path_factory.mktemp("podman")) as endpoint:
        client = docker.APIClient(endpoint, version=API_VERSION, timeout=60)
        try:
            calls: Any = client
            calls.load_image(b"".join(engine.client.get_image("debian:bookworm-slim")))
            version = calls.version()["Version"]
            yield Engine(client, "podman", version, API_VERSION, engine.platform, endpoint, local=True)
        finally:
            client.close()


@contextmanager
def _service(folder: Path) -> Iterator[str]:
    """A Podman with a store of its own, which is gone afterwards."""
    runtime = "crun" if Path("/sys/fs/cgroup/cgroup.controllers").exists() and shutil.which("crun") else "runc"
    own = ["--root", str(folder / "root"), "--runroot", str(folder / "run"), "--tmpdir", str(folder / "tmp")]
    command = ["podman", *own, "--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", runtime]
    endpoint = f"unix://{folder}/socket"
    service = subprocess.Popen(
        [*command, "system", "service", "--time=0", endpoint], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        if not eventually((folder / "socket").exists):
            pytest.skip("this Podman does not start")
        yield endpoint
    finally:
        service.terminate()
        service.wait(10)
        # It keeps its store mounted; a mere removal of the folder would fail of that.
        subprocess.run([*command, "unmount", "--all"], capture_output=True, check=False)
        subprocess.run(["umount", str(folder / "root" / "overlay")], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def workshop(podman: Engine) -> Iterator[Workshop]:
    with building.workshop(podman) as made:
        yield made
    leftovers.clean(podman)


def states(workshop: Workshop, text: str, files: Mapping[str, str] | None = None, **options: Any) -> dict[int, Any]:
    """By line, what is told of each step's cache state."""
    built = workshop.build(text, files, **options)
    assert built.failure is None, built.failure
    return {step.line: step.cached for step in built.steps if step.line}


# --- the cache --------------------------------------------------------------------------------------------------------


TWO_STAGES = """\
ARG TAG=bookworm-slim
FROM debian:$TAG AS builder
ARG FLAVOUR=plain
ENV MARK=%s
RUN echo $FLAVOUR > /made
COPY app.py /
FROM debian:bookworm-slim
WORKDIR /app
COPY --from=builder /made app.py /app/
RUN ["true"]
RUN echo two && \\
    echo lines
EXPOSE 5000
CMD ["python3", "app.py"]
"""


def test_a_second_grading_comes_from_the_cache_and_leaves_nothing_new(podman: Engine) -> None:
    text = TWO_STAGES % unique()
    with building.workshop(podman) as first:
        told = states(first, text)
        assert {line for line, cached in told.items() if not cached} == {3, 4, 5, 6, 8, 9, 10, 11, 13, 14}
    before = images(podman)
    with building.workshop(podman) as second:
        assert set(states(second, text).values()) == {True}
    assert images(podman) == before
    leftovers.clean(podman)


def test_what_comes_after_a_change_is_built_and_what_comes_before_is_not(workshop: Workshop) -> None:
    text = TWO_STAGES % unique()
    states(workshop, text)
    told = states(workshop, text, {"app.py": unique()})
    assert {line for line, cached in told.items() if not cached} == {6, 9, 10, 11, 13, 14}
    assert None not in told.values()


def test_a_build_may_be_asked_not_to_use_the_cache(workshop: Workshop) -> None:
    text = SLIM + f"RUN echo {unique()}\n"
    states(workshop, text)
    assert states(workshop, text, cache=False) == {1: True, 2: False}


def test_a_file_that_is_mounted_and_has_changed_is_seen(workshop: Workshop) -> None:
    text = SLIM + "RUN --mount=type=bind,source=app.py,target=/mounted cp /mounted /copied\n"
    for content in (unique(), unique()):
        image = workshop.image(text, {"app.py": content})
        assert image.read(["/copied"])["/copied"].decode() == content
        # The builder would have taken the step from its cache; it was told not to, and nobody knows what it owes.
        assert states(workshop, text, {"app.py": content}) == {1: None, 2: None}


def test_a_cache_mount_is_no_reason_to_build_again(workshop: Workshop) -> None:
    text = SLIM + f"RUN --mount=type=cache,target=/c echo {unique()}\n"
    assert [states(workshop, text)[2] for _ in range(2)] == [False, True]


def images(engine: Engine) -> set[str]:
    return {image["Id"] for image in engine.client.images(all=True)}


def forged(workshop: Workshop, message: str) -> dict[int, Any]:
    """What is told of a step that runs, and prints a message that it finds in its context."""
    return states(workshop, SLIM + f"COPY m /m\nRUN cat /m; : {unique()}\nRUN true\n", {"m": message})


def test_a_run_that_prints_the_words_of_the_cache_is_not_believed(workshop: Workshop) -> None:
    client: Any = workshop.engine.client
    base = client.inspect_image("debian:bookworm-slim")["Id"].removeprefix("sha256:")
    sibling = workshop.build(SLIM + "RUN true\n").image_id
    assert sibling is not None
    for image in (base, sibling.removeprefix("sha256:"), "0" * 64):
        assert forged(workshop, f"--> Using cache {image}\n")[3] is None


def test_a_run_that_prints_a_step_makes_nobody_believe_anything(workshop: Workshop) -> None:
    message = "STEP 4/5: RUN true\n--> Using cache " + "0" * 64 + "\n"
    told = forged(workshop, message)
    assert set(told.values()) <= {True, None}
    assert (told[3], told[4]) == (None, None)


def test_an_image_is_no_proof_unless_base_and_instructions_are_those_of_the_stage(workshop: Workshop) -> None:
    mark = unique()
    built = workshop.build(SLIM + f"ENV A={mark}\nRUN echo {mark}\n")
    assert built.image_id
    client: Any = workshop.engine.client
    above = client.inspect_image(built.image_id)["Parent"]
    assert len(client.history(built.image_id)) == len(client.history("debian:bookworm-slim")) + 3

    def told(first: str, *texts: str, cache: bool = True, image: str = above) -> list[bool | None]:
        steps = [Claim(0, -1, first, ""), *(Claim(0, n, text, image) for n, text in enumerate(texts))]
        return Proofs(workshop.engine, steps, cache=cache).states()[1:]

    base, env, run = SLIM.strip(), f"ENV A={mark}", f"RUN echo {mark}"
    assert told(base, env, run) == [True, True]
    assert told(base, env, run, cache=False) == [False, False]
    assert told(base, run) == [None]
    assert told(base, env, f"RUN echo {mark} ") == [None, None]
    assert told(base, env, "RUN " + mark) == [None, None]
    assert told(base, env, "COPY x /x") == [None, None]
    assert told("FROM scratch", env, run) == [None, None]
    assert told("FROM no-such-image", env, run) == [None, None]
    assert told(base, env, run, image="0" * 64) == [None, None]


STUMBLED = "checking if cached image exists from a previous build: getting top layer info: layer not known\n"


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (STUMBLED, True),
        (f'building at STEP "RUN x": {STUMBLED}', True),
        (f'building at STEP "RUN echo {STUMBLED.strip()}": while running runtime: exit status 1\n', False),
        ("", False),
    ],
)
def test_a_build_that_stumbled_over_an_image_that_went_is_tried_again_a_few_times(
    podman: Engine, error: str, *, again: bool
) -> None:
    parsed = dockerfile.parse(SLIM.encode())
    builder = Buildah(podman, parsed, Options(), silent)
    builder.feed({"stream": "STEP 1/2: FROM debian:bookworm-slim\n"})
    assert builder.stumbled(error) is again
    assert len(builder.steps()) == (0 if again else 1)
    assert not all(builder.stumbled(error) for _ in range(20))


def test_images_that_are_removed_meanwhile_do_not_fail_a_build(workshop: Workshop) -> None:
    ended = threading.Event()
    client = docker.APIClient(workshop.engine.endpoint, version=API_VERSION, timeout=60)
    another = replace(workshop.engine, client=client)

    def clean() -> None:
        while not ended.is_set():
            leftovers.clean(another)

    thread = threading.Thread(target=clean)
    thread.start()
    try:
        for _ in range(4):
            assert workshop.build(SLIM + "".join(f"ENV A{n}={unique()}\n" for n in range(6))).failure is None
    finally:
        ended.set()
        thread.join()
        client.close()


def test_a_run_may_do_what_dockers_builder_lets_it_do(workshop: Workshop) -> None:
    text = SLIM + "RUN mknod /node c 1 3 && grep CapBnd /proc/self/status > /bound\n"
    bound = workshop.image(text).read(["/bound"])["/bound"].decode().split()[1]
    assert int(bound, 16) == 0xA80425FB  # Docker's default, as `docker run debian grep CapBnd /proc/self/status` says


# --- what stays -------------------------------------------------------------------------------------------------------


def is_past(second: int) -> bool:
    return int(time.time()) > second


def test_what_stays_for_later_builds_is_bounded_and_goes_when_one_cleans(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = workshop.engine
    leftovers.clean(engine)
    before = images(engine)
    monkeypatch.setattr(leftovers, "KEPT", 3)
    texts = [SLIM + f"RUN echo {unique()}\nENV A=1\n" for _ in range(5)]
    for text in texts:
        workshop.build(text)
        # The engine tells whole seconds: of two images of the same one either may be called the older.
        begun = int(time.time())
        assert eventually(partial(is_past, begun))
    assert len(leftovers._kept(engine)) == 3
    assert states(workshop, texts[-1])[2] is True
    assert states(workshop, texts[0])[2] is False
    assert leftovers.clean(engine)
    assert images(engine) == before


def test_an_image_that_an_app_runs_from_is_not_cleaned_away(workshop: Workshop) -> None:
    built = workshop.build(SLIM + f"RUN echo {unique()}\n")
    container = workshop.engine.client.create_container(built.image_id, ["true"], labels=workshop.run.labels)["Id"]
    leftovers.clean(workshop.engine)
    assert workshop.engine.client.inspect_container(container)["Image"] == built.image_id


# --- how it ends ------------------------------------------------------------------------------------------------------


def sleeping(seconds: str) -> bool:
    """Whether a process of this machine sleeps for so long."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes().split(b"\0")[:2] == [b"sleep", seconds.encode()]:
                return True
    return False


def working_containers(engine: Engine) -> set[str]:
    """What Buildah builds in, which only Podman's own call lists."""
    client: Any = engine.client
    url = f"{client.base_url}/v4.0.0/libpod/containers/json"
    return {one["Id"] for one in client.get(url, params={"external": "true", "all": "true"}).json()}


def nap() -> tuple[str, str]:
    """How long a step sleeps, which tells it from all others, and the Dockerfile of it; the first step can be kept."""
    seconds = str(10_000 + int(unique(), 16) % 10**9)
    return seconds, SLIM + f"RUN echo {seconds}\nRUN echo begun && sleep {seconds}\nRUN echo never\n"


@pytest.mark.parametrize("local", [True, False])
def test_a_step_that_takes_too_long_is_ended_here_or_from_a_container(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, *, local: bool
) -> None:
    if not local:
        # As a grader sees it whose engine is in a virtual machine: none of its processes is here.
        monkeypatch.setattr(marked.Mark, "_marked", lambda _self: [])
    before = working_containers(workshop.engine)
    seconds, text = nap()
    failure = workshop.build(text, timeout=4.0, on=replace(workshop.engine, local=local)).failure
    assert isinstance(failure, SubmissionError)
    assert "within 4.0 s" in failure.what
    assert failure.line == 3
    assert not sleeping(seconds)
    assert eventually(lambda: working_containers(workshop.engine) <= before)
    leftovers.clean(workshop.engine)
    assert not workshop.engine.client.images(filters={"dangling": True, "label": leftovers.CACHE})


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_build_runs_and_leaves_nothing(workshop: Workshop, error: type[BaseException]) -> None:
    before = working_containers(workshop.engine)
    seconds, text = nap()
    told: list[str] = []

    def progress(event: Any) -> None:
        told.append(f"{event.text} {event.log}")
        if event.log == "begun":
            assert eventually(lambda: sleeping(seconds))
            raise error

    with pytest.raises(error):
        workshop.build(text, progress=progress)
    assert not sleeping(seconds)
    assert eventually(lambda: working_containers(workshop.engine) <= before)
    assert not any("never" in text for text in told)


@pytest.mark.parametrize("step", range(4))
def test_a_build_that_is_interrupted_while_its_builder_speaks_leaves_nothing(workshop: Workshop, step: int) -> None:
    """A builder whose client goes away in the middle of a message waits for it for ever, and so do its containers."""
    before = working_containers(workshop.engine)
    told: list[str] = []

    def progress(event: Any) -> None:
        told.append(event.text)
        if event.text.startswith("STEP") and sum(text.startswith("STEP") for text in told) > step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        workshop.build(SLIM + f"RUN seq 100000; echo {unique()}\nRUN sleep 20\nRUN true\n", progress=progress)
    assert eventually(lambda: working_containers(workshop.engine) <= before)


def test_one_build_that_is_ended_leaves_another_alone(workshop: Workshop) -> None:
    mark = unique()
    others: list[Any] = []
    text = SLIM + f"RUN echo {mark}; sleep 6\n"
    client = docker.APIClient(workshop.engine.endpoint, version=API_VERSION, timeout=60)
    another = replace(workshop.engine, client=client)
    thread = threading.Thread(target=lambda: others.append(workshop.build(text, on=another)))
    thread.start()
    assert isinstance(workshop.build(nap()[1], timeout=3.0).failure, SubmissionError)
    thread.join()
    client.close()
    assert others[0].failure is None


def test_a_run_has_a_network_of_its_own(workshop: Workshop) -> None:
    """Left alone, Podman runs the steps of a build in the network of the host."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reach = f"bash -c 'echo x > /dev/tcp/127.0.0.1/{port}'"
        assert workshop.build(SLIM + f"RUN {reach}\n", cache=False).failure is not None
        # The same words reach it from where it can be reached.
        assert subprocess.run(["bash", "-c", f"echo x > /dev/tcp/127.0.0.1/{port}"], check=False).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_mark_of_a_build_finds_its_processes_and_no_others() -> None:
    import resource  # noqa: PLC0415  # not on every system

    mark, other = marked.Mark(), marked.Mark()
    number = int(mark.ulimit.rpartition(":")[2])
    assert mark.ulimit == f"locks={number}:{number}"
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    resource.prlimit(process.pid, 10, (number, number))  # RLIMIT_LOCKS, which the module does not name
    assert other._marked() == []
    assert mark._marked() == [process.pid]
    assert mark._end_here()
    assert process.wait(5) == -9
    process.communicate()
    assert not mark._end_here()


def test_a_build_without_a_network_sees_none(workshop: Workshop) -> None:
    built = workshop.build(f'{SLIM}RUN test "$(ls /sys/class/net)" = lo\n', network=False)
    assert built.failure is None

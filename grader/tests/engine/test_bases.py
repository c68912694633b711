"""Base images: present, pulled, or stood in for; against a real engine and a registry that can be made to fail."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from grader.engine import bases, install, keep, leftovers, pull, standin
from grader.engine.pull import PullError, Trouble
from grader.engine.standin import layer, making, recipe, unpack
from grader.errors import EngineError, ExitCode
from grader.result import Fault, ProgressEvent, silent
from grader.tests.cli import programs
from grader.tests.engine.registry import LABELS, Registry, serving
from grader.tests.engine.registry import layer as tiny_layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.engine.connect import Engine

SLIM, FULL, DISTROLESS = "python:3.11-slim", "python:3.11", "gcr.io/distroless/python3-debian12"
NONROOT = f"{DISTROLESS}:nonroot"


def never(*args: Any, **kwargs: Any) -> None:
    pytest.fail("this must not be called")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees, or leaves, a stamp or a lock of the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def registry(engine: Engine) -> Iterator[Registry]:
    if not engine.local or engine.name != "docker":
        pytest.skip("the engine does not see this machine's 127.0.0.1, or wants TLS there")
    with serving(engine.platform.split("/")[1]) as found:
        yield found
        for image in engine.client.images(filters={"label": f"{leftovers.RUN}={LABELS[leftovers.RUN]}"}):
            engine.client.remove_image(image["Id"], force=True)


@pytest.fixture
def stood_in(engine: Engine) -> Engine:
    """The engine, when the course's bases are stand-ins on it: a machine with a registry has the real ones."""
    missing = {SLIM, FULL, DISTROLESS, "debian:bookworm-slim"} - set(bases.stand_ins(engine))
    if missing:
        if not engine.private and any(standin.inspect(engine, reference) for reference in missing):
            pytest.skip("the real base images are here")
        bases.ensure(engine, sorted(missing), stand_ins=True)
    return engine


def run(engine: Engine, image: str, *command: str, entrypoint: str | None = None) -> tuple[int, str]:
    """The exit code and the output of a command in a container of an image."""
    client = engine.client
    container = client.create_container(
        image,
        list(command),
        entrypoint=entrypoint,
        labels=LABELS,
    )["Id"]
    try:
        client.start(container)
        code = client.wait(container, timeout=120)["StatusCode"]
        return code, client.logs(container).decode(errors="replace")
    finally:
        client.remove_container(container, force=True)


# --- present -----------------------------------------------------------------------------------------------------


def tagged(engine: Engine, reference: str, labels: dict[str, str]) -> str:
    """Give the engine a tiny image of this name; returns its id."""
    changes = [f"LABEL {key}={value}" for key, value in (LABELS | labels).items()]
    # Podman does not look at a tag that is given apart from the name.
    engine.client.import_image_from_data(tiny_layer(b"local"), reference, None, changes)
    found = standin.inspect(engine, reference)
    assert found is not None
    return str(found["Id"])


def untag(engine: Engine, *names: str) -> None:
    for name in names:
        if standin.inspect(engine, name):
            engine.client.remove_image(name, force=True)


def test_a_present_image_is_taken_without_asking_a_registry(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull.Puller, "pull", never)
    name = "localhost/grader-test-present:1"
    image = tagged(engine, name, {})
    try:
        assert bases.ensure(engine, [name], stand_ins=False) == (bases.Base(name, image, stand_in=False),)
    finally:
        untag(engine, name)


# --- kept in a file ----------------------------------------------------------------------------------------------


def test_what_was_pulled_is_kept_and_loaded(engine: Engine, registry: Registry, tmp_path: Path) -> None:
    references = [f"{registry.host}/{name}:1" for name in ("one", "two")]
    file = tmp_path / "bases.tar"
    found = bases.ensure(engine, references, stand_ins=False)
    assert keep.save(engine, found, file) == references
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["bases.tar"]
    assert not keep.load(engine, references, file)
    untag(engine, *references)
    assert keep.load(engine, references, file)
    registry.silent.set()
    assert bases.ensure(engine, references, stand_ins=False) == found


def test_a_workflow_has_them_in_its_file(engine: Engine, registry: Registry, tmp_path: Path) -> None:
    reference, file = f"{registry.host}/base:1", tmp_path / "bases.tar"
    rubric = programs.RUBRIC.replace("debian:bookworm-slim", reference)
    folder, _ = programs.course(tmp_path, rubric, "")
    command = ("bases", "1", "--course", str(folder), "--archive", str(file))
    first = programs.run("grader", *command)
    assert (first.returncode, f"kept in {file}: {reference}" in first.stderr) == (0, True)
    untag(engine, reference)
    registry.silent.set()
    second = programs.run("grader", *command)
    assert second.returncode == 0, second.stderr
    assert f"loaded from {file}" in second.stderr
    assert f"{reference}  the real image" in second.stdout
    untag(engine, reference)
    registry.silent.clear()
    file.write_bytes(b"nonsense" * 100)
    third = programs.run("grader", *command)
    assert third.returncode == 0, third.stderr
    assert "they are pulled, and it is made again" in third.stderr
    untag(engine, reference)
    assert keep.load(engine, [reference], file)


def test_a_stand_in_is_not_kept(engine: Engine, tmp_path: Path) -> None:
    assert keep.save(engine, [bases.Base(SLIM, "sha256:0", stand_in=True)], tmp_path / "bases.tar") == []
    assert not (tmp_path / "bases.tar").exists()


def test_a_broken_archive_says_so(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "bases.tar"
    file.write_bytes(b"nonsense" * 100)
    with pytest.raises(EngineError, match="cannot be loaded") as caught:
        keep.load(engine, ["localhost/grader-test-absent:1"], file)
    assert caught.value.where == str(file)


# --- pulled ------------------------------------------------------------------------------------------------------


def test_an_absent_image_is_pulled_and_progress_told(engine: Engine, registry: Registry) -> None:
    events: list[ProgressEvent] = []
    reference = f"{registry.host}/base:1"
    (base,) = bases.ensure(engine, [reference], stand_ins=False, progress=events.append)
    assert base.reference == reference
    assert not base.stand_in
    assert base.id.startswith("sha256:")
    assert {event.phase for event in events} == {"bases"}
    assert any(event.text.startswith(f"{reference}: pulled") and not event.detail for event in events)


def test_absent_images_are_pulled_side_by_side(engine: Engine, registry: Registry) -> None:
    events: list[ProgressEvent] = []
    registry.meeting = threading.Barrier(2)
    references = [f"{registry.host}/{name}:1" for name in ("one", "two")]
    found = bases.ensure(engine, references, stand_ins=False, progress=events.append)
    assert [base.reference for base in found] == references
    assert not registry.meeting.broken
    kept = [event.text for event in events if not event.detail]
    assert sorted(text.partition(": pulled")[0] for text in kept) == sorted(references)


def test_images_that_are_pulled_together_are_counted_together() -> None:
    events: list[ProgressEvent] = []
    puller = pull.Puller(None, 0.0, events.append)  # type: ignore[arg-type]  # a meter asks no engine
    for name in ("one", "two"):
        puller.meter.begin(name)
        puller.meter._next = 0.0
        layer = {"id": "a", "status": "Downloading", "progressDetail": {"current": 1_000_000, "total": 4_000_000}}
        puller.meter.add(name, layer)
    assert [event.text for event in events] == ["one: 1 of 4 MB, 25 %", "2 images: 2 of 8 MB, 25 %"]


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        ((429, "TOOMANYREQUESTS"), Trouble.RATE_LIMIT),
        ((401, "UNAUTHORIZED"), Trouble.DENIED),
        ((403, "DENIED"), Trouble.DENIED),
        ((404, "MANIFEST_UNKNOWN"), Trouble.NOT_FOUND),
        ((500, "UNKNOWN"), Trouble.TRANSIENT),
    ],
)
def test_what_a_registry_refuses_is_told_apart(
    engine: Engine,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
    fault: tuple[int, str],
    trouble: Trouble,
) -> None:
    monkeypatch.setattr(pull, "_PAUSE", 0.01)
    registry.faults = [fault] * 50
    with pytest.raises(PullError) as caught:
        bases.ensure(engine, [f"{registry.host}/base:1"], stand_ins=False)
    error = caught.value
    assert error.trouble is trouble
    assert registry.host in error.what
    assert error.where == registry.host
    assert error.fix
    assert error.log
    assert error.fault is (Fault.AUTHOR if trouble is Trouble.NOT_FOUND else Fault.INFRASTRUCTURE)
    assert error.exit_code is (ExitCode.USAGE if trouble is Trouble.NOT_FOUND else ExitCode.INFRASTRUCTURE)


def test_a_passing_fault_is_tried_again(engine: Engine, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "_PAUSE", 0.01)
    tries = counted(monkeypatch)
    # Engine 20.10 asks in two ways before it gives a try up.
    registry.faults = [(500, "UNKNOWN")] * 2
    (base,) = bases.ensure(engine, [f"{registry.host}/base:1"], stand_ins=False)
    assert base.id
    assert len(tries) > 1


def test_a_lasting_fault_is_given_up_after_three_tries(
    engine: Engine, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "_PAUSE", 0.01)
    tries = counted(monkeypatch)
    registry.faults = [(500, "UNKNOWN")] * 50
    with pytest.raises(PullError):
        bases.ensure(engine, [f"{registry.host}/base:1"], stand_ins=False)
    assert len(tries) == 3


def test_a_refusal_is_not_tried_again(engine: Engine, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    tries = counted(monkeypatch)
    registry.faults = [(429, "TOOMANYREQUESTS")] * 50
    with pytest.raises(PullError):
        bases.ensure(engine, [f"{registry.host}/base:1"], stand_ins=False)
    assert len(tries) == 1


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The references of every single try from now on."""
    tries: list[str] = []
    real = pull.Puller._once

    def once(self: pull.Puller, reference: str, registry: str) -> None:
        tries.append(reference)
        real(self, reference, registry)

    monkeypatch.setattr(pull.Puller, "_once", once)
    return tries


def test_a_registry_that_hangs_costs_the_time_limit_only(
    engine: Engine, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience: list[float] = []
    ask = engine.client.post

    def asked(*args: Any, timeout: tuple[float, float], **options: Any) -> Any:
        patience.append(timeout[1])
        return ask(*args, timeout=timeout, **options)

    monkeypatch.setattr(engine.client, "post", asked)
    registry.silent.set()
    with pytest.raises(PullError) as caught:
        bases.ensure(engine, [f"{registry.host}/base:1"], stand_ins=False, timeout=1.0)
    assert caught.value.trouble is Trouble.SILENT
    assert len(patience) == 1
    assert patience[0] <= 1.0


def test_a_registry_out_of_reach_is_asked_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine.name == "podman":
        pytest.skip("Podman itself asks three times, a second apart, before it says so")
    if not engine.local:
        pytest.skip("the engine does not see this machine's 127.0.0.1")
    tries = counted(monkeypatch)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        host = f"127.0.0.1:{closed.getsockname()[1]}"
        puller = pull.Puller(engine, time.monotonic() + 60, silent)
        for name in ("one", "two", "three"):
            with pytest.raises(PullError) as caught:
                puller.pull(f"{host}/{name}:1")
            assert caught.value.trouble is Trouble.UNREACHABLE
            assert f"/{name}:1" in caught.value.what
    assert tries == [f"{host}/one:1"]


@pytest.mark.parametrize(
    ("message", "trouble"),
    [
        ("toomanyrequests: You have reached your pull rate limit.", Trouble.RATE_LIMIT),
        ("pull access denied for nosuch, repository does not exist or may require 'docker login'", Trouble.DENIED),
        ("manifest for python:3.99 not found: manifest unknown: manifest unknown", Trouble.NOT_FOUND),
        ('Get "https://r.test/v2/": dial tcp: lookup r.test: no such host', Trouble.UNREACHABLE),
        ('Get "https://r.test/v2/": dial tcp: lookup r.test on 192.0.2.1:53: server misbehaving', Trouble.UNREACHABLE),
        ('Get "https://r.test/v2/": x509: certificate signed by unknown authority', Trouble.CERTIFICATE),
        ("no matching manifest for linux/arm64/v8 in the manifest list entries", Trouble.PLATFORM),
        ("write /var/lib/docker/tmp/x: no space left on device", Trouble.DISK),
        ("net/http: TLS handshake timeout", Trouble.SILENT),
        ("received unexpected HTTP status: 503 Service Unavailable", Trouble.TRANSIENT),
        ("something nobody has seen before", Trouble.TRANSIENT),
    ],
)
def test_an_engines_message_is_read(message: str, trouble: Trouble) -> None:
    assert pull._told("python:3.11", message, "Docker Hub").trouble is trouble


def test_every_trouble_says_how_to_mend_it() -> None:
    for trouble in Trouble:
        what, fix = pull._words(trouble, "python:3.11")
        assert "python:3.11" in what
        assert fix


# --- stood in for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "known"),
    [
        ("python:3.11", True),
        ("docker.io/library/python:3.11-slim", True),
        ("library/debian:bookworm-slim", True),
        (DISTROLESS, True),
        (f"{DISTROLESS}:latest", True),
        ("python", False),
        ("python:3.12", False),
        ("elsewhere.test/python:3.11", False),
    ],
)
def test_recipes_are_found_by_any_spelling(reference: str, *, known: bool) -> None:
    assert bases.has_recipe(reference) is known


@pytest.mark.parametrize(
    ("reference", "full"),
    [
        ("python:3.11", "docker.io/library/python:3.11"),
        ("python", "docker.io/library/python:latest"),
        ("someone/tool:1", "docker.io/someone/tool:1"),
        ("localhost:5000/tool", "localhost:5000/tool:latest"),
        (DISTROLESS, f"{DISTROLESS}:latest"),
    ],
)
def test_full_names(reference: str, full: str) -> None:
    assert standin.full_name(reference) == full


@pytest.fixture
def nothing_to_pull(monkeypatch: pytest.MonkeyPatch) -> None:
    def pull_nothing(self: pull.Puller, reference: str, *, tries: int = 3) -> None:
        raise pull._told(reference, "dial tcp: lookup r.test: no such host", "Docker Hub")

    monkeypatch.setattr(pull.Puller, "pull", pull_nothing)


@pytest.mark.usefixtures("nothing_to_pull")
def test_a_stand_in_takes_agreement(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine.private:
        pytest.skip("the private engine is ours: no agreement is asked for")
    monkeypatch.setattr(standin, "inspect", lambda *_: None)
    monkeypatch.setattr(making, "make", never)
    with pytest.raises(EngineError, match=r"python:3\.11") as caught:
        bases.ensure(engine, [FULL], stand_ins=False)
    assert "--yes" in caught.value.fix


@pytest.mark.usefixtures("nothing_to_pull")
def test_nothing_is_offered_where_there_is_no_recipe(engine: Engine) -> None:
    with pytest.raises(EngineError) as caught:
        bases.ensure(engine, ["nowhere.invalid/grader/test:1"], stand_ins=False)
    assert "--yes" not in caught.value.fix


@pytest.mark.usefixtures("nothing_to_pull")
def test_a_stand_in_that_is_there_is_named_as_one(stood_in: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "make", never)
    found = bases.ensure(stood_in, [SLIM, FULL, DISTROLESS], stand_ins=False)
    assert [base.stand_in for base in found] == [True, True, True]


def test_stand_ins_share_their_lower_layers(stood_in: Engine) -> None:
    layers = []
    for reference in ("debian:bookworm-slim", SLIM, FULL):
        image = standin.inspect(stood_in, reference)
        assert image is not None
        layers.append(image["RootFS"]["Layers"])
    debian, slim, full = layers
    assert debian == slim[: len(debian)]
    assert slim == full[: len(slim)]
    assert (len(debian), len(slim), len(full)) == (1, 2, 3)


def test_stand_ins_are_configured_as_the_real_images(stood_in: Engine) -> None:
    image = standin.inspect(stood_in, FULL)
    assert image is not None
    config = image["Config"]
    assert config["Cmd"] == ["python3"]
    assert "LANG=C.UTF-8" in config["Env"]
    assert any(entry.startswith("PATH=/usr/local/bin:") for entry in config["Env"])
    assert any(entry.startswith("PYTHON_VERSION=3.11.") for entry in config["Env"])
    assert config["Labels"][standin.LABEL] == FULL
    assert standin.is_current(image, FULL)


# A C extension that needs Python's headers and a compiler, and nothing from any index.
_EXTENSION = r"""
set -e
mkdir /tmp/extension && cd /tmp/extension
cat >setup.py <<END
from setuptools import Extension, setup
setup(name="extension", version="1", ext_modules=[Extension("extension", ["extension.c"])])
END
cat >extension.c <<END
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "extension", 0, -1, 0};
PyMODINIT_FUNC PyInit_extension(void) { return PyModule_Create(&module); }
END
pip wheel --no-build-isolation --no-index --wheel-dir /tmp/wheels .
pip install --no-index /tmp/wheels/*.whl
ls /usr/local/lib/python3.11/site-packages/extension*.so
cd / && python -c 'import extension'
"""


def test_the_full_image_compiles_what_pip_asks_for(stood_in: Engine) -> None:
    code, output = run(stood_in, FULL, "bash", "-c", _EXTENSION)
    assert code == 0, output


def test_the_slim_image_has_no_compiler(stood_in: Engine) -> None:
    code, output = run(stood_in, SLIM, "bash", "-c", _EXTENSION)
    assert code != 0
    assert "command 'gcc' failed" in output


@pytest.mark.parametrize(
    "command",
    [
        'test "$(command -v python3 python pip pip3 | xargs -n 1 dirname | sort -u)" = /usr/local/bin',
        "python -m venv /tmp/venv && /tmp/venv/bin/pip --version",
        "pip --version && ! ls /usr/local/lib/python3.11/EXTERNALLY-MANAGED",
        "pip install --no-index --prefix /tmp/p -f /usr/share/python-wheels -I wheel && ls /tmp/p/lib/python3.11",
        "useradd learner && test -x /bin/bash",
        "! command -v gcc cc make curl git wget",
        "python -c 'import bz2, ctypes, curses, lzma, readline, sqlite3, ssl, uuid, zoneinfo'",
        'test -z "$(ls /var/lib/apt/lists)" && test "$(pwd)" = / && test "$(id -u)" = 0',
    ],
)
def test_the_slim_image_is_like_the_real_one(stood_in: Engine, command: str) -> None:
    code, output = run(stood_in, SLIM, "bash", "-c", command)
    assert code == 0, output


def test_apt_and_pip_work_inside(stood_in: Engine) -> None:
    """As in a learner's RUN: the mirror, the index and the certificates are the machine's own."""
    script = "apt-get update -qq && apt-get install -qq -y hello && hello && pip download --no-deps -q -d /tmp six"
    code, output = run(stood_in, SLIM, "bash", "-c", script)
    assert code == 0, output


def test_distroless_has_neither_shell_nor_package_manager(stood_in: Engine) -> None:
    for program in ("sh", "/bin/sh", "/bin/bash"):
        with pytest.raises(docker.errors.APIError):
            run(stood_in, DISTROLESS, entrypoint=program)
    code, output = run(
        stood_in,
        DISTROLESS,
        "-c",
        "import os, ssl, sqlite3; ssl.create_default_context();"
        "found = {f for d in os.environ['PATH'].split(':') if os.path.isdir(d) for f in os.listdir(d)};"
        "print(sorted(found & {'sh', 'dash', 'bash', 'apt', 'apt-get', 'dpkg', 'tar', 'perl', 'awk', 'mawk'}),"
        "len(os.listdir('/var/lib/dpkg/status.d')) > 20, os.getuid(), os.path.isdir('/home/nonroot'))",
    )
    assert (code, output.strip()) == (0, "[] True 0 True")


def test_distroless_has_what_wheels_of_cplusplus_and_rust_are_linked_to(stood_in: Engine) -> None:
    """The real image is based on distroless/cc, so that they work there."""
    script = "import ctypes\nfor name in ('libstdc++.so.6', 'libgcc_s.so.1', 'libgomp.so.1'): ctypes.CDLL(name)"
    code, output = run(stood_in, DISTROLESS, "-c", script, entrypoint="python")
    assert code == 0, output
    code, output = run(stood_in, DISTROLESS, "-c", "import ctypes; ctypes.CDLL('libpq.so.5')")
    assert code != 0
    assert "libpq.so.5" in output


def test_distroless_nonroot_is_the_same_for_another_user(stood_in: Engine) -> None:
    (base,) = bases.ensure(stood_in, [NONROOT], stand_ins=True)
    assert base.stand_in
    image, of_root = standin.inspect(stood_in, NONROOT), standin.inspect(stood_in, DISTROLESS)
    assert image is not None
    assert of_root is not None
    assert image["RootFS"]["Layers"][: len(of_root["RootFS"]["Layers"])] == of_root["RootFS"]["Layers"]
    script = "import os; print(os.getuid(), os.getcwd(), os.access('/home/nonroot', os.W_OK), os.access('/', os.W_OK))"
    assert run(stood_in, NONROOT, "-c", script) == (0, "65532 /home/nonroot True False\n")


# --- made, and replaced ------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[recipe.Recipe]:
    """A recipe that is made in no time: its file system is a tar of one file."""
    made = recipe.Recipe("grader-test.invalid/tiny:1", options=("--variant=none",))
    archive = Path("/tmp") / f"{made.version}.tar"

    def pretend(asked: recipe.Recipe, *_: Any) -> Path:
        archive.write_bytes(tiny_layer(asked.reference.encode()))
        return archive

    monkeypatch.setitem(recipe.RECIPES, made.reference, made)
    monkeypatch.setattr(unpack, "archive", pretend)
    if install.supported():
        pytest.skip("stand-ins are built on Debian, as root")
    yield made
    archive.unlink(missing_ok=True)
    standin.remove(engine, made.reference)


@pytest.mark.usefixtures("nothing_to_pull")
def test_a_stand_in_is_built_once_and_removed(engine: Engine, tiny: recipe.Recipe) -> None:
    events: list[ProgressEvent] = []
    (base,) = bases.ensure(engine, [tiny.reference], stand_ins=True, progress=events.append)
    assert base.stand_in
    assert any("(stand-in)" in event.text for event in events)
    assert tiny.reference in bases.stand_ins(engine)
    events.clear()
    assert bases.ensure(engine, [tiny.reference], stand_ins=True, progress=events.append) == (base,)
    assert not any("(stand-in)" in event.text for event in events)
    assert standin.remove(engine, tiny.reference)
    assert tiny.reference not in bases.stand_ins(engine)
    assert standin.inspect(engine, base.id) is None


@pytest.mark.usefixtures("nothing_to_pull")
def test_a_learners_image_is_no_stand_in_though_it_inherits_the_label(engine: Engine, tiny: recipe.Recipe) -> None:
    bases.ensure(engine, [tiny.reference], stand_ins=True)
    name = "localhost/grader-test-learner:1"
    tagged(engine, name, {standin.LABEL: tiny.reference})
    try:
        (base,) = bases.ensure(engine, [name], stand_ins=False)
        assert not base.stand_in
        assert standin.remove(engine, tiny.reference)
        assert standin.inspect(engine, name)
    finally:
        untag(engine, name)


@pytest.mark.usefixtures("nothing_to_pull")
def test_another_recipe_builds_another_stand_in(
    engine: Engine, tiny: recipe.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = bases.ensure(engine, [tiny.reference], stand_ins=True)
    monkeypatch.setitem(recipe.RECIPES, tiny.reference, recipe.Recipe(tiny.reference, changes=('CMD ["new"]',)))
    if not engine.private:
        assert bases.ensure(engine, [tiny.reference], stand_ins=False) == (old,)
    (new,) = bases.ensure(engine, [tiny.reference], stand_ins=True)
    assert new.id != old.id
    assert standin.inspect(engine, old.id) is None


@pytest.mark.usefixtures("nothing_to_pull")
def test_an_older_stand_in_serves_when_a_new_one_cannot_be_built(
    engine: Engine, tiny: recipe.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = bases.ensure(engine, [tiny.reference], stand_ins=True)
    monkeypatch.setitem(recipe.RECIPES, tiny.reference, recipe.Recipe(tiny.reference, changes=("NONSENSE",)))
    assert bases.ensure(engine, [tiny.reference], stand_ins=True) == (old,)


def test_a_failed_build_leaves_no_name(engine: Engine, tiny: recipe.Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    upper = recipe.Recipe("grader-test.invalid/upper:1", parent=tiny.reference, files=("upper",))
    monkeypatch.setitem(recipe.RECIPES, upper.reference, upper)
    dockerfile = b"ARG PARENT\nFROM ${PARENT}\nRUN true\n"  # there is no shell in it
    monkeypatch.setattr(recipe, "read", lambda _: dockerfile)
    monkeypatch.setattr(layer, "read", lambda _: dockerfile)
    with pytest.raises(EngineError) as caught:
        making.make(engine, upper.reference, silent)
    assert caught.value.log
    assert standin.inspect(engine, upper.reference) is None
    assert not standin.remove(engine, upper.reference)


def test_the_real_image_takes_its_stand_ins_place(
    engine: Engine, tiny: recipe.Recipe, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = recipe.Recipe(f"{registry.host}/base:1", options=tiny.options)
    monkeypatch.setitem(recipe.RECIPES, moved.reference, moved)
    making.make(engine, moved.reference, silent)
    try:
        assert bases.stand_ins(engine).count(moved.reference) == 1
        (base,) = bases.ensure(engine, [moved.reference], stand_ins=False)
        assert not base.stand_in
        assert moved.reference not in bases.stand_ins(engine)
        assert not standin.remove(engine, moved.reference)
        assert bases.ensure(engine, [moved.reference], stand_ins=False) == (base,)
    finally:
        untag(engine, moved.reference)


def test_the_real_image_is_looked_for_now_and_then(
    engine: Engine, tiny: recipe.Recipe, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bases, "_LOOK_LIMIT", 0.2)
    moved = recipe.Recipe(f"{registry.host}/base:2", options=tiny.options)
    monkeypatch.setitem(recipe.RECIPES, moved.reference, moved)
    making.make(engine, moved.reference, silent)
    try:
        tries = counted(monkeypatch)
        registry.silent.set()
        for _ in range(3):
            (base,) = bases.ensure(engine, [moved.reference], stand_ins=False)
            assert base.stand_in
        assert len(tries) == 1
        bases.ensure(engine, [moved.reference], stand_ins=False, refresh=True)
        assert len(tries) == 2
    finally:
        standin.remove(engine, moved.reference)


@pytest.mark.usefixtures("nothing_to_pull")
def test_who_builds_the_same_at_once_waits_and_takes_it(
    engine: Engine, tiny: recipe.Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    builds = []
    at_it, go_on = threading.Event(), threading.Event()
    real = layer.load

    def slowly(*args: Any) -> None:
        builds.append(args)
        at_it.set()
        assert go_on.wait(30)
        real(*args)

    monkeypatch.setattr(layer, "load", slowly)
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda told: made.append(making.make(engine, tiny.reference, told)), args=(told,))
        for told in (silent, lambda event: go_on.set() if "waiting" in event.text else None)
    ]
    threads[0].start()
    assert at_it.wait(30)
    threads[1].start()  # it finds the lock taken, says so, and by that lets the first one go on
    for thread in threads:
        thread.join(60)
    assert len(builds) == 1
    assert len(set(made)) == 1
    assert len(made) == 2


def test_the_wait_for_another_builder_ends(engine: Engine, tiny: recipe.Recipe) -> None:
    with (
        making._only_one(tiny, silent, time.monotonic() + 10),
        pytest.raises(EngineError, match="Another grader"),
    ):
        making.make(engine, tiny.reference, silent, timeout=0.3)


def test_the_lock_is_the_machines_not_the_processs(engine: Engine, tiny: recipe.Recipe) -> None:
    program = (
        "import sys, time\n"
        "from grader.engine.standin import RECIPES, making\n"
        "from grader.result import silent\n"
        "recipe = next(iter(RECIPES.values()))\n"
        "with making._only_one(recipe, silent, time.monotonic() + 10):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(EngineError, match="Another grader"):
            making.make(engine, tiny.reference, silent, timeout=0.3)


# --- what a stand-in takes over from the machine ------------------------------------------------------------------


def test_the_tar_of_a_build_has_no_pax_headers() -> None:
    import tarfile  # noqa: PLC0415

    content = unpack.tar({"etc/pip.conf": "x", "usr/sbin/policy-rc.d": "y"})
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        modes = {entry.name: entry.mode for entry in archive}
        assert archive.pax_headers == {}
    assert modes["usr/sbin/policy-rc.d"] == 0o755
    assert modes["etc/pip.conf"] == 0o644

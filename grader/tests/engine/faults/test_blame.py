"""Whose fault a failed build is: by the texts that the engines were seen to say, and by real mistakes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from grader.engine.faults import blame
from grader.engine.trace import Step
from grader.errors import EngineError, SubmissionError
from grader.submission import dockerfile
from grader.tests.engine.building import Workshop, unique

SLIM = "FROM debian:bookworm-slim\n"


def step(error: str = "", log: str = "", *, code: int | None = None, line: int | None = 2) -> Step:
    return Step("[2/2] RUN x", line, "RUN x", "", False, 1.0, error, code, log)


# What Engine 20.10, Engine 28 and Podman 4.3 said of mistakes that were made on purpose.
LEARNERS = {
    "missing file, 20.10": 'failed to compute cache key: "/nope.txt" not found: not found',
    "missing file, 28": 'failed to compute cache key: failed to calculate checksum of ref a::b: "/nope.txt": not found',
    "missing file, Podman": 'checking on sources under "/b1": copier: stat: "/n": no such file or directory',
    "missing glob, Podman": 'Rel: can\'t make  relative to /b; copier: stat: ["/*.zip"]: no such file or directory',
    "missing in a stage, 20.10": "lstat /var/lib/docker/overlay2/35a6/merged/wheels: no such file or directory",
    "missing in a stage, 28": "lstat /wheels: no such file or directory",
    "outside, 20.10": "failed to compute cache key: failed to walk /var/lib/docker/tmp/buildkit-mount9/etc: lstat "
    "/var/lib/docker/tmp/buildkit-mount9/etc: no such file or directory",
    "over a file, 20.10": "mkdir /var/lib/docker/overlay2/pbvw/merged/app.py/app.py: not a directory",
    "over a file, 28": "mkdir /app.py/app.py: not a directory",
    "over a file, Podman": "destination /etc/passwd/ already exists but is not a directory",
    "mount of nothing, 28": 'process "x" did not complete successfully: open /w: no such file or directory',
    "user, 20.10": "executor failed running [x]: unable to find user joe: no matching entries in passwd file",
    "group, Podman": 'determining run gid: group: unknown group error looking up group "joes"',
    "owner, Podman": 'looking up UID/GID for "joe": determining run uid: user: unknown user error looking up "joe"',
    "mount type, 20.10": "failed to solve with frontend dockerfile.v0: failed to create LLB: dockerfile parse "
    'error line 2: unsupported mount type "foo"',
    "mount type, 28": 'unsupported mount type "foo"',
    "mount target": 'invalid mount target "/"',
    "port, 20.10": "failed to solve with frontend dockerfile.v0: failed to create LLB definition: "
    "Invalid containerPort: abc",
    "port, 28": "invalid containerPort: abc",
    "signal": "invalid signal: FOO",
    "substitution": 'failed to process "${B:foo}": unsupported modifier (:f) in substitution',
    "mode, 28": "invalid syntax",
    "health check": 'dockerfile parse error on line 2: Unknown type "FOO" in HEALTHCHECK (try CMD)',
    "shell, Podman": "SHELL requires the arguments to be in JSON form",
    "symlinks, 20.10": "failed to compute cache key: too many links",
    "symlinks, 28": "too many links",
    "long name, 28": f"lstat /{'b' * 300}: file name too long",
    "layers, 28": "failed to prepare 8cwj as 9upo: max depth exceeded",
    "warnings, 28": "lint violation found for rules: FromAsCasing",
    "sharing, 28": 'unsupported sharing value "foo"',
    "owner of a mount, 28": "invalid value abc for uid",
    "mode of a mount, 28": "invalid value 999 for mode",
    "size of a mount, 28": "invalid value for size: abc",
    "option of a mount, 28": "unexpected key 'foo' in 'foo=x' (did you mean from?)",
    "checksum, 28": "invalid checksum digest length",
    "kind of checksum, 28": "unsupported digest algorithm",
    "checksum of a file, 28": "checksum requires HTTP(S) or Git sources",
    "glob, 28": "failed to compute cache key: failed to calculate checksum of ref a::b: syntax error in pattern",
    "unknown flag of a trigger": "dockerfile parse error on line 2: unknown flag: --foo",
    "remote file": "invalid response status 404",
}
OURS = {
    "disk": "failed to copy: write /var/lib/docker/tmp/x: no space left on device",
    "rate": "toomanyrequests: You have reached your pull rate limit",
    "endpoint": "failed to create endpoint x on network bridge: adding interface to bridge failed",
    "registry": "failed to solve with frontend dockerfile.v0: failed to create LLB definition: failed to do request: "
    'Head "https://r/v2": dial tcp: lookup r: no such host',
    "pull": "failed to solve with frontend dockerfile.v0: failed to create LLB definition: pull access denied",
    "store, overlay2": "open /var/lib/docker/overlay2/35a6/link: no such file or directory",
    "store, containerd": "open /var/lib/docker/containerd/daemon/x/12/fs: no such file or directory",
    "store, content": "content digest sha256:0123: not found",
    "mount": "failed to mount /tmp/containerd-mount1: invalid argument",
    "lease": "lease does not exist: not found",
    "temporary folder": "mkdir /var/lib/docker/tmp/buildkit-mount123: no such file or directory",
    "daemon": "rpc error: code = Unavailable desc = error reading from server: EOF",
    "denied": "open /var/lib/docker/buildkit/cache.db: permission denied",
    "remote file, throttled": "invalid response status 429",
    "remote file, proxy": "invalid response status 407",
    "cancelled": "context canceled",
    "no words": "",
    "new words": "the frobnicator is invalid and missing",
    "too old an engine": 'failed to process "${a#b}": unsupported modifier (#) in substitution',
    "no session": "no active sessions",
    "too old a front end": "dockerfile parse error on line 2: unknown flag: --parents",
    "store, links": "link /var/lib/docker/overlay2/35a6/a /var/lib/docker/overlay2/35a6/b: too many links; see above",
}


@pytest.mark.parametrize("text", LEARNERS.values(), ids=LEARNERS)
def test_mistakes_are_the_learners(text: str) -> None:
    found = blame.failure(text, step(text))
    assert isinstance(found, SubmissionError), found.what
    assert found.line == 2
    assert "/var/lib" not in found.what


@pytest.mark.parametrize("text", OURS.values(), ids=OURS)
def test_faults_of_ours_and_unknown_ones_are_never_the_learners(text: str) -> None:
    assert isinstance(blame.failure(text, step(text)), EngineError)
    assert isinstance(blame.failure(text, None), EngineError)


RUNC = "runc run failed: unable to start container process: "
PODMAN = (
    "error running container: from /usr/bin/runc creating container for [/bin/sh -c true]: "
    'time="now" level=error msg="runc create failed: '
)


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (RUNC + 'exec: "/bin/sh": stat /bin/sh: no such file or directory', "“/bin/sh” does not exist"),
        (RUNC + 'error during container init: exec: "x": executable file not found in $PATH', "“x” does not exist"),
        (RUNC + 'exec: "/etc": permission denied', "“/etc” may not be executed"),
        (RUNC + 'error during container init: exec: "/etc": is a directory', "“/etc” is a directory"),
        (
            RUNC + 'error mounting "/v/merged/w" to rootfs at "/w": stat /v/merged/w: no such file or directory',
            "mounted at “/w” is not there",
        ),
        (
            RUNC
            + 'error mounting "/v/x/diff" to rootfs at "/proc": create mountpoint for /proc mount: check proc-safety '
            'of /proc mount: "/v/x/rootfs/proc" cannot be mounted',
            "Nothing can be mounted at “/proc”",
        ),
        (
            (
                'time="now" level=error msg="runc create failed: unable to start: exec: \\"/bin/sh\\": '
                'stat /bin/sh: no such file or directory"\n: exit status 1'
            ),
            "“/bin/sh” does not exist",
        ),
        (
            PODMAN
            + 'unable to start container process: exec: \\"/bin/sh\\": stat /bin/sh: no such file or directory"\n'
            ": exit status 1",
            "“/bin/sh” does not exist",
        ),
        ("gcc: command not found", "exit code 1"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/x'", "exit code 1"),
        ("ModuleNotFoundError: No module named 'x'", "exit code 1"),
        ("exec /x: exec format error", "exit code 1"),
    ],
)
def test_a_command_that_cannot_be_started_is_named(log: str, words: str) -> None:
    found = blame.failure("", step(log=log, code=1))
    assert isinstance(found, SubmissionError)
    assert words in found.what


@pytest.mark.parametrize(
    "log",
    [
        RUNC + "error during container init: error setting cgroup config for procHooks process: no such device",
        RUNC + "error during container init: write init-p: broken pipe",
        "runc create failed: container with given ID already exists",
        PODMAN + 'container with given ID already exists"\n: exit status 1',
        "tar: write error: No space left on device",
        "curl: (6) Could not resolve host: example.org",
        "W: Failed to fetch http://x/InRelease  Temporary failure resolving 'x'",
        "WARNING: Retrying after connection broken by 'NewConnectionError: Failed to establish a new connection'",
        "E: Failed to fetch http://x  503  Service Unavailable",
    ],
)
def test_a_run_that_failed_for_want_of_disk_network_or_runtime_is_ours(log: str) -> None:
    assert isinstance(blame.failure("", step(log=log, code=1)), EngineError)


def test_what_an_earlier_step_could_not_fetch_is_not_the_learners_when_it_is_missed() -> None:
    update = step(log="W: Some index files failed: Temporary failure resolving 'deb'\n", line=2)
    install = step(log="E: Unable to locate package gcc\n", code=100, line=3)
    assert isinstance(blame.failure("", install, steps=(update, install)), EngineError)
    assert isinstance(blame.failure("", install, steps=(install,)), SubmissionError)
    other = step(log="cc: error: unrecognised option\n", code=1, line=3)
    assert isinstance(blame.failure("", other, steps=(update, other)), SubmissionError)


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        ("type=secret,id=api.key", "It mounts the build secret `api.key`, which this exercise does not give. It gives"),
        ("type=secret,id=api-key", "the log's last lines"),
        ("type=cache,id=api.key,target=/x", "the log's last lines"),
    ],
)
def test_a_command_that_fails_for_want_of_an_optional_secret_is_told_its_name(mount: str, words: str) -> None:
    text = f"RUN --mount={mount} cat /run/secrets/api.key"
    failed = Step("[2/2] RUN x", 2, text, "", False, 1.0, "exit code: 1", 1, "cat: no such file")
    error = blame.failure("exit code: 1", failed, asked=blame.Asked(secrets=("api-key",)))
    assert (isinstance(error, SubmissionError), words in error.fix) == (True, True), error.fix


def test_an_error_without_a_step_finds_its_line() -> None:
    parsed = dockerfile.parse(b"FROM scratch\nENV A=1\n\nEXPOSE 99999\n")
    assert blame.failure("invalid containerPort: 99999", None, asked=blame.Asked(parsed)).line == 4


@pytest.mark.parametrize(
    ("stopped", "hung", "kind"),
    [
        (step(), False, SubmissionError),
        (step(), True, EngineError),
        (None, False, EngineError),
        (step(line=None), False, EngineError),
        (step(log="Retrying: Connection timed out"), False, EngineError),
    ],
)
def test_whose_a_timeout_is(*, stopped: Step | None, hung: bool, kind: type) -> None:
    assert isinstance(blame.timeout(stopped, 5.0, engine_hung=hung), kind)


# --- made on a real engine --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mistake:
    text: str
    line: int | None
    podman_minds: bool = True


MISTAKES = {
    "a command that fails": Mistake(SLIM + "RUN echo hello; exit 3\n", 2),
    "a command that is not there": Mistake(SLIM + "RUN pip3 install flask\n", 2),
    "no shell": Mistake("FROM gcr.io/distroless/python3-debian12\nRUN echo hi\n", 2),
    "no such program": Mistake(SLIM + 'RUN ["nosuchthing", "a"]\n', 2),
    "not executable": Mistake(SLIM + 'RUN ["/etc/passwd"]\n', 2),
    "a missing file": Mistake(SLIM + "\n\nCOPY nope.txt /\n", 4),
    "one of two missing": Mistake(SLIM + "COPY app.py nope.txt /x/\n", 2),
    "outside of the context": Mistake(SLIM + "COPY ../etc/passwd /x/\n", 2),
    "missing in a stage": Mistake(SLIM.strip() + " AS a\n" + SLIM + "COPY --from=a /wheels /w\n", 3),
    "a glob without a match in a stage": Mistake(SLIM.strip() + " AS a\n" + SLIM + "COPY --from=a /w/*.whl /w/\n", 3),
    "a file where a folder should be": Mistake(SLIM + "COPY app.py /etc/passwd/\n", 2),
    "a working directory below a file": Mistake(SLIM + "WORKDIR /etc/passwd/x\n", 2),
    "no such user": Mistake(SLIM + "USER nobodyhere\nRUN true\n", 3),
    "no such group": Mistake(SLIM + "USER root:nogroup-here\nRUN true\n", 3),
    "no right to write": Mistake(SLIM + "USER nobody\nRUN mkdir /x\n", 3),
    "a port that is none": Mistake(SLIM + "EXPOSE abc\n", 2, podman_minds=False),
    "a substitution that is none": Mistake(SLIM + "ENV A=${B:foo}\n", 2),
    "a health check that is none": Mistake(SLIM + "HEALTHCHECK foo\n", 2),
    "a signal that is none": Mistake(SLIM + "STOPSIGNAL FOO\n", 2),
    "a shell that is no list": Mistake(SLIM + "SHELL bash -c\n", 2),
    "a requirements file that is not there": Mistake("FROM python:3.11-slim\nRUN pip install -r nope.txt\n", 2),
    "a cycle of symlinks": Mistake(
        SLIM.strip() + " AS a\nRUN ln -s /b /a && ln -s /a /b\n" + SLIM + "COPY --from=a /a /x\n", 4
    ),
    "quotation marks": Mistake(SLIM + 'RUN test -n "$NO_SUCH"\n', 2),
    "the same words in two stages": Mistake(
        SLIM.strip() + " AS a\nRUN test ! -e /x\n" + SLIM + "COPY --from=a /etc /x/\nRUN test ! -e /x\n", 5
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_common_mistakes_have_a_line_and_cost_the_learner(workshop: Workshop, name: str) -> None:
    mistake = MISTAKES[name]
    if workshop.engine.name == "podman" and not mistake.podman_minds:
        pytest.skip("Podman builds it")
    found = workshop.build(mistake.text).failure
    assert isinstance(found, SubmissionError)
    assert found.line == mistake.line
    assert found.fix


def test_a_misspelt_package_is_the_learners_once_a_build_of_ours_has_reached_the_index(workshop: Workshop) -> None:
    try:
        reached = workshop.build("FROM python:3.11-slim\nRUN pip download --no-deps -d /tmp/x pip\n", cache=False)
    except EngineError:
        reached = None
    if reached is None or reached.failure:
        pytest.skip("builds reach no package index here")
    found = workshop.build(f"FROM python:3.11-slim\nRUN pip install -qq no-such-{unique()}\n").failure
    assert isinstance(found, SubmissionError)


def test_a_package_that_is_not_found_without_a_network_is_not_the_learners(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The control's own words decide, not the learner's: here they ask an index that is not there.
    monkeypatch.setattr(
        "grader.engine.faults.network._PIP", "pip download --retries 0 -i http://127.0.0.1:9 -d /tmp/x pip"
    )
    text = "FROM python:3.11-slim\nRUN echo 'ERROR: No matching distribution found for x'; exit 1\n"
    with pytest.raises(EngineError, match="network"):
        workshop.build(text)


def test_a_package_list_from_the_cache_is_made_anew_before_it_is_believed(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.engine.faults.network._APT", "true")
    mark = unique()
    update = SLIM + f"RUN echo {mark}; date +%s%N > /stamp\n"
    workshop.image(update)
    first = workshop.image(update)
    stale = first.read(["/stamp"])["/stamp"].decode().strip()
    # Fails as apt does, but only with the stamp that is in the cache.
    failing = f"RUN if grep -q {stale} /stamp; then echo 'E: Unable to locate package gcc'; exit 100; fi\n"
    told: list[str] = []
    built = workshop.build(update + failing, progress=lambda event: told.append(event.text))
    assert built.failure is None
    assert any("without the cache" in text for text in told)

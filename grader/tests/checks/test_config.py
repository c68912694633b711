from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from grader.checks import _config, types
from grader.course import rubric
from grader.errors import RubricError
from grader.result import Status
from grader.submission import dockerfile as dockerfiles
from grader.tests.checks.fakes import FakeImage, check, file, subject

if TYPE_CHECKING:
    from pathlib import Path

    from grader.checks.base import Outcome
    from grader.tests.conftest import Grade

PEOPLE = "root:x:0:0::/:/bin/sh\napp:x:1000:1000::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\nodd:x:zero:\n4000:x:0:0\n"


def found(text: str, config: dict[str, Any], dockerfile: str = "FROM base\n", people: str = PEOPLE) -> Outcome:
    image = FakeImage([{"etc/passwd": file()}], content={"etc/passwd": people}, config=config)
    outcome = check(f"check: config, {text}").run(subject(image=image, dockerfile=dockerfile))
    json.dumps(outcome.evidence)
    return outcome


@pytest.mark.parametrize(
    ("text", "config", "words"),
    [
        ("user: app", {"User": "app"}, ""),
        ("user: app", {"User": "app:app"}, ""),
        ("user: app", {"User": "1000"}, ""),
        ("user: 1000", {"User": "app"}, ""),
        ("user: '1000:1000'", {"User": "1000:1000"}, ""),
        ("user: '1000:1000'", {"User": "1000"}, "the user is 1000"),
        ("user: root", {}, ""),
        ("user: app", {}, "the user is root"),
        ("user: app", {"User": "toor"}, "the user is toor"),
        ("user: gone", {"User": "gone"}, "the user is gone, whom the image's /etc/passwd does not know"),
        ("user: gone", {"User": "app"}, "the user is app"),
        ("not_root: true", {"User": "app"}, ""),
        ("not_root: true", {"User": "1000:0"}, ""),
        ("not_root: true", {"User": "4711"}, ""),
        ("not_root: true", {}, "the user is root"),
        ("not_root: true", {"User": ""}, "the user is root"),
        ("not_root: true", {"User": "0"}, "the user is 0, which is root"),
        ("not_root: true", {"User": "00:app"}, "which is root"),
        ("not_root: true", {"User": ":app"}, "which is root"),
        ("not_root: true", {"User": "toor"}, "the user is toor, which is root"),
        ("not_root: true", {"User": "odd"}, "the user is odd, which is root"),
        ("not_root: true", {"User": "4000"}, ""),
        ("not_root: true", {"User": "gone"}, "does not know"),
        ("workdir: /app", {"WorkingDir": "/app"}, ""),
        ("workdir: /app/", {"WorkingDir": "/app"}, ""),
        ("workdir: /", {}, ""),
        ("workdir: /app", {}, "the working directory is /"),
        ("workdir: /app", {"WorkingDir": "/application"}, "the working directory is /application"),
        ("env: {A: b}", {"Env": ["A=b"]}, ""),
        ("env: {A: b=c}", {"Env": ["A=b=c"]}, ""),
        ("env: {A: ''}", {"Env": ["A="]}, ""),
        ("env: {A: b}", {"Env": ["A=b "]}, "variable A is “b”"),
        ("env: {A: b}", {"Env": ["AA=b"]}, "variable A is not set"),
        ("env: {A: b}", {"Env": None}, "variable A is not set"),
        ("env: {A: {matches: '^/venv'}}", {"Env": ["A=/venv/bin:/bin"]}, ""),
        ("env: {A: {matches: '^/venv'}}", {"Env": ["A=/bin:/venv/bin"]}, "variable A is “/bin:/venv/bin”"),
        ("unset_env: [A]", {"Env": ["B=A"]}, ""),
        ("unset_env: [A]", {"Env": ["A="]}, "variable A is set"),
        ("labels: {a.b: c}", {"Labels": {"a.b": "c"}}, ""),
        ("labels: {a.b: c}", {"Labels": {"a.b": "d"}}, "label a.b is “d”"),
        ("labels: {a.b: {matches: c}}", {"Labels": None}, "label a.b is not set"),
        ("exposed_ports: [5000]", {"ExposedPorts": {"5000/tcp": {}}}, ""),
        ("exposed_ports: ['5000', 53/UDP]", {"ExposedPorts": {"5000/tcp": {}, "53/udp": {}}}, ""),
        ("exposed_ports: [53]", {"ExposedPorts": {"53/udp": {}}}, "port 53/tcp is not exposed, but 53/udp is"),
        ("exposed_ports: [53]", {}, "port 53/tcp is not exposed"),
        ("unexposed_ports: [22]", {"ExposedPorts": {"2222/tcp": {}}}, ""),
        ("unexposed_ports: [22]", {"ExposedPorts": {"22/tcp": {}}}, "port 22/tcp is exposed"),
        ("entrypoint: [a, b]", {"Entrypoint": ["a", "b"]}, ""),
        ("entrypoint: [a, b]", {"Entrypoint": ["a b"]}, 'ENTRYPOINT is ["a b"]'),
        ("entrypoint: [a]", {"Cmd": ["a"]}, "there is no ENTRYPOINT"),
        ("entrypoint: []", {"Cmd": ["a"]}, ""),
        ("entrypoint: []", {"Entrypoint": ["a"]}, 'ENTRYPOINT is ["a"]'),
        ("cmd: [python, app.py]", {"Cmd": ["python", "app.py"]}, ""),
        ("cmd: [python, app.py]", {"Cmd": ["/bin/sh", "-c", "python app.py"]}, "CMD is"),
        ("cmd: []", {"Entrypoint": ["a"], "Cmd": None}, ""),
        ("exec_form: true", {"Cmd": ["python", "app.py"]}, ""),
        ("exec_form: true", {"Entrypoint": ["python"], "Cmd": ["app.py"]}, ""),
        ("exec_form: true", {"Cmd": ["/bin/sh", "-c", "python app.py"]}, "CMD runs in a shell"),
        ("exec_form: true", {"Entrypoint": ["/bin/sh", "-c", "a"], "Cmd": ["b"]}, "ENTRYPOINT runs in a shell"),
        ("exec_form: true", {"Entrypoint": ["a"], "Cmd": ["/bin/sh", "-c", "b"]}, "CMD runs in a shell"),
        ("exec_form: true", {"Cmd": ["bash", "-e", "-uc", "a"]}, "CMD runs in a shell"),
        ("exec_form: true", {"Cmd": ["x", "-f", "a"], "Shell": ["x", "-f"]}, "CMD runs in a shell"),
        ("exec_form: true", {"Cmd": ["/bin/sh", "start.sh", "-c"]}, ""),
        ("exec_form: true", {"Entrypoint": ["tini", "--", "sh", "-c", "a"]}, "ENTRYPOINT runs in a shell"),
        ("exec_form: true", {"Cmd": ["/bin/busybox", "sh", "-ec", "a"]}, "CMD runs in a shell"),
        ("exec_form: true", {"Cmd": ["tini", "--", "sh", "start.sh"]}, ""),
        ("exec_form: true", {"Cmd": ["python", "-c", "print()"]}, ""),
        ("exec_form: true", {"Cmd": None}, "neither ENTRYPOINT nor CMD"),
        ("healthcheck: true", {"Healthcheck": {"Test": ["CMD", "x"]}}, ""),
        ("healthcheck: {}", {"Healthcheck": {"Test": ["CMD", "x"]}}, ""),
        ("healthcheck: true", {}, "there is no HEALTHCHECK"),
        ("healthcheck: true", {"Healthcheck": {"Test": ["NONE"]}}, "there is no HEALTHCHECK"),
        ("healthcheck: false", {"Healthcheck": {"Test": ["NONE"]}}, ""),
        ("healthcheck: false", {"Healthcheck": {"Test": ["CMD", "x"]}}, "there is a HEALTHCHECK: CMD x"),
        ("healthcheck: {matches: /health}", {"Healthcheck": {"Test": ["CMD-SHELL", "curl a/health"]}}, ""),
        ("healthcheck: {matches: /health}", {"Healthcheck": {"Test": ["CMD", "true"]}}, "the HEALTHCHECK runs true"),
        ("healthcheck: {matches: CMD}", {"Healthcheck": {"Test": ["CMD", "true"]}}, "the HEALTHCHECK runs true"),
        ("healthcheck: {interval: 30s, retries: 3}", {"Healthcheck": {"Test": ["CMD", "x"]}}, ""),
        ("healthcheck: {interval: 5s}", {"Healthcheck": {"Test": ["CMD", "x"], "Interval": 5_000_000_000}}, ""),
        ("healthcheck: {interval: 5s}", {"Healthcheck": {"Test": ["CMD", "x"]}}, "HEALTHCHECK's interval is 30 s"),
        ("healthcheck: {retries: 1}", {"Healthcheck": {"Test": ["CMD", "x"], "Retries": 2}}, "retries is 2"),
        ("healthcheck: {start_period: 5s}", {"Healthcheck": {"Test": ["CMD", "x"]}}, "start_period is 0 ms"),
        ("healthcheck: {timeout: 1s}", {"Healthcheck": {"Test": ["CMD", "x"], "Timeout": 2_000_000_000}}, "2.0 s"),
        ("stop_signal: SIGTERM", {}, ""),
        ("stop_signal: sigint", {"StopSignal": "INT"}, ""),
        ("stop_signal: SIGINT", {"StopSignal": "2"}, ""),
        ("stop_signal: SIGINT", {}, "the stop signal is SIGTERM"),
        ("stop_signal: SIGTERM", {"StopSignal": "SIGKILL"}, "the stop signal is SIGKILL"),
        ("volumes: [/data]", {"Volumes": {"/data/": {}}}, ""),
        ("volumes: [/data]", {"Volumes": None}, "/data is no volume"),
        ("unmounted_volumes: [/data]", {"Volumes": {"/database": {}}}, ""),
        ("unmounted_volumes: [/data]", {"Volumes": {"/data": {}}}, "/data is a volume"),
        ("user: app, workdir: /a, exec_form: true", {}, "the user is root; the working directory is /; there is"),
    ],
)
def test_what_is_asked_of_the_configuration(text: str, config: dict[str, Any], words: str) -> None:
    outcome = found(text, config)
    assert outcome.status is (Status.FAILED if words else Status.PASSED), outcome
    assert words in outcome.got


@pytest.mark.parametrize(
    ("keyword", "name", "line"),
    [
        ("USER", "", 9),
        ("WORKDIR", "", None),
        ("ENV", "A", 3),
        ("ENV", "B", 4),
        ("ENV", "C", 5),
        ("EXPOSE", "80", 6),
        ("EXPOSE", "443", 7),
        ("EXPOSE", "22", 7),
        ("CMD", "", 10),
    ],
)
def test_the_line_is_that_of_the_last_instruction_that_is_meant(keyword: str, name: str, line: int | None) -> None:
    source = """\
FROM base AS one
USER early
ENV A=1 X="B"
ENV "B"=$A AB=2
ENV C ${B} ${A}
EXPOSE 80/tcp
EXPOSE 8080 443
FROM one
USER late
CMD x
ONBUILD USER never
FROM other AS decoy
FROM one
"""
    final = source.rpartition("FROM other")[0]
    assert _config.line_of(dockerfiles.parse(final.encode()), keyword, name) == line


def test_a_failure_names_the_line_of_its_instruction() -> None:
    dockerfile = "FROM base\nENV A=1\nUSER root\nENV A=2 B=3\n"
    assert found("env: {A: '1'}", {"Env": ["A=2"]}, dockerfile).line == 4
    assert found("not_root: true", {"User": "root"}, dockerfile).line == 3
    assert found("workdir: /x", {"WorkingDir": "/y"}, dockerfile).line is None
    assert found("workdir: /x, user: app", {"WorkingDir": "/y", "User": "root"}, dockerfile).line == 3


def test_without_a_list_of_users_a_name_is_nobody() -> None:
    assert "does not know" in found("not_root: true", {"User": "app"}, people="").got
    assert found("not_root: true", {"User": "1000"}, people="").status is Status.PASSED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not_root: false",
        "exec_form: false",
        "workdir: app",
        "env: {A: {match: b}}",
        "env: {A: {matches: '('}}",
        "env: [A]",
        "exposed_ports: [http]",
        "exposed_ports: [0]",
        "exposed_ports: [5000/icmp]",
        "exposed_ports: [8000-8010]",
        "entrypoint: python app.py",
        "stop_signal: ''",
        "stop_signal: 99",
        "stop_signal: '99'",
        "healthcheck: maybe",
        "healthcheck: {retries: 0}",
        "healthcheck: {intervall: 3s}",
        "volumes: [data]",
    ],
)
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check(f"check: config, {text}".rstrip(", "))


def test_a_rubric_may_write_values_as_they_come(tmp_path: Path) -> None:
    path = tmp_path / "rubric.yaml"
    head = "format: 1\ntitle: x\nsubmit: [Dockerfile]\npass: 1\nbases: [a]\nchecks:\n"
    head += "  - {id: a, points: 1, check: config, "
    path.write_text(head + "env: {A: 1, B: yes, C: 3.10, D: {matches: x}}, user: 1000, exposed_ports: [80, 53/udp]}\n")
    (loaded,) = rubric.load(path, types()).checks
    assert asdict(loaded)["env"] == {"A": "1", "B": "yes", "C": "3.10", "D": {"matches": "x"}}
    path.write_text(head + "env: {A: {match: b}}}\n")
    with pytest.raises(
        RubricError, match=r"7:49: Unknown key `match` in `env.A` of check `a`. Did you mean `matches`?"
    ):
        rubric.load(path, types())


def test_a_real_image_tells_its_configuration(grade: Grade) -> None:
    dockerfile = """\
FROM python:3.11-slim
RUN useradd --uid 1234 app && useradd --non-unique --uid 0 service
ENV PYTHONUNBUFFERED=1 DEBUG=
WORKDIR /srv
WORKDIR app
LABEL org.opencontainers.image.source="https://example.org/x"
EXPOSE 5000 53/udp
VOLUME /data
STOPSIGNAL SIGINT
HEALTHCHECK --interval=10s --retries=2 CMD python -c "print('/health')"
ENTRYPOINT ["python"]
CMD app.py
USER service
"""
    checks: list[dict[str, Any]] = [
        {"id": "user", "check": "config", "not_root": True},
        {"id": "form", "check": "config", "exec_form": True},
        {"id": "debug", "check": "config", "unset_env": ["DEBUG"]},
        {
            "id": "rest",
            "check": "config",
            "workdir": "/srv/app",
            "env": {"PYTHONUNBUFFERED": "1", "PATH": {"matches": "/usr/bin"}},
            "labels": {"org.opencontainers.image.source": {"matches": "^https:"}},
            "exposed_ports": [5000, "53/udp"],
            "unexposed_ports": [22],
            "entrypoint": ["python"],
            "cmd": ["/bin/sh", "-c", "app.py"],
            "healthcheck": {"matches": "/health", "interval": "10s", "retries": 2, "timeout": "30s"},
            "stop_signal": "SIGINT",
            "volumes": ["/data"],
        },
    ]
    verdicts = {one.id: one for one in grade(dockerfile, checks).checks}
    assert verdicts["rest"].status is Status.PASSED, verdicts["rest"]
    assert (verdicts["user"].got, verdicts["user"].line) == ("the user is service, which is root", 13)
    assert (verdicts["form"].got, verdicts["form"].line) == ('CMD runs in a shell: ["/bin/sh", "-c", "app.py"]', 12)
    assert (verdicts["debug"].got, verdicts["debug"].line) == ("variable DEBUG is set", 3)


def test_a_plain_image_has_the_defaults(grade: Grade) -> None:
    checks = [
        {
            "check": "config", "workdir": "/", "user": "root", "stop_signal": "SIGTERM", "healthcheck": False,
            "entrypoint": [], "unmounted_volumes": ["/data"], "unset_env": ["DEBUG"],
        }
    ]  # fmt: skip
    (only,) = grade("FROM python:3.11-slim\nWORKDIR /\n", checks).checks
    assert only.status is Status.PASSED, only


def test_who_a_user_is_agrees_with_the_engine(grade: Grade) -> None:
    """The app says which number it runs as; what is read from outside has to be the same."""
    people = "odd:x:zero:\\n4000:x:0:0::/:/bin/sh\\nshort\\n1_000:x:1_000:\\nroot:x:0:0::/:/bin/sh\\n"
    server = (
        "import http.server as h, os\n"
        "class H(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers(); self.wfile.write(b'uid=%d.' % os.getuid())\n"
        "h.HTTPServer(('', 5000), H).serve_forever()\n"
    )
    for user, number in (("odd", 0), ("4000", 4000), ("short", 0), ("1_000", 0), ("+0", 0)):
        dockerfile = f"FROM python:3.11-slim\nRUN printf '{people}' > /etc/passwd\nCOPY app.py /\n"
        dockerfile += f'USER {user}\nCMD ["python", "/app.py"]\n'
        checks = [
            {"check": "http", "get": "/", "text": f"uid={number}."},
            {"check": "config", "not_root": True},
        ]
        asked, read = grade(dockerfile, checks, own={"app.py": server}, app={"port": 5000}).checks
        assert asked.status is Status.PASSED, asked
        assert read.status is (Status.PASSED if number else Status.FAILED), read

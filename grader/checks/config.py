"""What does the image say of how it is to be run?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from grader.checks import _config as configured
from grader.checks import _hand as hand
from grader.checks._accounts import USERS, accounts, look_up
from grader.checks._text import Regex, found, shown
from grader.checks.base import Check, Outcome, failed, passed
from grader.course.model import Model, Rule, field, names
from grader.course.units import Duration, human_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grader.checks._accounts import Account
    from grader.checks.subject import Subject


def _a_port(written: int | str) -> str:
    number, _, protocol = str(written).partition("/")
    if not number.isdecimal() or not 0 < int(number) < 65536 or protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise ValueError(f"{written} is no port; write it like 5000 or 53/udp")
    return configured.port(str(written))


Port = Annotated[int | str, Rule(_a_port)]
Folder = Annotated[str, Rule(pattern=r"^/")]


class Matching(Model):
    """Any value that a regular expression is found in."""

    matches: Regex = field(description="A regular expression that must be found in the value.")


class Healthcheck(Model):
    """What a HEALTHCHECK has to be like; what is left out may be anything. Times are seconds."""

    matches: Regex | None = field(default=None, description="A regular expression found in its command.")
    interval: Duration | None = field(default=None, description="Its `--interval`.")
    timeout: Duration | None = field(default=None, description="Its `--timeout`.")
    start_period: Duration | None = field(default=None, description="Its `--start-period`.")
    retries: int | None = field(default=None, ge=1, description="Its `--retries`.")

    @property
    def given(self) -> dict[str, Any]:
        """What is asked of it, its command apart."""
        return {name: value for name, value in vars(self).items() if value is not None and name != "matches"}


class _Fault(NamedTuple):
    got: str
    keyword: str
    name: str = ""


class Config(Check):
    """The image's configuration: its user, working directory, environment, labels, ports, commands and the rest.

    It is read from the image, whoever wrote it; only the line comes from the Dockerfile. A user's name has to be in the
    image's /etc/passwd, for without it no container starts.
    """

    uses: ClassVar[frozenset[str]] = frozenset({"image"})
    example: ClassVar[str] = """\
- id: runs-as-asked
  check: config
  not_root: true
  workdir: /app
  env: {PYTHONUNBUFFERED: "1", PATH: {matches: "^/venv/bin:"}}
  unset_env: [DEBUG]
  labels: {org.opencontainers.image.source: {matches: "^https://"}}
  exposed_ports: [5000]
  cmd: [python, app.py]
  exec_form: true
  healthcheck: {interval: 10s}
  points: 10
"""

    reason: ClassVar[str] = "Whoever runs the image gets these settings, and few look at them before they do."
    advice: ClassVar[str] = "`docker inspect IMAGE` shows them under `Config`; each has an instruction that sets it."

    looks_at: ClassVar[str] = (
        "The configuration that the image carries: its user, command, environment, ports, labels and the rest. It "
        "is read from the image itself, whichever line of the Dockerfile, or base image, has set it."
    )

    check: Literal["config"]
    user: int | str | None = field(default=None, description="The user that containers run as: a name or a number.")
    not_root: bool = field(default=False, description="That user is not root, under whatever name.")
    workdir: Folder | None = field(default=None, description="The working directory.")
    env: dict[str, str | Matching] = field(default={}, description="Environment variables and their values.")
    unset_env: tuple[str, ...] = field(default=(), description="Environment variables that must not be set.")
    labels: dict[str, str | Matching] = field(default={}, description="Labels and their values.")
    exposed_ports: tuple[Port, ...] = field(default=(), description="Ports that are exposed, such as 5000 or 53/udp.")
    unexposed_ports: tuple[Port, ...] = field(default=(), description="Ports that must not be exposed.")
    entrypoint: tuple[str, ...] | None = field(default=None, description="The entrypoint; `[]` for none.")
    cmd: tuple[str, ...] | None = field(default=None, description="The command; `[]` for none.")
    exec_form: bool = field(default=False, description="Entrypoint and command are in exec form: no shell runs them.")
    healthcheck: bool | Healthcheck | None = field(default=None, description="Whether it has one, or what it is like.")
    stop_signal: str | None = field(default=None, min_length=1, description="The signal that `docker stop` sends.")
    volumes: tuple[Folder, ...] = field(default=(), description="Paths that are volumes.")
    unmounted_volumes: tuple[Folder, ...] = field(default=(), description="Paths that must not be volumes.")

    def __post_init__(self) -> None:
        own = set(names(type(self))) - set(names(Check))
        asked = {name for name in own if getattr(self, name) not in (None, False, (), {})}
        asked |= {name for name in ("entrypoint", "cmd", "healthcheck") if getattr(self, name) is not None}
        if not asked:
            raise ValueError(f"config asks for nothing; give it {', '.join(sorted(own)[:-1])} or {max(own)}")
        if self.stop_signal and not configured.signal_name(self.stop_signal).removeprefix("SIG")[:1].isalpha():
            raise ValueError(f"stop_signal {self.stop_signal} is no signal; write it like SIGTERM")

    def only_reads(self) -> bool:
        return True

    def run(self, subject: Subject) -> Outcome:
        """Names everything that is not as it should be; the line is that of the first instruction that says so."""
        config = subject.image.config
        faults = [*self._faults(subject, config)]
        evidence: dict[str, Any] = {name: config.get(name) for name in _SHOWN}
        if not faults:
            return passed(expected=self.expectation(), got="as asked", **evidence)
        lines = (configured.line_of(subject.dockerfile, fault.keyword, fault.name) for fault in faults)
        return failed(
            expected=self.expectation(),
            got="; ".join(fault.got for fault in faults),
            line=next((line for line in lines if line is not None), None),
            **evidence,
        )

    def expectation(self) -> str:
        """What is expected, in words."""
        parts = [] if self.user is None else [f"user {self.user}"]
        parts += ["a user other than root"] if self.not_root else []
        parts += [f"working directory {self.workdir}"] if self.workdir else []
        parts += [_asked(f"{name}", value) for name, value in self.env.items()]
        parts += [f"no {name}" for name in self.unset_env]
        parts += [_asked(f"label {name}", value) for name, value in self.labels.items()]
        parts += [f"port {port} exposed" for port in self.exposed_ports]
        parts += [f"port {port} not exposed" for port in self.unexposed_ports]
        for name, words in (("ENTRYPOINT", self.entrypoint), ("CMD", self.cmd)):
            parts += [] if words is None else [f"{name} {configured.written(words)}" if words else f"no {name}"]
        parts += ["commands in exec form"] if self.exec_form else []
        parts += [] if self.healthcheck is None else [_health_words(self.healthcheck)]
        parts += [f"stop signal {configured.signal_name(self.stop_signal)}"] if self.stop_signal else []
        parts += [f"{path} a volume" for path in self.volumes]
        parts += [f"{path} no volume" for path in self.unmounted_volumes]
        return ", ".join(parts)

    def by_hand(self, port: int) -> tuple[str, ...]:  # noqa: ARG002  # for checks of a running app
        """The configuration, as the engine tells it."""
        return (hand.build(self.target), f"docker image inspect --format '{{{{json .Config}}}}' {hand.IMAGE}")

    def _faults(self, subject: Subject, config: Mapping[str, Any]) -> Iterator[_Fault]:
        yield from self._user_faults(subject, config)
        given = configured.folder(config.get("WorkingDir") or "/")
        if self.workdir is not None and given != configured.folder(self.workdir):
            yield _Fault(f"the working directory is {given}", "WORKDIR")
        environment = configured.environment(config)
        yield from _value_faults(self.env, environment, "ENV", "variable ")
        for name in self.unset_env:
            if name in environment:
                yield _Fault(f"variable {name} is set", "ENV", name)
        yield from _value_faults(self.labels, configured.labels(config), "LABEL", "label ")
        yield from self._port_faults(config)
        yield from self._command_faults(config)
        yield from self._health_faults(config)
        stops = configured.signal_name(config.get("StopSignal") or "")
        if self.stop_signal and stops != configured.signal_name(self.stop_signal):
            yield _Fault(f"the stop signal is {stops}", "STOPSIGNAL")
        yield from self._volume_faults(config)

    def _user_faults(self, subject: Subject, config: Mapping[str, Any]) -> Iterator[_Fault]:
        if self.user is None and not self.not_root:
            return
        given = str(config.get("User") or "")
        known = accounts(subject.image.read([USERS]).get(USERS, b""))
        # A user may come with a group: `app:web`.
        account = look_up(known, given.partition(":")[0] or "0")
        if account is None:
            yield _Fault(f"the user is {given}, whom the image's /etc/passwd does not know", "USER")
            return
        if self.not_root and account.number == 0:
            named = f"the user is {given}, which is root" if given and given != "root" else "the user is root"
            yield _Fault(named, "USER")
        if self.user is not None and not _same_user(str(self.user), given, known):
            yield _Fault(f"the user is {given or 'root'}", "USER")

    def _port_faults(self, config: Mapping[str, Any]) -> Iterator[_Fault]:
        exposed = set(config.get("ExposedPorts") or ())
        for port in map(str, self.exposed_ports):
            if port not in exposed:
                others = f", but {', '.join(sorted(exposed))} is" if exposed else ""
                yield _Fault(f"port {port} is not exposed{others}", "EXPOSE")
        for port in map(str, self.unexposed_ports):
            if port in exposed:
                yield _Fault(f"port {port} is exposed", "EXPOSE", port.partition("/")[0])

    def _command_faults(self, config: Mapping[str, Any]) -> Iterator[_Fault]:
        for key, keyword, wanted in (("Entrypoint", "ENTRYPOINT", self.entrypoint), ("Cmd", "CMD", self.cmd)):
            given = configured.command(config, key)
            if wanted is not None and given != wanted:
                yield _Fault(
                    f"{keyword} is {configured.written(given)}" if given else f"there is no {keyword}", keyword
                )
            if self.exec_form and configured.shell_form(config, key):
                yield _Fault(f"{keyword} runs in a shell: {configured.written(given)}", keyword)
        if self.exec_form and not configured.command(config, "Entrypoint") and not configured.command(config, "Cmd"):
            yield _Fault("there is neither ENTRYPOINT nor CMD", "CMD")

    def _health_faults(self, config: Mapping[str, Any]) -> Iterator[_Fault]:
        if self.healthcheck is None:
            return
        health = configured.health(config)
        if self.healthcheck is False:
            if health is not None:
                yield _Fault(f"there is a HEALTHCHECK: {' '.join(health['test'])}", "HEALTHCHECK")
        elif health is None:
            yield _Fault("there is no HEALTHCHECK", "HEALTHCHECK")
        elif isinstance(self.healthcheck, Healthcheck):
            test = " ".join(health["test"][1:])
            if self.healthcheck.matches and not found(self.healthcheck.matches, test):
                yield _Fault(f"the HEALTHCHECK runs {shown(test)}", "HEALTHCHECK")
            for name, value in self.healthcheck.given.items():
                if value != health[name]:
                    is_now = health[name] if name == "retries" else human_time(health[name])
                    yield _Fault(f"the HEALTHCHECK's {name} is {is_now}", "HEALTHCHECK")

    def _volume_faults(self, config: Mapping[str, Any]) -> Iterator[_Fault]:
        given = {configured.folder(path) for path in config.get("Volumes") or ()}
        for path in self.volumes:
            if configured.folder(path) not in given:
                yield _Fault(f"{path} is no volume", "VOLUME")
        for path in self.unmounted_volumes:
            if configured.folder(path) in given:
                yield _Fault(f"{path} is a volume", "VOLUME", path)


_SHOWN = (
    "User", "WorkingDir", "Env", "Labels", "ExposedPorts", "Entrypoint", "Cmd", "Healthcheck", "StopSignal", "Volumes",
)  # fmt: skip


def _same_user(wanted: str, given: str, known: tuple[Account, ...]) -> bool:
    """Whether two ways to write a user mean the same one; the group counts only where it is asked for."""
    if ":" in wanted:
        return wanted == given
    one, other = look_up(known, wanted), look_up(known, given.partition(":")[0] or "0")
    return one is not None and other is not None and one.number == other.number


def _value_faults(
    wanted: Mapping[str, str | Matching], given: Mapping[str, str], keyword: str, what: str
) -> Iterator[_Fault]:
    for name, value in wanted.items():
        if name not in given:
            yield _Fault(f"{what}{name} is not set", keyword, name)
        elif not (given[name] == value if isinstance(value, str) else found(value.matches, given[name])):
            yield _Fault(f"{what}{name} is “{shown(given[name])}”", keyword, name)


def _asked(name: str, value: str | Matching) -> str:
    return f"{name}={value}" if isinstance(value, str) else f"{name} matching {value.matches}"


def _health_words(wanted: bool | Healthcheck) -> str:  # noqa: FBT001  # it is the field's value
    if not isinstance(wanted, Healthcheck):
        return "a HEALTHCHECK" if wanted else "no HEALTHCHECK"
    told = [f"matches {wanted.matches}"] if wanted.matches is not None else []
    told += [f"{name} {value if name == 'retries' else human_time(value)}" for name, value in wanted.given.items()]
    return " with ".join(["a HEALTHCHECK", *([", ".join(told)] if told else [])])

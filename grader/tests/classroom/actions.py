"""A model of a hosted runner: executes the shell steps of a workflow file as GitHub documents that they are executed.

Each step is a file for `bash --noprofile --norc -eo pipefail` or, without `shell:`, `bash -e`, with `GITHUB_OUTPUT`,
`GITHUB_ENV`, `GITHUB_PATH` and `GITHUB_STEP_SUMMARY` as files of its own. Actions are replaced by what they do. Source:
GitHub's documentation, "Workflow syntax", "Workflow commands", and "Evaluate expressions".
"""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml


@dataclass
class Step:
    """How a step ended; ``outcome`` is success, failure or skipped."""

    name: str
    outcome: str = "skipped"
    outputs: dict[str, str] = field(default_factory=dict)
    log: str = ""
    summary: str = ""


@dataclass
class Machine:
    """One job on a fresh machine; ``cache`` is what the cache action keeps between machines."""

    root: Path
    cache: Path
    env: dict[str, str] = field(default_factory=dict)
    steps: dict[str, Step] = field(default_factory=dict)
    log: list[Step] = field(default_factory=list)
    failed: bool = False
    later: list[tuple[Path, Path]] = field(default_factory=list)

    def run(self, workflow: Path, repository: Path, *, is_template: bool = False) -> Machine:
        """Runs the only job of a workflow on the newest commit of a repository."""
        content = yaml.safe_load(workflow.read_text())
        (job,) = content["jobs"].values()
        for name in ("temp", "work", "files", "home"):
            (self.root / name).mkdir(parents=True)
        self.env = self._start(content.get("env", {}))
        self.event = {"repository": {"is_template": is_template}}
        self.repository = repository
        if not self._true(job.get("if")):
            return self
        for number, step in enumerate(job["steps"]):
            self._step(number, step)
        # A path that is not there is a warning of the cache action, and no failure.
        for source, target in ((s, t) for s, t in self.later if s.is_file() and not self.failed):
            shutil.copyfile(source, target)
        return self

    def _start(self, env: dict[str, Any]) -> dict[str, str]:
        """Nothing of this process but what a hosted machine has, too, and where its container engine is."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "DOCKER_HOST") if name in os.environ}
        start = kept | {"CI": "true", "GITHUB_ACTIONS": "true", "RUNNER_OS": "Linux", "HOME": str(self.root / "home")}
        start |= {"PIP_NO_DEPS": "1", "PIP_NO_COMPILE": "1"}
        start |= {"GITHUB_WORKSPACE": str(self.root / "work"), "RUNNER_TEMP": str(self.root / "temp")}
        return start | {name: str(value) for name, value in env.items()}

    def _step(self, number: int, step: dict[str, Any]) -> None:
        done = Step(step["name"])
        self.log.append(done)
        self.steps[step.get("id", f"_{number}")] = done
        condition = str(step.get("if", "success()"))
        if not re.search(r"always\(\)|failure\(\)|cancelled\(\)|success\(\)", condition):
            condition = f"success() && ({condition})"
        if not self._true(condition):
            return
        good = self._action(step) if "uses" in step else self._shell(number, step, done)
        done.outcome = "success" if good else "failure"
        self.failed = self.failed or not good

    def _action(self, step: dict[str, Any]) -> bool:
        action = step["uses"].partition("@")[0]
        given = {name: self._text(value) for name, value in step.get("with", {}).items()}
        if action == "actions/checkout":
            command = ["git", "clone", "--quiet", "--depth=1", self.repository.as_uri(), str(self.root / "work")]
            subprocess.run(command, check=True, capture_output=True)
        elif action == "actions/setup-python":
            self._set_up_python(self.root / "tools")
        elif action == "actions/cache":
            kept, path = self.cache / given["key"], Path(given["path"])
            if kept.is_file():
                shutil.copyfile(kept, path)
            else:
                self.later.append((path, kept))
        else:
            raise AssertionError(f"say in this model what {action} does")
        return True

    def _set_up_python(self, tools: Path) -> None:
        """A Python of the machine's own, that finds pip and the grader's dependencies in this environment."""
        venv.create(tools, symlinks=True)
        (packages,) = tools.glob("lib/python*/site-packages")
        (packages / "tried-elsewhere.pth").write_text("\n".join(site.getsitepackages()) + "\n")
        self.env["PATH"] = f"{tools / 'bin'}{os.pathsep}{self.env['PATH']}"

    def _shell(self, number: int, step: dict[str, Any], done: Step) -> bool:
        files = {name: self.root / "files" / f"{number}-{name}" for name in ("output", "env", "path", "summary")}
        for file in files.values():
            file.touch()
        script = self.root / "files" / f"{number}.sh"
        script.write_text(self._text(step["run"]))
        env = self.env | {name: self._text(value) for name, value in step.get("env", {}).items()}
        env |= {"GITHUB_OUTPUT": str(files["output"]), "GITHUB_ENV": str(files["env"])}
        env |= {"GITHUB_PATH": str(files["path"]), "GITHUB_STEP_SUMMARY": str(files["summary"])}
        shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail"] if step.get("shell") == "bash" else ["bash", "-e"]
        ran = subprocess.run(
            [*shell, str(script)], cwd=self._text(step.get("working-directory", str(self.root / "work"))), env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
            timeout=60 * step.get("timeout-minutes", 15),
        )  # fmt: skip
        done.log = ran.stdout
        done.summary = files["summary"].read_text()
        done.outputs = assigned(files["output"].read_text())
        self.env |= assigned(files["env"].read_text())
        for folder in files["path"].read_text().splitlines():
            self.env["PATH"] = f"{folder}{os.pathsep}{self.env['PATH']}"
        return ran.returncode == 0

    def _text(self, value: Any) -> str:
        return re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(self._value(match[1])), str(value))

    def _true(self, condition: Any) -> bool:
        if condition is None:
            return True
        return bool(self._value(re.sub(r"^\$\{\{(.*)\}\}$", r"\1", str(condition).strip())))

    def _value(self, expression: str) -> Any:
        """GitHub's expressions, as far as our workflow has them."""
        names = {
            r"steps\.([\w-]+)\.outputs\.([\w-]+)": lambda m: repr(self._ended(m[1]).outputs.get(m[2], "")),
            r"steps\.([\w-]+)\.outcome": lambda m: repr(self._ended(m[1]).outcome),
            r"github\.event\.repository\.is_template": lambda _: repr(self.event["repository"]["is_template"]),
            r"runner\.temp": lambda _: repr(str(self.root / "temp")),
            r"success\(\)": lambda _: repr(not self.failed),
            r"failure\(\)": lambda _: repr(self.failed),
            r"cancelled\(\)": lambda _: "False",
        }
        for pattern, replacement in names.items():
            expression = re.sub(pattern, replacement, expression)
        python = expression.replace("&&", " and ").replace("||", " or ")
        return eval(re.sub(r"!(?!=)", " not ", python).strip(), {"__builtins__": {}})

    def _ended(self, name: str) -> Step:
        return self.steps.get(name, Step(name))


def assigned(text: str) -> dict[str, str]:
    """``name=value`` lines, and ``name<<END`` blocks."""
    values: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, block, end = line.partition("<<")
        if block and "=" not in name:
            body: list[str] = []
            for inner in lines:
                if inner == end:
                    break
                body.append(inner)
            values[name] = "\n".join(body)
        elif line:
            name, _, value = line.partition("=")
            values[name] = value
    return values


def commands(log: str) -> list[str]:
    """The lines that the runner takes for commands: those that stand between a stop token and its end it does not."""
    found, token = [], ""
    for line in (line.strip() for line in log.splitlines()):
        if token:
            token = "" if line == f"::{token}::" else token
        elif line.startswith("::stop-commands::"):
            token = line.removeprefix("::stop-commands::")
        elif re.match(r"::[a-z-]+(?: [^:]*)?::", line):
            found.append(line)
    return found

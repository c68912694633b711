"""What CI installs and runs is held to digests and commits, and is what the package says that it needs."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from grader.classroom.pinned import ACTIONS

ROOT = Path(__file__).parents[2]
LOCK = ROOT / ".ci/requirements.lock"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def locked() -> dict[str, list[tuple[str, str]]]:
    """The versions of each package, with what stands between one and the next: markers and digests."""
    found: dict[str, list[tuple[str, str]]] = {}
    text = LOCK.read_text(encoding="utf-8")
    for match in re.finditer(r"^([a-z0-9.\-]+)==(\S+)((?:.*\\\n)*.*\n)", text, re.MULTILINE):
        found.setdefault(canonicalize_name(match[1]), []).append((match[2], match[3]))
    return found


def asked() -> list[Requirement]:
    """All that the package may need, for building, running and testing it."""
    project = PROJECT["project"]
    texts = [*project["dependencies"], *PROJECT["build-system"]["requires"]]
    texts += [text for extra in project["optional-dependencies"].values() for text in extra]
    found = [Requirement(text) for text in texts]
    return [each for each in found if canonicalize_name(each.name) != project["name"]]


def test_the_lock_has_all_that_the_package_asks_for() -> None:
    versions = locked()
    assert len(versions) > 50
    for requirement in asked():
        held = versions.get(canonicalize_name(requirement.name), [])
        assert held, f"{requirement.name}: run .ci/lock"
        for version, _ in held:
            assert requirement.specifier.contains(version), f"{requirement} and {version}: run .ci/lock"


def test_the_lock_has_what_those_ask_for_too() -> None:
    versions = locked()
    todo = {(canonicalize_name(each.name), extra) for each in asked() for extra in ("", *each.extras)}
    seen: set[tuple[str, str]] = set()
    while todo:
        name, extra = todo.pop()
        seen.add((name, extra))
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # of an extra that is not installed here
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                assert canonicalize_name(need.name) in versions, f"{name} needs {need}: run .ci/lock"
                todo |= {(canonicalize_name(need.name), more) for more in ("", *need.extras)} - seen


def test_everything_in_the_lock_has_its_digests_and_comes_from_nowhere_special() -> None:
    text = LOCK.read_text(encoding="utf-8")
    for name, held in locked().items():
        for version, rest in held:
            assert re.search(r"--hash=sha256:[0-9a-f]{64}", rest), f"{name}=={version}"
    assert not re.search(r"https?:|file:|--(?:index-url|extra-index-url|find-links|trusted-host)|@", text)


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_what_is_held_to_a_commit_and_may_only_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 60
        assert "permissions" not in job
    for action in re.findall(r"uses: (.*)", text):
        assert action in ACTIONS.values(), "one commit of each action, here and in what we write for classrooms"
    assert "secrets." not in text
    # A pull request is a stranger's: its code gets no token, and no text of it becomes a part of a command.
    assert "pull_request_target" not in text
    for step in steps(workflow):
        assert "${{" not in step.get("run", "")
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_ci_runs_the_readme_s_command_and_installs_by_digest() -> None:
    command = "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest"
    assert f"$ {command}\n" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-1] == command
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    installs = re.findall(r"pip install (.*)", text)
    assert installs
    assert all("--require-hashes" in each or "--no-deps --no-build-isolation" in each for each in installs)
    assert "pip-audit" in text
    assert "schedule:" in text

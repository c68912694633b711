"""How to see by hand, with docker's own commands, what was graded."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grader.result import AppResult, CheckResult, GradeResult

#: Files that are named of those that a check found.
_PATHS = 4


@dataclass(frozen=True)
class ByHand:
    """Something to do: what for, and the lines to type."""

    title: str
    commands: tuple[str, ...]
    note: str = ""


def by_hand(result: GradeResult) -> list[ByHand]:
    """From the build to the removal, as far as this result goes."""
    image = _image_name(result.exercise)
    steps = [_build(result, image)]
    if result.image is None:
        return steps
    steps += [_size(image), _look(result, image)]
    if result.app:
        steps += [_run(result.app, image), _ask(result, result.app), _stop(image)]
    steps.append(ByHand("Remove the image", (f"docker image rm {image}",)))
    return steps


def _image_name(exercise: str) -> str:
    """The exercise's name, made one that the engine takes for an image."""
    return re.sub(r"[^a-z0-9]+", "-", exercise.lower()).strip("-") or "graded"


def _build(result: GradeResult, image: str) -> ByHand:
    given = result.build
    words = [f"--build-arg {_quoted(f'{name}={text}')}" for name, text in given.args.items()] if given else []
    words += [f"--secret {_quoted(f'id={name},src=FILE')}" for name in given.secrets] if given else []
    words += ["--network none"] if given and not given.network else []
    options = "".join(f"{word} " for word in words)
    first = f"docker build {options}-t {image} ."
    again = f"docker build {options}--no-cache --progress=plain -t {image} ."
    notes = ["In your folder, with the exercise's own files beside your Dockerfile."]
    if given and given.secrets:
        notes.append("FILE is a file of yours with a secret in it.")
    notes.append("The second command builds every step anew and shows all that it prints.")
    return ByHand("Build it", (first, again), " ".join(notes))


def _size(image: str) -> ByHand:
    history = f"docker history --format 'table {{{{.Size}}}}\\t{{{{.CreatedBy}}}}' {image}"
    size = f"docker image inspect --format '{{{{.Size}}}}' {image}"
    note = (
        "What each line added, the newest first, and the bytes of the whole. An engine with the containerd image store "
        "counts compressed bytes too; this report counts uncompressed content, the same on every engine."
    )
    return ByHand("See what it is made of", (history, size), note)


def _look(result: GradeResult, image: str) -> ByHand:
    commands = [f"docker run --rm -it --network none --entrypoint sh {image}"]
    paths = [path for check in result.checks for path in _found(check)][:_PATHS]
    if paths:
        named = " ".join(map(_quoted, paths))
        commands.append(f"docker run --rm --network none --entrypoint ls {image} -l {named}")
    commands.append(f"docker image inspect --format '{{{{json .Config}}}}' {image}")
    return ByHand("Look into it", tuple(commands), "Walk through its files, and read how it is configured.")


def _found(check: CheckResult) -> Iterator[str]:
    """Files that a check found; a name that a terminal would take for more than a name is left out."""
    found = check.evidence.get("found") if check.check == "absent" else None
    for path in found if isinstance(found, list) else ():
        if isinstance(path, str) and path.startswith("/") and path.isprintable():
            yield path


def _run(app: AppResult, image: str) -> ByHand:
    given = "".join(f"-e {_quoted(f'{name}={text}')} " for name, text in app.env.items())
    fences = f"--cap-drop ALL --security-opt no-new-privileges --memory {app.memory}"
    command = f"docker run --rm --name {image} -p {app.port}:{app.port} {fences} {given}{image}"
    note = "With the same fences, but for the network: the grader gives the app none" + (
        " to its own machine; it asks from inside." if app.internet else " and asks it from inside."
    )
    return ByHand("Start the app", (command,), note)


def _ask(result: GradeResult, app: AppResult) -> ByHand:
    asked = dict.fromkeys(_request(text, app) for check in result.checks for text in _requests(check))
    ready = f"curl -i {_quoted(f'http://localhost:{app.port}{app.path}')}"
    commands = tuple(dict.fromkeys([ready, *(command for command in asked if command)]))
    return ByHand("Ask it, in a second terminal", commands)


def _requests(check: CheckResult) -> Iterator[str]:
    """`GET /path` of each exchange that a check of HTTP had."""
    if check.check != "http":
        return
    several = check.evidence.get("requests")
    for told in several if isinstance(several, list) else [check.evidence]:
        request = told.get("request") if isinstance(told, dict) else None
        if isinstance(request, str):
            yield request


def _request(text: str, app: AppResult) -> str:
    method, _, path = text.partition(" ")
    if not (method.isalpha() and path.startswith("/") and path.isprintable()):
        return ""
    how = "" if method == "GET" else f"-X {method} "
    return f"curl -i {how}{_quoted(f'http://localhost:{app.port}{path}')}"


def _stop(image: str) -> ByHand:
    note = "It sends SIGTERM, and after ten seconds SIGKILL. An app that takes all of them did not hear the first."
    return ByHand("Stop it", (f"docker stop {image}",), note)


def _quoted(text: str) -> str:
    return shlex.quote(text)

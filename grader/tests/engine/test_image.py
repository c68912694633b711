"""An image from outside: which line put what there, what is wasted, what can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.engine import image as images
from grader.errors import EngineError, SubmissionError

if TYPE_CHECKING:
    from grader.tests.engine.building import Workshop


ORIGINS = r"""FROM debian:bookworm-slim AS base
RUN echo base > /base

FROM python:3.11-slim AS other
RUN echo other > /other

FROM base
ENV A=1
WORKDIR /
WORKDIR /app
RUN true
COPY --from=other /other \
     /app/
LABEL a=b
RUN echo big > /big
RUN rm /big
RUN echo x > /base
CMD ["true"]
"""


def test_layers_and_files_are_tied_to_their_lines(workshop: Workshop) -> None:
    image = workshop.image(ORIGINS)
    wanted = {"base": 17, "app/other": 12, "etc/passwd": 1}
    assert {name: image.line_of(name) for name in wanted} == wanted
    assert image.from_base("etc/passwd")
    assert not image.from_base("app/other")
    by_line = {layer.line: (layer.size, layer.wasted) for layer in image.own_layers}
    # Podman leaves out the layers of instructions that add nothing.
    assert {line: by_line[line] for line in (2, 12, 15, 16, 17)} == {
        2: (5, 5),
        12: (6, 0),
        15: (4, 4),
        16: (0, 0),
        17: (2, 0),
    }
    assert image.wasted == 9
    assert image.config["Env"][-1] == "A=1"


COPIED_AND_DELETED = """FROM debian:bookworm-slim AS builder
RUN mkdir /wheels && printf 12345 > /wheels/a.whl && printf 123 > /wheels/b.whl
FROM debian:bookworm-slim
COPY --from=builder /wheels /wheels
RUN mkdir /installed && cp /wheels/a.whl /installed && rm -rf /wheels
"""
MOUNTED = """FROM debian:bookworm-slim AS builder
RUN mkdir /wheels && printf 12345 > /wheels/a.whl
FROM debian:bookworm-slim
RUN --mount=type=bind,from=builder,source=/wheels,target=/wheels mkdir /installed && cp /wheels/a.whl /installed
"""
CHANGED = """FROM debian:bookworm-slim
COPY app.py /app/
RUN printf 1234567 > /data && chmod 600 /data
RUN chown -R 1000 /app
RUN chmod 644 /data
"""


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize(
    ("dockerfile", "waste"),
    [
        (COPIED_AND_DELETED, {("wheels/a.whl", 5, 4, 5), ("wheels/b.whl", 3, 4, 5)}),
        (MOUNTED, set()),
        (CHANGED, {("app/app.py", 6, 2, 4), ("data", 7, 3, 5)}),
    ],
    ids=["copied and deleted", "mounted", "mode and owner changed"],
)
def test_waste_names_the_line_that_added_and_the_line_that_hid(
    workshop: Workshop, dockerfile: str, waste: set[tuple[str, int, int, int]], *, elsewhere: bool
) -> None:
    image = workshop.image(dockerfile, {"app.py": "print\n"})
    image = workshop.image_elsewhere(image) if elsewhere else image
    assert {(found.path, found.size, found.added.line, found.hidden.line) for found in image.waste} == waste
    assert image.wasted == sum(size for _, size, _, _ in waste) == sum(layer.wasted for layer in image.own_layers)


def test_an_image_of_nothing_but_a_file_has_no_base(workshop: Workshop) -> None:
    image = workshop.image("FROM scratch\nCOPY app.py /\n", {"app.py": "12345"})
    assert (image.base_count, image.base_size, image.size, image.line_of("app.py")) == (0, 0, 5, 2)


READ = r"""FROM debian:bookworm-slim
RUN echo hello > /real && ln -s /real /link && ln -s link /link2 && ln /real /hard && ln -s /link3 /link3
RUN mkdir /dir && mkfifo /fifo && truncate -s 50M /huge && ln /huge /huge-too
RUN printf x > "/$(printf 'odd\377byte')"
VOLUME /v
USER nobody-here
"""


@pytest.mark.parametrize("elsewhere", [False, True])
def test_files_are_read_through_symlinks_and_huge_ones_are_not(workshop: Workshop, *, elsewhere: bool) -> None:
    image = workshop.image(READ)
    image = workshop.image_elsewhere(image) if elsewhere else image
    asked = ["/real", "link", "/link2", "/hard", "/link3", "/dir", "/fifo", "/nothing", "/", "/odd\udcffbyte"]
    read = image.read(asked)
    # Not every engine hands out a file whose name is no text.
    assert {path: read[path] for path in read if path != asked[-1]} == dict.fromkeys(asked[:4], b"hello\n")
    for huge in ("/huge", "/huge-too"):
        with pytest.raises(SubmissionError, match=r"52\.4 MB") as raised:
            image.read([huge])
        assert raised.value.line == 3


def test_on_the_engines_own_machine_no_container_is_made_to_read_a_file(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = workshop.image(READ)
    if image.layers[0].folder is None:
        pytest.skip("this engine's layers are not this machine's to read")
    monkeypatch.setattr("grader.engine.content.contents.fetch", lambda *_: {})
    assert image.read(["/link2"]) == {"/link2": b"hello\n"}
    monkeypatch.setattr("grader.engine.content.overlay.content", lambda *_: None)
    assert image.read(["/link2"]) == {}


def test_a_huge_file_of_the_base_image_is_not_the_learners(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "READ_LIMIT", 10)
    with pytest.raises(EngineError):
        workshop.image("FROM debian:bookworm-slim\nCOPY app.py /\n").read(["/etc/passwd"])


def test_an_image_that_has_gone_is_the_engines_fault(workshop: Workshop) -> None:
    image = workshop.image("FROM scratch\nCOPY app.py /\n", {"app.py": "6"})
    workshop.engine.client.remove_image(image.id, force=True)
    with pytest.raises(EngineError, match="no image"):
        _ = image.size


def test_sizes_are_the_same_wherever_the_image_is_read_from(workshop: Workshop) -> None:
    near = workshop.image(ORIGINS)
    far = workshop.image_elsewhere(near)
    assert (near.size, near.base_size, near.own_layers) == (far.size, far.base_size, far.own_layers)

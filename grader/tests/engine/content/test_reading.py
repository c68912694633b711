"""Both readers of layers give the same answer, on nasty layers too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.engine.content import export, overlay, reading
from grader.engine.image import inspect
from grader.tests.conftest import BASES

if TYPE_CHECKING:
    from grader.engine.connect import Engine
    from grader.engine.content.layers import Layer
    from grader.tests.engine.building import Workshop

NASTY = r"""FROM debian:bookworm-slim
RUN true
WORKDIR /tmp
WORKDIR /app/deep
ENV A=1
COPY app.py .
RUN mkdir /d && echo a >/d/a && echo b >/d/b
RUN rm -rf /d && mkdir /d && echo c > /d/c
RUN rm /etc/debian_version
RUN ln /app/deep/app.py /hard && cp /bin/true /x && ln /x /y && ln /x /app/z
RUN ln -s /loop2 /loop1 && ln -s /loop1 /loop2; ln -s ../etc/passwd /app/link; mkfifo /fifo; mknod /null2 c 1 3
RUN printf x > "/$(printf 'new\nline')"; printf y > "/$(printf 'odd\377byte')"; printf z > "/$(printf '%0200d' 7)"
RUN truncate -s 10M /sparse; cp /bin/true /suid; chmod 4755 /suid
RUN p=/deep; for i in 1 2 3 4 5 6 7 8 9 10; do p=$p/number-$i-has-a-long-name; done; mkdir -p $p; echo q > $p/file
RUN rm -rf /usr/share/bash-completion && echo now-a-file > /usr/share/bash-completion
RUN echo same > /same
RUN echo same > /same
RUN chmod 600 /etc/passwd
"""


def is_walked(engine: Engine, reference: str) -> bool:
    image = inspect(engine, reference)
    return bool(overlay.folders(engine, image))


def exported(engine: Engine, reference: str) -> tuple[Layer, ...]:
    image = inspect(engine, reference)
    return export.saved(engine, image["Id"], image["RootFS"]["Layers"])


@pytest.mark.parametrize("reference", BASES)
def test_walking_and_reading_the_export_agree_on_base_images(engine: Engine, reference: str) -> None:
    if not is_walked(engine, reference):
        pytest.skip("this engine's folders cannot be walked from here")
    assert_equal(reading.read(engine, inspect(engine, reference)), exported(engine, reference))


def test_walking_and_reading_the_export_agree_on_a_nasty_image(workshop: Workshop) -> None:
    image = workshop.image(NASTY)
    if not is_walked(workshop.engine, image.id):
        pytest.skip("this engine's folders cannot be walked from here")
    assert_equal(image.layers, exported(workshop.engine, image.id))


def assert_equal(walked: tuple[Layer, ...], streamed: tuple[Layer, ...]) -> None:
    assert [layer.diff_id for layer in walked] == [layer.diff_id for layer in streamed]
    for left, right in zip(walked, streamed, strict=True):
        names = left.entries.keys() | right.entries.keys()
        assert {n: left.entries.get(n) for n in names if left.entries.get(n) != right.entries.get(n)} == {
            n: right.entries.get(n) for n in names if left.entries.get(n) != right.entries.get(n)
        }


def test_a_nasty_image_has_the_sizes_and_names_that_were_put_in(workshop: Workshop) -> None:
    image = workshop.image(NASTY, {"app.py": "print()\n"})
    assert_nasty(image.files)
    # The same to the byte on every engine and store.
    true = image.files["bin/true"] if "bin/true" in image.files else image.files["usr/bin/true"]
    by_line = {layer.line: layer.size for layer in image.own_layers}
    size = true.entry.size
    passwd = image.files["etc/passwd"].entry.size
    wanted = {
        6: 8,
        7: 4,
        8: 2,
        9: 0,
        10: 8 + size,
        12: 3,
        13: (10 << 20) + size,
        14: 2,
        15: 11,
        16: 5,
        17: 5,
        18: passwd,
    }
    assert {line: by_line.get(line) for line in wanted} == wanted
    assert image.size == image.base_size + sum(by_line.values())


def assert_nasty(files: object) -> None:
    assert isinstance(files, dict)
    assert "d/c" in files
    assert not {"d/a", "d/b", "etc/debian_version"} & files.keys()
    assert not [name for name in files if name.startswith("usr/share/bash-completion/")]
    assert {"new\nline", "odd\udcffbyte", f"{7:0200d}"} <= files.keys()
    assert files["suid"].entry.mode == 0o4755
    assert files["null2"].entry.kind == files["fifo"].entry.kind == "special"
    assert files["app/link"].entry.target == "../etc/passwd"
    assert files["etc/passwd"].entry.mode == 0o600

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from grader.checks._accounts import Account, accounts, look_up
from grader.checks.present import Present
from grader.engine.content.layers import Entry
from grader.errors import RubricError
from grader.result import Status
from grader.tests.checks.fakes import FakeImage, check, file, link, on_image, program, subject

if TYPE_CHECKING:
    from pathlib import Path

    from grader.tests.conftest import Grade

PEOPLE = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/app:/bin/sh\n"
GROUPS = "root:x:0:\nweb:x:33:app\n"
TEXT = "import this\nport = 5000\n"
CONTENT = {"app/app.py": TEXT, "app/twin": TEXT, "etc/passwd": PEOPLE, "etc/group": GROUPS}
LAYER = {
    "app/app.py": Entry("file", len(TEXT), 0o644, 1000, 33),
    "app/run.sh": program(10),
    "app/nothing": file(0),
    "app/odd": Entry("file", 1, 0o644, 4711, 4711),
    "app/twin": Entry("link", 0, 0o644, 1000, 33, target="app/app.py"),
    "app/tmp": Entry("dir", 0, 0o1777),
    "app/link": link("app.py"),
    "app/dangling": link("gone"),
    "app/pipe": Entry("special", 0, 0o644),
    "srv": link("/app"),
    "etc/passwd": file(len(PEOPLE)),
    "etc/group": file(len(GROUPS)),
}
DIGEST = hashlib.sha256(TEXT.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path: /app/app.py", ""),
        ("path: /app//./app.py/../app.py", ""),
        ("path: /srv/app.py", ""),
        ("path: /app/", ""),
        ("path: /app/twin", ""),
        ("path: /app/dangling", "/app/dangling is a symlink to "),
        ("path: /srv/app/app.py", "nothing at /srv/app/app.py, but at /app/app.py"),
        ("path: /usr/app.py", "nothing at /usr/app.py, but at /app/app.py"),
        ("path: /nowhere", "nothing at /nowhere"),
        ("paths: [/app/app.py, /app/run.sh]", ""),
        ("paths: [/app/app.py, /b, /c]", "nothing at /b; nothing at /c"),
        ("path: /app/app.py, type: file", ""),
        ("path: /app/twin, type: file", ""),
        ("path: /app/link, type: file", ""),
        ("path: /app/link, type: symlink", ""),
        ("path: /srv/link, type: symlink", ""),
        ("path: /srv, type: symlink", ""),
        ("path: /srv, type: directory", ""),
        ("path: /app/dangling, type: symlink", ""),
        ("path: /app/app.py, type: symlink", "is a file, not a symlink"),
        ("path: /app/app.py, type: directory", "is a file, not a directory"),
        ("path: /app, type: file", "is a directory, not a file"),
        ("path: /app/pipe, type: file", "is a device or pipe, not a file"),
        ("path: /app/app.py, mode: '0644'", ""),
        ("path: /app/app.py, mode: '644'", ""),
        ("path: /app/app.py, mode: '0755'", "has mode 0644"),
        ("path: /app/tmp, mode: '1777'", ""),
        ("path: /app/tmp, mode: '0777'", "has mode 1777"),
        ("path: /app/run.sh, executable: true", ""),
        ("path: /app/app.py, executable: true", "so nobody may execute it"),
        ("path: /app/run.sh, executable: false", "so somebody may execute it"),
        ("path: /app/app.py, executable: false", ""),
        ("path: /app/app.py, owner: app", ""),
        ("path: /app/app.py, owner: 1000", ""),
        ("path: /app/app.py, owner: '1000'", ""),
        ("path: /app/twin, owner: app", ""),
        ("path: /app/app.py, owner: root", "belongs to user app (1000)"),
        ("path: /app/app.py, owner: 0", "belongs to user app (1000)"),
        ("path: /app/app.py, owner: web", "the image has no user web"),
        ("path: /app/odd, owner: 4711", ""),
        ("path: /app/odd, owner: app", "belongs to user 4711"),
        ("path: /app/app.py, group: web", ""),
        ("path: /app/app.py, group: 33", ""),
        ("path: /app/run.sh, group: web", "belongs to group root (0)"),
        ("path: /app/app.py, text: port", ""),
        ("path: /app/twin, text: port", ""),
        ("path: /app/app.py, text: Port", "does not contain that text: import this port"),
        ("path: /app/app.py, matches: '(?m)^port = \\d+$'", ""),
        ("path: /app/app.py, matches: '^port'", "has no such match"),
        (f"path: /app/app.py, sha256: {DIGEST}", ""),
        (f"path: /app/app.py, sha256: {'f' * 64}", f"has the digest {DIGEST}"),
        ("path: /app/nothing, empty: true", ""),
        ("path: /app/app.py, empty: true", "has 24 B"),
        ("path: /app/app.py, empty: false", ""),
        ("path: /app/nothing, empty: false", "is empty"),
        ("path: /app/tmp, empty: true", ""),
        ("path: /app, empty: true", "holds app.py"),
        ("path: /app, empty: false, type: directory", ""),
        ("path: /app/tmp, empty: false", "is empty"),
        ("path: /app/app.py, min_size: 24, max_size: 24", ""),
        ("path: /app/twin, min_size: 24, max_size: 24", ""),
        ("path: /app/app.py, min_size: 25", "has 24 B"),
        ("path: /app/app.py, max_size: 23", "has 24 B"),
        ("path: /app, max_size: 23", "is a directory, not a file"),
        ("path: /app/pipe, text: x", "is a device or pipe, not a file"),
        ("path: /app/app.py, mode: '0600', owner: root, text: x", "belongs to user app (1000); /app/app.py does not"),
    ],
)
def test_what_has_to_be_there(text: str, words: str) -> None:
    outcome = on_image(f"check: present, {text}", LAYER, content=CONTENT)
    assert outcome.status is (Status.FAILED if words else Status.PASSED), outcome
    assert words in outcome.got
    json.dumps(outcome.evidence)


def test_the_line_is_that_of_the_first_wrong_path() -> None:
    outcome = on_image(
        "check: present, paths: [/a, /b, /c], mode: '0755'", {"a": program()}, {"b": file(), "c": file()}
    )
    assert (outcome.status, outcome.line) == (Status.FAILED, 3)


def test_many_faults_are_counted() -> None:
    paths = ", ".join(f"/{number}" for number in range(8))
    outcome = on_image(f"check: present, paths: [{paths}]", {})
    assert outcome.got.endswith("nothing at /4; and 3 more")
    assert len(outcome.evidence["faults"]) == 8


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("a\nb\n", ""),
        ("a\nc\n", "differs from app.py, first in line 2"),
        ("a\nb\n# more", "first in line 3"),
        ("a", "first in line 2"),
        ("", "first in line 1"),
        ("a\r\nb\r\n", "if only in its line ends"),
    ],
)
def test_the_exercises_own_file_is_asked_for_byte_for_byte(given: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "starter").mkdir()
    (tmp_path / "starter" / "app.py").write_bytes(b"a\nb\n")
    image = FakeImage([{"x": file()}], content={"x": given})
    outcome = check("check: present, path: /x, same_as: app.py").run(subject(image=image, folder=tmp_path))
    assert outcome.status is (Status.FAILED if words else Status.PASSED)
    assert words in outcome.got


def test_a_starter_without_that_file_is_the_authors(tmp_path: Path) -> None:
    image = FakeImage([{"x": file()}], content={"x": "x"})
    with pytest.raises(RubricError, match=r"no gone\.py"):
        check("check: present, path: /x, same_as: gone.py").run(subject(image=image, folder=tmp_path))


def test_what_is_too_long_to_be_searched_is_not_searched() -> None:
    image = FakeImage([{"x": file(2_000_000)}], content={"x": "a" * 2_000_000})
    outcome = check("check: present, path: /x, matches: '(a+)+$'").run(subject(image=image))
    assert outcome.status is Status.FAILED
    assert "only 1 MB are searched" in outcome.got


def test_all_files_are_read_at_once() -> None:
    class Counting(FakeImage):
        reads = 0

        def read(self, paths: object) -> dict[str, bytes]:
            self.reads += 1
            return super().read(paths)  # type: ignore[arg-type]

    image = Counting([LAYER], content=CONTENT)
    checked = check("check: present, paths: [/app/app.py, /app/twin, /srv/app.py], owner: app, group: web, text: port")
    assert checked.run(subject(image=image)).status is Status.PASSED
    assert image.reads == 1
    assert check("check: present, path: /app/app.py, mode: '0644'").run(subject(image=image)).status is Status.PASSED
    assert image.reads == 1


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("app", Account("app", 1000)),
        ("1000", Account("app", 1000)),
        ("4711", Account("", 4711)),
        ("nobody", None),
        ("odd", Account("odd", 0)),
        ("short", Account("short", 0)),
        ("5000", Account("", 5000)),
        ("twice", Account("twice", 7)),
        ("spaced", Account("spaced", 9)),
        ("1_000", Account("1_000", 0)),
        ("+0", Account("root", 0)),
    ],
)
def test_accounts_are_read_as_the_engine_reads_them(wanted: str, found: Account | None) -> None:
    file = PEOPLE + "odd:x:zero:\nshort\n5000:x:0:0\ntwice:x:7:\ntwice:x:0:\n\n  spaced:x:9:  \n1_000:x:1_000:\n\xff:\n"
    assert look_up(accounts(file.encode("latin-1")), wanted) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path: app.py",
        "path: /",
        "path: //",
        "path: /a, paths: [/b]",
        "paths: []",
        "path: /a, mode: 0755",
        "path: /a, mode: '0888'",
        "path: /a, mode: rwx",
        "path: /a, type: dir",
        "path: /a, type: symlink, text: x",
        "path: /a, type: symlink, mode: '0777'",
        "path: /a, type: directory, text: x",
        "path: /a, text: ''",
        "path: /a, matches: '(a'",
        "path: /a, matches: ''",
        "path: /a, sha256: abc",
        "path: /a, same_as: /etc/passwd",
        "path: /a, same_as: ../rubric.yaml",
        "path: /a, min_size: 2, max_size: 1",
    ],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        check(f"check: present, {text}".rstrip(", "))


def test_expectations_read_like_sentences() -> None:
    one = check("check: present, path: /a, type: file, mode: '0755', owner: app, text: hi, executable: true")
    assert isinstance(one, Present)
    assert one.expectation() == "/a, file, mode 0755, owner app, containing “hi”, executable"


def test_a_real_image_is_read_from_outside(grade: Grade) -> None:
    dockerfile = """\
FROM python:3.11-slim
RUN useradd --uid 1234 app
WORKDIR /app
COPY --chown=app:app app.py run.sh ./
RUN chmod 0750 run.sh && ln -s app.py main.py && ln run.sh twin.sh
RUN printf '#!/bin/sh\\necho no' > /bin/ls && rm /usr/bin/stat
"""
    checks = [
        {"id": "own", "check": "present", "path": "/app/app.py", "same_as": "app.py", "owner": "app", "mode": "0644"},
        {"id": "link", "check": "present", "path": "/app/main.py", "type": "symlink"},
        {"id": "through", "check": "present", "path": "/app/main.py", "same_as": "app.py", "owner": 1234},
        {"id": "twin", "check": "present", "path": "/app/twin.sh", "text": "#!/bin", "min_size": 5, "group": "app"},
        {"id": "base", "check": "present", "path": "/bin/sh", "executable": True, "owner": "root"},
        {"id": "lines", "check": "present", "paths": ["/app/app.py", "/app/run.sh"], "mode": "0755"},
        {"id": "other", "check": "present", "path": "/app/run.sh", "same_as": "app.py"},
        {"id": "gone", "check": "present", "path": "/usr/bin/stat"},
    ]
    result = grade(dockerfile, checks, own={"app.py": "import this\n", "run.sh": "#!/bin/sh\n"})
    verdicts = {one.id: (str(one.status), one.line, one.got) for one in result.checks}
    for name in ("own", "link", "through", "twin", "base"):
        assert verdicts[name][0] == "passed", verdicts[name]
    assert verdicts["lines"] == ("failed", 4, "/app/app.py has mode 0644; /app/run.sh has mode 0750")
    assert verdicts["other"] == ("failed", 5, "/app/run.sh differs from app.py, first in line 1")
    assert verdicts["gone"][0] == "failed"

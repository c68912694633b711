from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pytest
import yaml

from grader.checks.base import Check
from grader.course.model import Model, field
from grader.course.rubric import Rubric, json_schema, load
from grader.course.units import ByteSize, Duration
from grader.errors import ExitCode, RubricError
from grader.result import Fault

if TYPE_CHECKING:
    from pathlib import Path


class Size(Check):
    check: Literal["size"]
    max: ByteSize
    over_base: ByteSize | None = None

    def __post_init__(self) -> None:
        if self.over_base is not None and self.over_base > self.max:
            raise ValueError("over_base is more than max; make it less")


class Stages(Model):
    min: int = field(default=1, ge=1)
    named: bool = False


class Dockerfile(Check):
    check: Literal["dockerfile"]
    stages: Stages | None = None
    final_base: tuple[str, ...] = ()


class Http(Check):
    uses: ClassVar[frozenset[str]] = frozenset({"app"})

    check: Literal["http"]
    get: str
    within: Duration = 5.0
    headers: dict[str, str] = field(default={})
    json_subset: Any = field(default=None, alias="json")
    text: str | list[str] | None = None


TYPES: dict[str, type[Check]] = {"size": Size, "dockerfile": Dockerfile, "http": Http}

GOOD = """\
format: 1
title: Multi-stage builds
submit: [Dockerfile, .dockerignore]
pass: 70
bases: ["python:3.11"]
build: {timeout: 5m}
app: {port: 5000, ready: {path: /health, within: 10s}}
checks:
  - id: small
    check: size
    max: 220MB
    over_base: 30MB
    points: 60
    hints:
      - Look at the layers.
  - id: answers
    check: http
    get: /
    json: {status: ok}
    points: 40
"""


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def write_and_load(text: str | bytes) -> Rubric:
        file = tmp_path / "rubric.yaml"
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return load(file, TYPES)

    return write_and_load


def test_a_rubric(read: Any) -> None:
    rubric = read(GOOD)
    assert (rubric.format, rubric.title, rubric.pass_score, rubric.max_score) == (1, "Multi-stage builds", 70, 100)
    assert rubric.submit == ("Dockerfile", ".dockerignore")
    assert rubric.build.timeout == 300
    assert (rubric.app.port, rubric.app.ready.path, rubric.app.ready.within) == (5000, "/health", 10)
    assert (rubric.app.memory, rubric.app.network, rubric.app.env) == (512_000_000, "none", {})
    assert (rubric.limits.dockerfile, rubric.limits.context) == (1 << 20, 50 << 20)
    small, answers = rubric.checks
    assert (small.max, small.over_base, small.hints) == (220_000_000, 30_000_000, ("Look at the layers.",))
    assert answers.json_subset == {"status": "ok"}
    assert rubric.digest == "sha256:" + hashlib.sha256(GOOD.encode()).hexdigest()
    assert rubric.path.name == "rubric.yaml"


def test_globs_may_be_handed_in(read: Any) -> None:
    assert read(changed("[Dockerfile,", "[Dockerfile, 'app/**/*.py',")).submit[1] == "app/**/*.py"


def test_a_byte_order_mark_and_windows_line_ends(read: Any) -> None:
    assert read(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()).max_score == 100


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        # keys
        ("    max: 220MB\n", "", "9:5", "Check `small` has no `max`"),
        ("    max: 220MB\n", "    maxx: 220MB\n", "11:5", "Unknown key `maxx` in check `small`. Did you mean `max`?"),
        ("over_base", "over_bas", "12:5", "Unknown key `over_bas` in check `small`. Did you mean `over_base`?"),
        ("within: 10s", "wihtin: 10s", "7:42", "Unknown key `wihtin` in `app.ready`. Did you mean `within`?"),
        ("pass: 70\n", "", "1:1", "The rubric has no `pass`"),
        ("pass: 70", "passs: 70", "4:1", "Unknown key `passs`. Did you mean `pass`?"),
        ("build: {", "biuld: {", "6:1", "Did you mean `build`?"),
        ("pass: 70", "pass_score: 70", "4:1", "Did you mean `pass`?"),
        ("port: 5000, ", "", "7:6", "`app` has no `port`"),
        ("    points: 60\n", "", "9:5", "Check `small` has no `points`"),
        ("  - id: small\n", "  -\n", "10:5", "Check number 1 has no `id`"),
        (
            "title: Multi",
            "format: 1\ntitle: Multi",
            "2:1",
            "`format` stands here a second time; the first is in line 1",
        ),
        ("    max: 220MB", "    max: 220MB\n    max: 2MB", "12:5", "second time; the first is in line 11"),
        # types of checks
        ("check: size", "check: siez", "10:12", "Unknown check type `siez`. Did you mean `size`?"),
        ("check: size", "check: rust", "10:12", "Unknown check type `rust`"),
        ("check: size", "check: [size]", "10:12", "Unknown check type"),
        ("    check: size\n", "", "9:5", "Check `small` does not say its type"),
        ("    check: size\n", "    check:\n", "9:5", "Check `small` does not say its type"),
        # values
        ("220MB", "220XB", "11:10", "`max` of check `small`: '220XB' is no size"),
        ("220MB", "0", "11:10", "0 is no possible size"),
        ("220MB", "-1", "11:10", "-1 is no possible size"),
        ("220MB", "", "11:5", "Nothing stands after `max:` of check `small`"),
        ("220MB", "[1]", "11:10", "[1] is no size"),
        ("30MB", "300MB", "12:16", "over_base is more than max"),
        ("timeout: 5m", "timeout: soon", "6:18", "`build.timeout`: 'soon' is no time"),
        ("timeout: 5m", "timeout: 1:30", "6:18", "'1:30' is no time"),
        ("build: {timeout: 5m}", "build: 5m", "6:8", "`build` needs keys of its own, not `5m`"),
        ("points: 60", "points: many", "13:13", "`points` of check `small` needs a number, not `many`"),
        ("points: 60", "points: -1", "13:13", "it has to be at least 0"),
        ("points: 60", "points: .inf", "13:13", "points"),
        ("pass: 70", "pass: 0", "4:7", "it has to be more than 0"),
        ("port: 5000", "port: 99999", "7:13", "`app.port` is `99999`; it has to be at most 65535"),
        ("port: 5000", "port: 50.5", "7:13", "whole number"),
        ("path: /health", "path: health", "7:33", "`app.ready.path` is `health`"),
        ("port: 5000", "port: 5000, network: internt", "7:28", "Did you mean `internet`?"),
        ("format: 1", "format: 2", "1:9", "`format` is `2`"),
        ("format: 1\n", "", "1:1", "The rubric has no `format`"),
        ("id: small", "id: Small Image", "9:9", "`id` of check `Small Image`"),
        ("id: answers", "id: small", "16:9", "Two checks have the id `small`, in lines 9 and 16"),
        ("id: answers", "id: answers\n    needs: [smal]", "17:13", "`needs` names `smal`, and no check of that id"),
        ("id: small", "id: small\n    needs: [answers]", "10:13", "`needs` names `answers`, and no check"),
        ("id: small", "id: small\n    needs: [small]", "10:13", "`needs` names `small`, and no check"),
        ("      - Look", "      Look", "15:7", "`hints` of check `small` needs a list"),
        ("[Dockerfile, .dockerignore]", "Dockerfile", "3:9", "`submit` needs a list, not `Dockerfile`"),
        ("[Dockerfile, .dockerignore]", "[]", "3:9", "`submit` is empty"),
        ('["python:3.11"]', "[{python: 3.11}]", "5:9", "`bases` needs a text"),
        ("title: Multi-stage builds", "title:", "2:1", "Nothing stands after `title:`"),
        ("title: Multi-stage builds", "title: ''", "2:8", "`title` is empty"),
        # names that leave the folder
        ("[Dockerfile,", "[../Dockerfile,", "3:10", "`../Dockerfile` leaves the exercise's folder"),
        ("[Dockerfile,", "[/etc/passwd,", "3:10", "leaves the exercise's folder"),
        ("[Dockerfile,", "[a/../../b,", "3:10", "leaves the exercise's folder"),
        ("[Dockerfile,", "['C:\\x',", "3:10", "leaves the exercise's folder"),
        ("[Dockerfile,", "['a\\..\\b',", "3:10", "no file name"),
        ("[Dockerfile,", "[., ", "3:10", "no file name"),
        # what does not add up
        ("pass: 70", "pass: 101", "4:7", "`pass` is 101, but the points of all checks add up to 100"),
        (
            "app: {port: 5000, ready: {path: /health, within: 10s}}\n",
            "",
            "15:5",
            "Check `answers` asks the running app",
        ),
        # YAML itself
        ("    points: 60", "\tpoints: 60", "13:1", "A tab"),
        ("title: Multi", "title: On: Multi", "2:10", "A colon stands where no key may be"),
        ("[Dockerfile,", "[Dockerfile,\n'", "4:1", "never closed"),
        ("title: Multi", "title: *Multi", "2:8", "an anchor that is not there"),
        ("title: Multi", "title: !!python/name:os.system Multi", "2:8", "This tag does not fit"),
        ("title: Multi", "title: !!int Multi", "2:8", "This tag does not fit"),
        ("title: Multi-stage builds", "title: !!str {a: b}", "2:8", "This tag does not fit"),
        ("title: Multi", "? [a]\n: b\ntitle: Multi", "2:3", "A key has to be a word"),
        ("title: Multi", "<<: 3\ntitle: Multi", "2:5", "Only keys and values can be merged"),
        ("title: Multi-stage builds", "title: x\n---\n{}", "3:1", "A second document"),
        ("title: Multi", "title: \x07Multi", "2:8", "control character"),
    ],
)
def test_one_mistake(read: Any, old: str, new: str, place: str, words: str) -> None:
    with pytest.raises(RubricError) as caught:
        read(changed(old, new))
    assert words in caught.value.what
    assert f"rubric.yaml:{place}" in caught.value.where + caught.value.what
    assert caught.value.fix
    assert (caught.value.exit_code, caught.value.fault) == (ExitCode.USAGE, Fault.AUTHOR)


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        (b"", "1:1", "empty"),
        (b"# nothing yet\n", "1:1", "empty"),
        (b"- a\n- b\n", "1:1", "does not hold keys and values"),
        (b"just words\n", "1:1", "does not hold keys and values"),
        (b"format: 1\ntitle: caf\xe9\n", "2:11", "not UTF-8"),
        (b"\xff\xfef\x00o\x00", "1:1", "not UTF-8"),
        (b"!x {format: 1}\n", "1:1", "This tag does not fit"),
        (b"[" * 5000, "1:1", "nested too deep"),
        (b"a: &a [*a]\n", "1:1", "nested too deep"),
        (b"a: &a {<<: *a}\n", "1:1", "nested too deep"),
        (b"a" * (1 << 20) + b"aa", "1:1", "over 1 MiB"),
    ],
)
def test_what_is_no_rubric_at_all(read: Any, content: bytes, place: str, words: str) -> None:
    with pytest.raises(RubricError, match=words) as caught:
        read(content)
    assert caught.value.where == f"rubric.yaml:{place}"
    assert caught.value.fix


def test_aliases_cannot_grow_without_bound(read: Any) -> None:
    lines = ["l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30)]
    with pytest.raises(RubricError, match="through its aliases"):
        read("\n".join(lines))


@pytest.mark.parametrize("name", ["missing.yaml", "folder"])
def test_a_rubric_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(RubricError) as caught:
        load(tmp_path / name, TYPES)
    assert caught.value.where == f"{tmp_path / name}:1:1"


def test_a_misspelt_key_is_not_told_as_missing_too(read: Any) -> None:
    with pytest.raises(RubricError) as caught:
        read(changed("port: 5000", "prot: 5000"))
    assert caught.value.what == "Unknown key `prot` in `app`. Did you mean `port`?"


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(read: Any) -> None:
    text = changed("220MB", "220XB").replace("check: http", "check: htpp").replace("pass: 70", "pass: lots")
    with pytest.raises(RubricError) as caught:
        read(text)
    assert caught.value.where == "rubric.yaml:4:7"
    first, *rest = caught.value.what.splitlines()
    assert first == "3 things are wrong:"
    assert [line.split(": ")[0].strip() for line in rest] == [
        "rubric.yaml:4:7",
        "rubric.yaml:11:10",
        "rubric.yaml:17:12",
    ]


def test_a_file_full_of_mistakes_tells_ten(read: Any) -> None:
    with pytest.raises(RubricError) as caught:
        read(GOOD + "".join(f"  - {{id: c{n}, check: nosuch}}\n" for n in range(30)))
    lines = caught.value.what.splitlines()
    assert (len(lines), lines[-1].strip()) == (12, "and 20 more")


def test_points_have_to_be_worth_something(read: Any) -> None:
    with pytest.raises(RubricError, match="add up to 0") as caught:
        read(changed("points: 60", "points: 0").replace("points: 40", "points: 0"))
    assert caught.value.where == "rubric.yaml:13:13"


@pytest.mark.parametrize("checks", ["checks: []", "checks: {}", "checks: size", "checks:", ""])
def test_a_rubric_without_checks(read: Any, checks: str) -> None:
    with pytest.raises(RubricError, match="checks"):
        read(GOOD.split("checks:", maxsplit=1)[0] + checks + "\n")


@pytest.mark.parametrize("item", ["size", "[size]", "", "3"])
def test_a_check_that_is_none(read: Any, item: str) -> None:
    with pytest.raises(RubricError, match="A check needs keys of its own") as caught:
        read(GOOD + f"  - {item}\n")
    assert caught.value.where.startswith("rubric.yaml:21:")


def test_every_branch_of_a_union_is_told_once(read: Any) -> None:
    with pytest.raises(RubricError) as caught:
        read(changed("get: /", "get: /\n    text: {a: b}"))
    assert caught.value.what.count("needs a text") == 1
    assert caught.value.what.count("needs a list") == 1
    assert caught.value.where == "rubric.yaml:19:11"


def test_where_text_is_meant_the_source_is_taken(read: Any) -> None:
    text = changed("title: Multi-stage builds", "title: 3.10").replace('["python:3.11"]', "[3.10, yes, 2024-01-01]")
    text = text.replace("get: /\n", "get: /\n    headers: {X-Port: 0050, on: true}\n")
    rubric = read(text)
    assert rubric.title == "3.10"
    assert rubric.bases == ("3.10", "yes", "2024-01-01")
    assert rubric.checks[1].headers == {"X-Port": "0050", "on": "true"}


def test_data_keeps_its_types(read: Any) -> None:
    rubric = read(changed("{status: ok}", "{a: 1, b: true, c: null, d: on, e: 1:30, f: 1e3, 7: [0x10, 0o17, 010, ~]}"))
    assert rubric.checks[1].json_subset == {
        "a": 1,
        "b": True,
        "c": None,
        "d": "on",
        "e": "1:30",
        "f": 1000.0,
        "7": [16, 15, 10, None],
    }


def test_anchors_and_merge_keys(read: Any) -> None:
    shared = "  - &base\n    id: first\n    check: size\n    max: 1GB\n    points: 1\n"
    rubric = read(GOOD + shared + "  - <<: *base\n    id: second\n  - <<: [{points: 7}, *base]\n    id: third\n")
    *_, first, second, third = rubric.checks
    assert [(c.id, c.points) for c in (first, second, third)] == [("first", 1), ("second", 1), ("third", 7)]


def test_a_mistake_under_an_anchor_is_told_where_it_is_written(read: Any) -> None:
    shared = "  - &base\n    id: first\n    check: size\n    max: 1XB\n    points: 1\n  - <<: *base\n    id: second\n"
    with pytest.raises(RubricError) as caught:
        read(GOOD + shared)
    assert caught.value.where == "rubric.yaml:24:10"


def test_the_schema_agrees_with_the_loader(read: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema(TYPES)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert not list(validator.iter_errors(yaml.safe_load(GOOD)))
    for old, new in [
        ("220MB", "220XB"),
        ("220MB", "0"),
        ("check: size", "check: siez"),
        ("over_base", "over_bas"),
        ("pass: 70", "passs: 70"),
        ("timeout: 5m", "timeout: soon"),
        ("format: 1", "format: 2"),
        ("port: 5000", "port: 0"),
        ("id: small", "id: Small"),
    ]:
        text = changed(old, new)
        assert list(validator.iter_errors(yaml.safe_load(text))), new
        with pytest.raises(RubricError):
            read(text)


def test_what_a_hint_costs_is_the_rubrics_unless_a_check_says_otherwise(tmp_path: Path) -> None:
    content = yaml.safe_load(GOOD)
    path = tmp_path / "rubric.yaml"
    path.write_text(yaml.safe_dump(content))
    assert load(path, TYPES).hint_costs == {}, "nothing, unless the rubric says so"
    content["hint_cost"] = 0.5
    content["checks"][0]["hint_cost"] = 0
    path.write_text(yaml.safe_dump(content))
    rest = {check["id"]: 0.5 for check in content["checks"][1:]}
    assert rest
    assert load(path, TYPES).hint_costs == rest
    content["hint_cost"] = -1
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(RubricError, match="hint_cost"):
        load(path, TYPES)
    assert "hint_cost" in json_schema(TYPES)["properties"]

"""Secrets in streams of bytes: in every disguise, at every place, and what only resembles them."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import os
import random
import zipfile
import zlib
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from grader.checks import _unpacked
from grader.checks._leak import Detector, Hit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECRET = b"tok/en+ 7f3a!~"
DETECTOR = Detector({"it": SECRET})
NOISE = random.Random(1).randbytes(3000)

WRITTEN = {
    "as it is": SECRET,
    "URL-encoded": quote(SECRET, safe="").encode(),
    "backwards": SECRET[::-1],
    "in hexadecimal": SECRET.hex().encode(),
    "in UTF-16": SECRET.decode().encode("utf-16-le"),
    "in base64": base64.b64encode(SECRET),
}


def forms(*pieces: bytes) -> set[str]:
    return {hit.form for hit in DETECTOR.in_file(pieces)}


@pytest.mark.parametrize("form", WRITTEN)
def test_a_secret_is_found_however_it_is_written(form: str) -> None:
    assert forms(NOISE + WRITTEN[form] + NOISE) == {form}
    assert forms(NOISE + WRITTEN[form][: len(WRITTEN[form]) // 2] + NOISE) == set()


def test_upper_case_hexadecimal_is_found() -> None:
    assert forms(SECRET.hex().upper().encode()) == {"in hexadecimal"}


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes])
def test_base64_of_more_than_the_secret_is_found(before: int, after: int, encode: Callable[[bytes], bytes]) -> None:
    assert forms(encode(b"user:" + b"x" * before + SECRET + b"\n" * after)) == {"in base64"}
    assert forms(encode(b"y" * 50 + b"x" * before + SECRET + b"z" * 50)) == {"in base64"}


@pytest.mark.parametrize("cut", range(1, len(SECRET)))
def test_a_secret_across_the_border_of_two_pieces_is_found(cut: int) -> None:
    assert forms(NOISE + SECRET[:cut], SECRET[cut:] + NOISE) == {"as it is"}


def test_pieces_may_be_of_one_byte() -> None:
    assert forms(*(bytes([byte]) for byte in b"ab" + SECRET + b"cd")) == {"as it is"}
    assert forms() == set()


def zipped(*contents: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.txt", content)
    return file.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": _unpacked._zstd().compress,
    "zip": zipped,
}


@pytest.mark.parametrize("packer", PACKERS)
def test_compressed_files_are_looked_into(packer: str) -> None:
    pack = PACKERS[packer]
    packed = pack(NOISE * 1000 + SECRET + NOISE)
    pieces = [packed[at : at + 700] for at in range(0, len(packed), 700)]
    assert forms(*pieces) == {"as it is"}
    assert forms(pack(gzip.compress(pack(SECRET)))) == {"as it is"}
    assert forms(pack(NOISE)) == set()
    assert forms(pack(NOISE) + SECRET) == {"as it is"}


def test_one_behind_another_and_broken_ones_are_looked_into_as_far_as_can_be() -> None:
    assert forms(gzip.compress(NOISE) + gzip.compress(SECRET)) == {"as it is"}
    whole = gzip.compress(SECRET + os.urandom(100_000))
    assert forms(whole[:50_000]) == {"as it is"}
    assert forms(b"\x1f\x8b" + SECRET) == {"as it is"}
    assert forms(b"x\x9c", SECRET) == {"as it is"}


def test_every_entry_of_a_zip_file_is_looked_into() -> None:
    many = zipped(NOISE, b"", b"x" * 200_000, SECRET + NOISE, NOISE)
    for size in (1, 7, 1000, len(many)):
        assert forms(*(many[at : at + size] for at in range(0, len(many), size))) == {"as it is"}
    mixed = io.BytesIO(zipped(NOISE, method=zipfile.ZIP_STORED))
    with zipfile.ZipFile(mixed, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deflated", SECRET * 3)
    assert forms(mixed.getvalue()) == {"as it is"}
    assert forms(zipped(NOISE, NOISE)) == set()


@pytest.mark.parametrize("start", [b"PK\3\4", b"PK\3\4" + b"\xff" * 40, b"\x28\xb5\x2f\xfd"])
def test_what_only_begins_like_one_is_looked_at_as_it_is(start: bytes) -> None:
    broken = zipped(b"x" * 1000)[:50] + b"\xff" * 50
    assert forms(start + SECRET) == {"as it is"}
    assert forms(start + NOISE) == set()
    assert forms(broken + zipped(SECRET * 3)) == {"as it is"}


def test_a_bomb_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_unpacked, "UNPACKED", 32 << 20)
    inner = gzip.compress(bytes(64 << 20), 9)
    assert forms(gzip.compress(inner * 20, 9)) == set()


def test_holes_are_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []
    search = Detector._in_window

    def counted(self: Detector, data: bytes) -> Iterator[Hit]:
        searched.append(len(data))
        return search(self, data)

    monkeypatch.setattr(Detector, "_in_window", counted)
    hole = bytes(1 << 20)
    assert forms(*[hole] * 20, SECRET[:5], SECRET[5:], *[hole] * 20) == {"as it is"}
    assert searched == [5, len(SECRET)]


def test_a_text_is_looked_at_as_a_file_is() -> None:
    assert DETECTOR.in_text(f"pip --token {SECRET.decode()}") == {Hit("it", "as it is", known=True)}
    assert DETECTOR.in_text("\udcff odd") == set()


# Written so that no scanner of repositories takes this file for a leak.
KEYS = {
    "an AWS access key": "AKIA" + "Q3EGRVJ2MZ7KD5WX",
    "a GitHub token": "ghp" + "_" + "9aB8cD7eF6gH5iJ4kL3mN2oP1qR0sT9uV8wX",
    "a GitLab token": "glpat" + "-" + "aB3dE6gH9jK2mN5pQ8sT",
    "a Slack token": "xoxb" + "-" + "123456789012-aBcDeFgHiJkLmNoPqRsTuVwX",
    "a Google API key": "AI" + "zaSyD3k9f8Q2wE5rT7yU1iO4pA6sD8fG0hJkL",
    "a PyPI token": "pypi" + "-AgEIcHlwaS5vcmcCJDM4ZjQ1YzE4LWIyYjctNDZkNi05ZTZjLWZkZjkyMTZk",
    "an npm token": "npm" + "_" + "aB3dE6gH9jK2mN5pQ8sTvW1yZ4bC7eF0hJ3k",
    "a Stripe key": "sk" + "_live_" + "aB3dE6gH9jK2mN5pQ8sTvW1y",
    "a private key": "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEpAIBAAKCAQEA7bq3\nZ4Gk9wQxT2nVb8sLc5mJ\n",
}


@pytest.mark.parametrize("kind", KEYS)
def test_what_looks_like_a_key_is_found(kind: str) -> None:
    text = f"key = '{KEYS[kind]}'\n".encode()
    assert DETECTOR.in_file([NOISE + b"\n" + text]) == {Hit(kind, "", known=False)}
    assert DETECTOR.in_file([text[:20], text[20:]]) == {Hit(kind, "", known=False)}
    assert Detector({}, keys=False).in_file([text]) == set()


@pytest.mark.parametrize(
    "text",
    [
        "AKIA" + "IOSFODNN7EXAMPLE",
        "AKIA" + "XXXXXXXXXXXXXXXX",
        "ghp_" + "x" * 36,
        "ghp_short",
        "-----BEGIN PRIVATE KEY-----",
        'if line.startswith("-----BEGIN RSA PRIVATE KEY-----"): return PrivateKey(line)',
        "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7bq3\n",
        "-----BEGIN CERTIFICATE-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA7bq3\n",
        "sha256:9aB8cD7eF6gH5iJ4kL3mN2oP1qR0sT9uV8wX",
    ],
)
def test_what_only_resembles_a_key_is_not(text: str) -> None:
    assert DETECTOR.in_text(text) == set()


@pytest.mark.parametrize("headers", ["Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF\n\n", ""])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\\n"])
def test_private_keys_come_in_many_forms(headers: str, end: str) -> None:
    body = "MIIEpAIBAAKCAQEA7bq3Z4Gk9wQx\nT2nVb8sLc5mJ4hD7fK1pR6tY\n"
    for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "):
        key = f"-----BEGIN {kind}PRIVATE KEY-----\n{headers}{body}"
        assert DETECTOR.in_text(key.replace("\n", end)) == {Hit("a private key", "", known=False)}


@pytest.mark.parametrize("endless", [" ", "a: ", "a: \n", "\\n", "A" * 15 + "\n", "-----BEGIN PRIVATE KEY-----"])
def test_what_never_becomes_a_key_is_given_up(endless: str) -> None:
    """So long that a pattern which begins over and over again would go on until the suite's time limit ends it."""
    assert DETECTOR.in_text("-----BEGIN PRIVATE KEY-----\n" + endless * 1_000_000) == set()


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("DB_PASSWORD", "hunter2", True),
        ("API_KEY", "x", True),
        ("GITHUB_TOKEN", "abc", True),
        ("secret", "abc", True),
        ("DB_PASSWORD", "", False),
        ("DB_PASSWORD", "/run/secrets/db", False),
        ("DB_PASSWORD_FILE", "db.txt", False),
        ("TOKENIZERS_PARALLELISM", "false", False),
        ("MONKEY", "banana", False),
        ("PATH", "/usr/bin", False),
    ],
)
def test_some_variables_hold_a_secret_by_their_name(name: str, value: str, *, found: bool) -> None:
    assert bool(DETECTOR.in_variable(name, value)) is found
    assert Detector({}, keys=False).in_variable(name, value) == set()


def test_a_known_secret_in_a_variable_is_told_as_that() -> None:
    (hit,) = DETECTOR.in_variable("API_TOKEN", SECRET.decode())
    assert hit == Hit("it", "as it is", known=True)

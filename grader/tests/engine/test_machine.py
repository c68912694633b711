"""What a stand-in takes over from the machine it is built on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.engine.standin import machine
from grader.errors import EngineError

if TYPE_CHECKING:
    from pathlib import Path

_PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


def says(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let apt say this."""
    monkeypatch.setattr(machine, "_output", lambda *_: text)


def test_sources_come_from_apts_own_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    says(
        monkeypatch,
        "http://mirror.test/debian/ trixie main\n"
        "http://mirror.test/debian/ trixie contrib\n"
        "http://mirror.test/debian/ trixie-updates main\n"
        "http://mirror.test/debian/ trixie-backports main\n"
        "https://secure.test/debian-security/ trixie-security main\n"
        "file:/srv/mirror/ trixie main\n",
    )
    assert machine._sources() == (
        "deb http://mirror.test/debian bookworm main",
        "deb https://secure.test/debian-security bookworm-security main",
        "deb http://mirror.test/debian bookworm-updates main",
    )


def test_a_machine_without_a_mirror_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, "")
    monkeypatch.setattr("grader.engine.standin.machine.subprocess.run", lambda *_, **__: None)
    with pytest.raises(EngineError, match="no mirror"):
        machine._sources()


def test_apt_options_that_mean_nothing_elsewhere_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    says(
        monkeypatch,
        'Acquire::http::Proxy "http://proxy.test:3128";\n'
        'Acquire::https::Proxy "http://127.0.0.1:3128";\n'
        'Acquire::https::CAInfo "/home/someone/ca.pem";\n'
        'Acquire::http::Proxy::mirror.test "http://user:secret@proxy.test:3128";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Dir::Cache "var/cache/apt";\n',
    )
    anywhere, here = machine._apt_options()
    assert anywhere == ('Acquire::http::Proxy "http://proxy.test:3128";', 'Acquire::Check-Valid-Until "false";')
    assert len(here) == 3


def test_certificates_beyond_debians_are_taken_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(_PEM.format("T1VSUw=="))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    assert _PEM.format("T1VSUw==").strip() in machine._certificates()


def test_pip_settings_of_the_network_are_taken_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://index.test/simple\nfind-links = /srv/wheels\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "file:///srv/simple https://user:secret@private.test/simple")
    settings = dict(machine._pip_settings())
    assert settings["index-url"] == "https://index.test/simple"
    assert "extra-index-url" not in settings
    assert "find-links" not in settings


def test_a_password_in_a_proxy_stays_out_of_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_PROXY", "http://user:secret@proxy.test:3128")
    assert "proxy" not in dict(machine._pip_settings())


def test_proxies_of_a_build_come_from_the_environment_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", "http://one.test:1")
    found = dict(machine._proxies(('Acquire::http::Proxy "http://two.test:2";',)))
    assert found["http_proxy"] == "http://one.test:1"


def test_another_machine_has_another_fingerprint() -> None:
    one = machine.Machine("amd64", ("deb http://a.test x main",), (), (), (), (), ())
    two = machine.Machine("amd64", ("deb http://b.test x main",), (), (), (), (), ())
    assert one.fingerprint != two.fingerprint
    assert one.fingerprint == machine.Machine("amd64", ("deb http://a.test x main",), (), (), (), (), ()).fingerprint


def test_pip_is_configured_only_where_there_is_something_to_say() -> None:
    bare = machine.Machine("amd64", (), (), (), (), (), ())
    assert "etc/pip.conf" not in bare.files()
    behind_a_proxy = machine.Machine("amd64", (), (), (), (_PEM.format("QQ=="),), (), ())
    assert machine.BUNDLE in behind_a_proxy.files()["etc/pip.conf"]

"""What a stand-in takes over from this machine, so that apt and pip work in it as they do here.

The package sources, apt's network options, the certificates that this machine trusts on top of Debian's, and pip's
index. All of it comes from the machine's own configuration; what it says is never written down in this project.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from grader.errors import EngineError

SUITE = "bookworm"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_LOOPBACK = re.compile(r"^(localhost|127\.|::1$|0\.0\.0\.0$)")
# Options that name a file or a program of this machine mean nothing in an image.
_APT_OPTION = re.compile(r"^(Acquire::(?:https?|Check-|Retries)[^ ]*) \"(.+)\";$")
_APT_FILE_OPTION = re.compile(r"(CAInfo|CRLFile|SslCert|SslKey|Auto-?Detect|Dl-Limit|AuthConf)", re.IGNORECASE)


@dataclass(frozen=True)
class Machine:
    """What a stand-in inherits.

    ``sources`` are one-line apt sources; ``apt_options`` lines of apt configuration that are safe in an image;
    ``host_apt_options`` those that hold on this machine alone; ``certificates`` PEM texts; ``pip`` settings of its
    ``global`` section; ``proxies`` the proxy variables for a build that runs on this machine's own network.
    """

    arch: str
    sources: tuple[str, ...]
    apt_options: tuple[str, ...]
    host_apt_options: tuple[str, ...]
    certificates: tuple[str, ...]
    pip: tuple[tuple[str, str], ...]
    proxies: tuple[tuple[str, str], ...]

    @property
    def fingerprint(self) -> str:
        """Changes when a stand-in built on this machine would come out differently."""
        told = repr((self.arch, self.sources, self.apt_options, self.certificates, self.pip))
        return hashlib.sha256(told.encode()).hexdigest()[:8]

    def files(self) -> dict[str, str]:
        """Path in the image (no leading slash) to content: what is put into every Debian stand-in."""
        apt = ['APT::Keep-Downloaded-Packages "false";', 'Acquire::Languages "none";', *self.apt_options]
        found = {
            "etc/apt/apt.conf.d/90stand-in": "\n".join(apt) + "\n",
            # As in the real images: a service that a package brings must not start during a build.
            "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
        }
        for number, certificate in enumerate(self.certificates):
            found[f"usr/local/share/ca-certificates/machine-{number}.crt"] = certificate + "\n"
        if self.certificates or self.pip:
            settings = (*self.pip, ("cert", BUNDLE))
            found["etc/pip.conf"] = "[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings)
        if any("https:" in source for source in self.sources):
            found[BUNDLE.lstrip("/")] = Path(BUNDLE).read_text(encoding="ascii", errors="ignore")
        return found


def inspect() -> Machine:
    """Read this machine's configuration; takes about 0.2 s.

    Raises EngineError when apt knows no mirror that carries Debian.
    """
    apt_options, host_apt_options = _apt_options()
    return Machine(
        arch=_output("dpkg", "--print-architecture").strip(),
        sources=_sources(),
        apt_options=apt_options,
        host_apt_options=host_apt_options,
        certificates=_certificates(),
        pip=_pip_settings(),
        proxies=_proxies(host_apt_options + apt_options),
    )


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    return done.stdout


def _sources() -> tuple[str, ...]:
    """The machine's own mirrors of Debian, asked for the suite that the stand-ins are made from."""
    targets = _debian_targets()
    if not targets:
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)
        targets = _debian_targets()
    if not targets:
        raise EngineError(
            "This machine's apt knows no mirror of Debian that a container could use.",
            "Stand-ins are made from Debian's packages: add a Debian mirror (http or https) to apt's sources, "
            "or pull the real images where a registry is in reach.",
            where="apt-get indextargets",
        )
    return targets


def _debian_targets() -> tuple[str, ...]:
    query = ("--format", "$(REPO_URI) $(CODENAME) $(COMPONENT)", "ORIGIN: Debian", "IDENTIFIER: Packages")
    found: dict[str, None] = {}
    for line in _output("apt-get", "indextargets", *query).splitlines():
        uri, codename, component = line.split(" ", 2)
        kind = codename.partition("-")[2]
        if (
            component != "main"
            or not uri.startswith(("http://", "https://"))
            or kind not in {"", "updates", "security"}
        ):
            continue
        found.setdefault(f"deb {uri.rstrip('/')} {SUITE}{kind and '-'}{kind} main")
    # The archive itself first: it is what mmdebstrap takes the suite's name from.
    return tuple(sorted(found, key=lambda source: source.split()[2]))


def _apt_options() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Network options of apt: those that hold in an image too, and those of this machine alone."""
    anywhere, here = [], []
    for line in _output("apt-config", "dump").splitlines():
        option = _APT_OPTION.match(line)
        if option is None:
            continue
        name, value = option.groups()
        is_proxy = "proxy" in name.lower()
        if _APT_FILE_OPTION.search(name) or (is_proxy and not _usable_from_elsewhere(value)):
            here.append(line)
        else:
            anywhere.append(line)
    return tuple(anywhere), tuple(here)


def _usable_from_elsewhere(url: str) -> bool:
    """Whether an address means the same in a container, and carries no password that an image would give away."""
    parts = urlsplit(url)
    return bool(parts.hostname) and not parts.password and not _LOOPBACK.match(parts.hostname or "")


def _certificates() -> tuple[str, ...]:
    """What this machine trusts and Debian does not: the CA of a proxy that inspects TLS, say."""
    variables = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "CURL_CA_BUNDLE")
    named = [os.environ[name] for name in variables if os.environ.get(name)]
    bundles = {Path(name) for name in (BUNDLE, _pip_configuration().get("cert", ""), *named) if name}
    trusted = {pem for bundle in bundles for pem in _pems(bundle)}
    debians = {pem for path in Path("/usr/share/ca-certificates").rglob("*.crt") for pem in _pems(path)}
    return tuple(sorted(trusted - debians))


def _pems(path: Path) -> set[str]:
    try:
        text = path.read_text(encoding="ascii", errors="ignore")
    except OSError:
        return set()
    return {"\n".join(line.strip() for line in pem.splitlines()) for pem in _PEM.findall(text)}


def _pip_configuration() -> dict[str, str]:
    """Settings of pip, later places overruling earlier ones, environment last."""
    config_home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    places = [
        Path("/etc/xdg/pip/pip.conf"),
        Path("/etc/pip.conf"),
        Path.home() / ".pip/pip.conf",
        config_home / "pip/pip.conf",
        Path(sys.prefix) / "pip.conf",
        Path(os.environ.get("PIP_CONFIG_FILE") or os.devnull),
    ]
    parser = configparser.RawConfigParser(strict=False)
    for place in places:
        try:
            parser.read(place, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
    found = dict(parser["global"]) if parser.has_section("global") else {}
    found |= dict(parser["install"]) if parser.has_section("install") else {}
    prefix = "PIP_"
    found |= {k[len(prefix) :].lower().replace("_", "-"): v for k, v in os.environ.items() if k.startswith(prefix)}
    return found


def _pip_settings() -> tuple[tuple[str, str], ...]:
    """The settings that a container needs to install from where this machine does."""
    configured = _pip_configuration()
    settings = []
    for key in ("index-url", "extra-index-url", "proxy"):
        urls = [url for url in configured.get(key, "").split() if url.startswith(("http://", "https://"))]
        usable = [url for url in urls if _usable_from_elsewhere(url)]
        if usable:
            settings.append((key, " ".join(usable)))
    if configured.get("trusted-host"):
        settings.append(("trusted-host", " ".join(configured["trusted-host"].split())))
    timeout = configured.get("timeout") or configured.get("default-timeout")
    if timeout and timeout.isdigit():
        settings.append(("timeout", timeout))
    return tuple(settings)


def _proxies(apt_options: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The proxy variables of the environment; apt's own proxy serves where the environment names none."""
    found = {}
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        value = os.environ.get(name) or os.environ.get(name.upper())
        if value:
            found[name] = value
    for option in apt_options:
        match = re.match(r"Acquire::(https?)::Proxy \"(.+)\";$", option, re.IGNORECASE)
        if match and match[2] != "DIRECT":
            found.setdefault(f"{match[1].lower()}_proxy", match[2])
    return tuple(sorted(found.items()))

"""The private engine's bridge: made by us, since a dockerd left to itself takes over the one of another."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import shlex
import subprocess
from contextlib import suppress
from typing import Any

from grader.engine.install import find
from grader.errors import EngineError

# Private subnets that neither Docker nor a home router hands out first; the first that is free is taken.
_FIRST = ("10.213.0.0/20", "172.30.208.0/20", "192.168.208.0/20", "10.87.208.0/20", "100.101.208.0/20")
# Who tries things out has several such engines at a time.
SUBNETS = (*_FIRST, *(f"10.213.{third}.0/20" for third in range(16, 256, 16)))
_USUAL_MTU = 1500


def ensure(name: str, subnets: tuple[str, ...] = SUBNETS) -> None:
    """Make the bridge, give it an address and a way out, as far as that is not so. Raises EngineError.

    The firewall's rules are ours too: a dockerd that is left to make them begins by emptying the chains that every
    Docker Engine of the machine shares.
    """
    if name not in _devices():
        _ip("link", "add", name, "type", "bridge")
    if not _addresses(name):
        network = _first_free(subnets)
        _ip("address", "add", f"{network[1]}/{network.prefixlen}", "dev", name)
    # Left to itself a bridge takes the lowest hardware address of its ports, and so another one whenever a container
    # comes or goes: all others would lose their way out until they ask for it again, in half a minute.
    _ip("link", "set", name, "address", _hardware(name))
    _ip("link", "set", name, "up")
    for subnet in _subnets(name):
        _add_rule("nat", "POSTROUTING", "--source", subnet, "!", "--out-interface", name, "--jump", "MASQUERADE")
    _add_rule("filter", "FORWARD", "--in-interface", name, "--jump", "ACCEPT")
    answers = ("--match", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "--jump", "ACCEPT")
    _add_rule("filter", "FORWARD", "--out-interface", name, *answers)


def remove(name: str) -> None:
    """Remove the bridge with all that hangs on it, as far as it is there, and the firewall's rules for it."""
    if find("ip") is None:
        return
    there = name in _devices()
    _remove_rules({name, *(_subnets(name) if there else ())})
    if not there:
        return
    # A dockerd that is killed while a container starts leaves the container's cable behind.
    for cable in _json("link", "show", "master", name):
        with suppress(EngineError):
            _ip("link", "delete", str(cable["ifname"]))
    _ip("link", "delete", name)


def _hardware(name: str) -> str:
    """A hardware address of its own for a bridge: one that nobody has sold (IEEE 802, locally administered)."""
    return ":".join(f"{byte:02x}" for byte in (0x02, *hashlib.sha256(name.encode()).digest()[:5]))


def mtu() -> int:
    """The largest packet that leaves this machine whole, in bytes: containers must not send larger ones."""
    ways_out = {route.get("dev", "") for route in _routes() if route.get("dst") == "default"}
    return min([_USUAL_MTU, *(size for device, size in _devices().items() if device in ways_out)])


def _subnets(name: str) -> list[str]:
    """The subnets of the bridge's addresses."""
    addresses = (f"{address['local']}/{address['prefixlen']}" for address in _addresses(name))
    return [str(ipaddress.IPv4Network(address, strict=False)) for address in addresses]


def _add_rule(table: str, chain: str, *rule: str) -> None:
    """Put a rule first in its chain unless it is there; raises EngineError with what iptables said."""
    iptables = find("iptables")
    if iptables is None:
        raise EngineError(
            "The grader's own engine needs iptables for its way out.",
            "Run `grader engine install`, or install the package iptables.",
            where="iptables",
        )
    command = [iptables, "--wait", "--table", table]
    if subprocess.run([*command, "--check", chain, *rule], capture_output=True, check=False).returncode == 0:
        return
    done = subprocess.run([*command, "--insert", chain, "1", *rule], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(
            f"`iptables` could not give the grader's own engine a way out: {done.stderr.strip()}",
            "Run as root outside of an unprivileged container, or set DOCKER_HOST to an engine that runs.",
            where="iptables",
        )


def _remove_rules(words: set[str]) -> None:
    """Remove every firewall rule that names the bridge or its subnet; that one cannot be removed is no harm."""
    iptables = find("iptables")
    if iptables is None:
        return
    for table in ("filter", "nat"):
        command = [iptables, "--wait", "--table", table]
        listed = subprocess.run([*command, "--list-rules"], capture_output=True, text=True, check=False).stdout
        for line in listed.splitlines():
            action, *rule = shlex.split(line)
            if action == "-A" and words & set(rule):
                subprocess.run([*command, "--delete", *rule], capture_output=True, check=False)


def _first_free(subnets: tuple[str, ...]) -> ipaddress.IPv4Network:
    """The first subnet that no route of this machine leads into."""
    taken = [
        ipaddress.IPv4Network(route["dst"], strict=False) for route in _routes() if route.get("dst", "")[:1].isdigit()
    ]
    for subnet in subnets:
        network = ipaddress.IPv4Network(subnet)
        if not any(network.overlaps(other) for other in taken):
            return network
    raise EngineError(
        "Every subnet that the grader's own engine could use is taken on this machine.",
        f"Free one of {', '.join(subnets)}, or start an engine yourself and set DOCKER_HOST.",
        where="ip route",
    )


def _devices() -> dict[str, int]:
    """The network devices and their MTU. Not from /sys, which may show another network namespace's."""
    return {str(device["ifname"]): int(device.get("mtu", _USUAL_MTU)) for device in _json("link", "show")}


def _addresses(name: str) -> list[Any]:
    interfaces = _json("-4", "address", "show", "dev", name)
    return [address for interface in interfaces for address in interface.get("addr_info", [])]


def _routes() -> list[Any]:
    return _json("-4", "route", "show", "table", "all")


def _json(*arguments: str) -> list[Any]:
    found = json.loads(_ip("-json", *arguments) or "[]")
    return found if isinstance(found, list) else []


def _ip(*arguments: str) -> str:
    """Run iproute2; raises EngineError with what it said."""
    program = find("ip")
    if program is None:
        raise EngineError(
            "The grader's own engine needs iproute2 for its bridge.",
            "Run `grader engine install`, or install the package iproute2.",
            where="ip",
        )
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(
            f"`ip {' '.join(arguments)}` failed: {done.stderr.strip()}",
            "The grader's own engine needs the right to set up a network bridge: "
            "run as root outside of an unprivileged container, or set DOCKER_HOST to an engine that runs.",
            where="ip",
        )
    return done.stdout

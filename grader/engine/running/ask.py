"""Asks an app questions from inside its network namespace: HTTP with a deadline, and who listens where.

Standard library only, and complete in itself: where this process cannot enter the namespace, the source of this very
file runs in a container that shares it (`python3 -c SOURCE JSON`), so that both ways ask in the same words.
"""

from __future__ import annotations

import base64
import http.client
import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

#: TCP_LISTEN in the `st` column of /proc/net/tcp (include/net/tcp_states.h in Linux).
_LISTEN = "0A"


class _DeadlineSocket(socket.socket):
    """A socket whose whole conversation ends by ``deadline`` (time.monotonic): no trickle of bytes prolongs it."""

    deadline = 0.0

    def arm(self) -> None:
        """Lets the next call wait for what is left of the time only."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.arm()
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.arm()
        super().sendall(*args, **kwargs)


def ask(question: dict[str, Any]) -> dict[str, Any]:
    """One HTTP exchange.

    ``question``: host, port, method, path, headers (a list of pairs), body (base64), within (seconds, over the whole
    exchange), limit (bytes of body). The answer: status, headers (a list of pairs), body (base64), cut (whether the
    body was longer than limit), elapsed (seconds) - or error and kind: refused, timeout, protocol.
    """
    started = time.monotonic()
    try:
        answer = _exchange(question, started + question["within"])
    except ConnectionRefusedError:
        answer = {"kind": "refused", "error": "connection refused"}
    except ConnectionError:
        # Reset, or closed: the same to a learner, and a matter of the moment.
        answer = {"kind": "protocol", "error": "the app closed the connection before its answer was whole"}
    except TimeoutError:
        answer = {"kind": "timeout", "error": "no complete answer in time"}
    except Exception as error:  # noqa: BLE001  # headers can be odd enough to make their parser stumble
        answer = {"kind": "protocol", "error": f"{type(error).__name__}: {error}"}
    answer["elapsed"] = time.monotonic() - started
    return answer


def _exchange(question: dict[str, Any], deadline: float) -> dict[str, Any]:
    host = question["host"]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with _DeadlineSocket(family, socket.SOCK_STREAM) as sock:
        sock.deadline = deadline
        sock.arm()
        sock.connect((host, question["port"]))
        connection = http.client.HTTPConnection("localhost", question["port"])
        connection.sock = sock
        body = base64.b64decode(question["body"])
        connection.putrequest(question["method"], question["path"], skip_accept_encoding=True)
        names = set()
        for name, value in question["headers"]:
            names.add(name.lower())
            connection.putheader(name, value)
        if "connection" not in names:
            connection.putheader("Connection", "close")
        if "content-length" not in names and (body or question["method"] in ("POST", "PUT", "PATCH")):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        response = connection.getresponse()
        content = response.read(question["limit"] + 1)
        # Asked for a number of bytes, http.client takes the end of the connection for the end of the body.
        if response.length and len(content) <= question["limit"]:
            raise http.client.IncompleteRead(content, response.length)
        return {
            "status": response.status,
            "headers": response.getheaders(),
            "body": base64.b64encode(content[: question["limit"]]).decode(),
            "cut": len(content) > question["limit"],
        }


def listeners(folder: str = "/proc/thread-self/net") -> list[dict[str, Any]]:
    """The listening TCP sockets of this thread's network namespace: address and port, from the kernel's own table."""
    found = []
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        try:
            lines = Path(folder, table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[3] == _LISTEN:
                address, port = columns[1].split(":")
                found.append({"address": _address(address, family), "port": int(port, 16)})
    return found


def _address(text: str, family: int) -> str:
    """The kernel prints addresses as 32 bit words in the machine's own byte order."""
    words = [int(text[i : i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(text), 8)]
    return socket.inet_ntop(family, b"".join(words))


if __name__ == "__main__":
    order = json.loads(sys.argv[1])
    print(json.dumps(ask(order["ask"]) if "ask" in order else listeners()))  # noqa: T201

"""A server that answers /ready, and leaves everything else to whoever imports it."""

import os
import signal
import socket
import threading


def serve(answer, port=5000, host="0.0.0.0"):
    """Calls ``answer(client, path)`` with each connection."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = socket.create_server((host, port))
    while True:
        client = server.accept()[0]
        threading.Thread(target=_one, args=(client, answer), daemon=True).start()


def say(client, body=b"hello", head=b"200 OK"):
    """An answer as it should be."""
    client.sendall(b"HTTP/1.1 " + head + b"\r\nConnection: close\r\n\r\n" + body)


def _one(client, answer):
    path = client.recv(65536).split(b" ")[1].decode()
    try:
        say(client) if path == "/ready" else answer(client, path)
    except OSError:
        pass
    finally:
        client.close()

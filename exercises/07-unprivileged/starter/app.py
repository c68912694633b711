"""A small web app: it keeps texts until it is stopped. POST one to /, and GET it back from /KEY."""

import hashlib
import json
import os
import re
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# Where the texts are kept: beside this file, unless the variable TEXTS names another directory.
TEXTS = Path(os.environ.get("TEXTS") or Path(__file__).resolve().parent / "texts")

MOST = 100_000  # bytes in a text


def keep(data):
    key = hashlib.sha256(data).hexdigest()
    (TEXTS / key).write_bytes(data)
    return key


def kept(key):
    path = TEXTS / key
    return path.read_bytes() if re.fullmatch("[0-9a-f]{64}", key) and path.exists() else None


class App(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > MOST:
            return self.answer(413, {"error": f"A text has at most {MOST} bytes"})
        return self.answer(201, {"key": keep(self.rfile.read(length))})

    def do_GET(self):
        if self.path in ("/", "/health"):
            return self.answer(200, {"status": "ok", "user": os.getuid(), "texts": str(TEXTS)})
        data = kept(self.path.removeprefix("/"))
        if data is None:
            return self.answer(404, {"error": "There is no such text"})
        return self.send(200, "text/plain; charset=utf-8", data)

    def answer(self, status, said):
        self.send(status, "application/json", json.dumps(said).encode())

    def send(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # In a container the app is process 1, which ignores SIGTERM unless it asks for it: `docker stop` would wait 10 s.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Whether it can write is better found out now than by the first visitor.
    TEXTS.mkdir(parents=True, exist_ok=True)
    keep(b"")
    # 0.0.0.0: on 127.0.0.1 nobody outside of the container could reach it.
    ThreadingHTTPServer(("0.0.0.0", 5000), App).serve_forever()

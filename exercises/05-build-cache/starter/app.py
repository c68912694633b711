"""A small web app about numbers. What it can do depends on the packages that are installed; each is written in C."""

import importlib
import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from urllib.parse import parse_qs, urlsplit

PACKAGES = {name: importlib.import_module(name) for name in ("primality", "collatz") if find_spec(name)}


def prime(n):
    return {"n": n, "prime": PACKAGES["primality"].is_prime(n)}


def collatz(n):
    return {"n": n, "steps": PACKAGES["collatz"].steps(n)}


def answer(path, query):
    if path in ("/", "/health"):
        return 200, {"status": "ok", "try": "/prime?n=97"}
    if path == "/packages":
        return 200, {name: {"compiled": package.compiled} for name, package in PACKAGES.items()}
    question = {"/prime": prime, "/collatz": collatz}.get(path)
    if question is None:
        return 404, {"error": "not found"}
    n = query.get("n", [""])[0]
    if not (n.isascii() and n.isdigit() and len(n) < 10):
        return 400, {"error": f"Add a whole number, like {path}?n=97"}
    try:
        return 200, question(int(n))
    except KeyError as missing:
        return 501, {"error": f"the package {missing} is not installed"}
    except ValueError as error:
        return 400, {"error": str(error)}


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        url = urlsplit(self.path)
        status, said = answer(url.path, parse_qs(url.query))
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # In a container the app is process 1, which ignores SIGTERM unless it asks for it: `docker stop` would wait 10 s.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # 0.0.0.0: on 127.0.0.1 nobody outside of the container could reach it.
    ThreadingHTTPServer(("0.0.0.0", 5000), App).serve_forever()

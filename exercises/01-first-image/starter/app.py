"""A small web app: it takes a number apart into its prime factors. Needs nothing but Python, and primes.bin."""

import json
import signal
import sys
from array import array
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

MOST = 30_000_000**2  # for a larger number, the primes below thirty million may not be enough

PRIMES = array("I")


def load():
    with open("primes.bin", "rb") as file:
        PRIMES.frombytes(file.read())


def factors(number):
    found = []
    for prime in PRIMES:
        if prime * prime > number:
            break
        while number % prime == 0:
            found.append(prime)
            number //= prime
    return found + [number] if number > 1 else found


def answer(path, query):
    if path in ("/", "/health"):
        return 200, {"status": "ok", "try": "/factors?n=360"}
    if path != "/factors":
        return 404, {"error": "not found"}
    n = query.get("n", [""])[0]
    if not (n.isascii() and n.isdigit() and 0 < int(n[:16]) <= MOST):
        return 400, {"error": f"Add a whole number from 1 to {MOST}, like /factors?n=360"}
    return 200, {"n": int(n), "factors": factors(int(n))}


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
    load()
    # 0.0.0.0: on 127.0.0.1 nobody outside of the container could reach it.
    ThreadingHTTPServer(("0.0.0.0", 5000), App).serve_forever()

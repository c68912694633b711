"""A small web app that has to be activated: it tells with whose key. Needs nothing but Python, and activation.json."""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def activation():
    try:
        with open("activation.json", encoding="utf-8") as file:
            return 200, json.load(file)
    except FileNotFoundError:
        return 503, {"error": "not activated: there is no activation.json"}


def answer(path):
    if path in ("/", "/health"):
        return 200, {"status": "ok", "try": "/activation"}
    if path == "/activation":
        return activation()
    return 404, {"error": "not found"}


class App(BaseHTTPRequestHandler):
    def do_GET(self):
        status, said = answer(self.path)
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

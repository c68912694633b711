"""A small web app around slugs.py. Needs nothing but Python."""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from slugs import slugify


def answer(path, query):
    if path in ("/", "/health"):
        return 200, {"status": "ok", "try": "/slug?title=Hello+World"}
    if path != "/slug":
        return 404, {"error": "not found"}
    title = query.get("title", [""])[0]
    if not title:
        return 400, {"error": "Add a title, like /slug?title=Hello+World"}
    return 200, {"title": title, "slug": slugify(title)}


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

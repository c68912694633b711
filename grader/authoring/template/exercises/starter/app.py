"""A small web app: it answers with what it was told, in capitals. Needs nothing but Python."""

import json
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class App(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        url = urlsplit(self.path)
        text = parse_qs(url.query).get("text", [""])[0]
        answers = {"/": {"status": "ok"}, "/shout": {"shout": text.upper()}}
        body = json.dumps(answers.get(url.path, {"error": "not found"})).encode()
        self.send_response(200 if url.path in answers else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def stop(*_: object) -> None:
    raise SystemExit


if __name__ == "__main__":
    # In a container the app is process 1, which ignores SIGTERM unless it asks for it: `docker stop` would wait 10 s.
    signal.signal(signal.SIGTERM, stop)
    # 0.0.0.0: on 127.0.0.1 nobody outside of the container could reach it.
    ThreadingHTTPServer(("0.0.0.0", 5000), App).serve_forever()

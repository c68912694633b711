"""A small web app: it says how long a day is, by latitude and day of the year. It looks that up in daylight.db."""

import json
import signal
import sqlite3
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

LOOK_UP = "SELECT minutes FROM daylight WHERE latitude = ? AND day = ?"


def look_up(latitude, day):
    # Read only: the app changes nothing, and needs no right to.
    table = sqlite3.connect("file:daylight.db?mode=ro", uri=True)
    try:
        return table.execute(LOOK_UP, (latitude, day)).fetchone()
    finally:
        table.close()


def answer(path, query):
    if path in ("/", "/health"):
        return 200, {"status": "ok", "try": "/daylight?latitude=52.5&day=172"}
    if path != "/daylight":
        return 404, {"error": "not found"}
    try:
        latitude, day = float(query["latitude"][0]), int(query["day"][0])
        found = look_up(latitude, day)
    except (KeyError, ValueError, OverflowError):
        found = None
    if found is None:
        return 400, {"error": "Add a latitude from -89 to 89, whole or half, and a day from 1 to 365"}
    return 200, {"latitude": latitude, "day": day, "hours": found[0] // 60, "minutes": found[0] % 60}


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
    look_up(0, 1)  # without its table the app does not even start
    # 0.0.0.0: on 127.0.0.1 nobody outside of the container could reach it.
    ThreadingHTTPServer(("0.0.0.0", 5000), App).serve_forever()

"""A small web app: it takes HTML that somebody has sent, and gives back what of it is safe to show."""

import signal
import sys

import nh3  # compiled Rust; without it the app does not even start
import waitress
from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index():
    return {"status": "ok", "try": "/clean?html=<b>bold</b><script>alert(1)</script>"}


@app.get("/health")
def health():
    return {"status": "ok"}


@app.get("/clean")
def clean():
    html = request.args.get("html")
    if html is None:
        return {"error": "Add some HTML, like /clean?html=<b>bold</b>"}, 400
    return {"clean": nh3.clean(html)}


if __name__ == "__main__":
    # In a container the app is process 1, which ignores SIGTERM unless it asks for it: `docker stop` would wait 10 s.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # 0.0.0.0: on 127.0.0.1 nobody outside of the container could reach it.
    waitress.serve(app, host="0.0.0.0", port=5000)

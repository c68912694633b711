"""A small web app: it takes a text and answers with its fingerprints."""

import hashlib
import signal
import sys

import waitress
import xxhash  # compiled C; without it the app does not even start
from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index():
    return {"status": "ok", "try": "/fingerprint?text=hello"}


@app.get("/health")
def health():
    return {"status": "ok"}


@app.get("/fingerprint")
def fingerprint():
    text = request.args.get("text")
    if text is None:
        return {"error": "Add a text, like /fingerprint?text=hello"}, 400
    data = text.encode()
    return {
        "text": text,
        "sha256": hashlib.sha256(data).hexdigest(),
        "xxh64": xxhash.xxh64(data).hexdigest(),
    }


if __name__ == "__main__":
    # In a container the app is process 1, which ignores SIGTERM unless it asks for it: `docker stop` would wait 10 s.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # 0.0.0.0: on 127.0.0.1 nobody outside of the container could reach it.
    waitress.serve(app, host="0.0.0.0", port=5000)

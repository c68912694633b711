"""A worker with a web address: it takes jobs, does one after the other, and hands out the results.

A job is a text, its result the text's SHA-256. It stands for whatever takes too long to be waited for.
"""

import hashlib
import json
import queue
import signal
import sys
import threading
from concurrent.futures import Future
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

JOBS = queue.Queue()
RESULTS = {}  # text: Future


def work():
    for text in iter(JOBS.get, None):
        # Here is a mistake: not every text is ASCII. Whoever sends an ü ends this thread, and nobody does any job more.
        RESULTS[text].set_result(hashlib.sha256(text.encode("ascii")).hexdigest())


WORKER = threading.Thread(target=work, daemon=True)


def take(text):
    RESULTS[text] = Future()
    JOBS.put(text)
    return 202, {"text": text, "waiting": JOBS.qsize()}


def result(text):
    if text not in RESULTS:
        return 404, {"error": "No such job"}
    try:
        return 200, {"text": text, "sha256": RESULTS[text].result(timeout=5)}
    except TimeoutError:
        return 202, {"text": text, "waiting": JOBS.qsize()}


def health():
    """Whether jobs are done, not only taken."""
    return (200, {"status": "ok"}) if WORKER.is_alive() else (503, {"status": "the worker has ended"})


class App(BaseHTTPRequestHandler):
    def do_POST(self):
        self.answer({"/jobs": take})

    def do_GET(self):
        self.answer({"/jobs": result, "/health": health, "/": lambda: (200, {"jobs": len(RESULTS)})})

    def answer(self, paths):
        url = urlsplit(self.path)
        text = parse_qs(url.query).get("text")
        if url.path not in paths:
            status, said = 404, {"error": "Not found"}
        elif url.path != "/jobs":
            status, said = paths[url.path]()
        elif text is None:
            status, said = 400, {"error": "Add a text, like /jobs?text=hello"}
        else:
            status, said = paths[url.path](text[0])
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    # What `docker stop` sends. Without this line the app would not hear it: the kernel lets no process 1 be ended by a
    # signal that it has not asked for.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    WORKER.start()
    try:
        # 0.0.0.0: on 127.0.0.1 nobody outside of the container could reach it.
        ThreadingHTTPServer(("0.0.0.0", 5000), App).serve_forever()
    finally:
        # No new jobs from here on; those that were taken are done.
        JOBS.put(None)
        WORKER.join()
        undone = sum(not result.done() for result in RESULTS.values())
        print(f"stopped, with {undone} jobs undone", flush=True)

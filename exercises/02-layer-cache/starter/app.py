"""A small web app: it shows what a text looks like that is written in Markdown."""

import signal
import sys

import mistune
from bottle import HTTPError, default_app, request, route, run, template

markdown = mistune.create_markdown()  # HTML that is in a text is shown as text


@route("/")
@route("/health")
def index():
    return {"status": "ok", "try": "/preview?text=**hello**"}


@route("/preview")
def preview():
    text = request.query.getunicode("text")
    if text is None:
        raise HTTPError(400, "Add a text, like /preview?text=**hello**")
    return template("page.html", content=markdown(text))


if __name__ == "__main__":
    # In a container the app is process 1, which ignores SIGTERM unless it asks for it: `docker stop` would wait 10 s.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # 0.0.0.0: on 127.0.0.1 nobody outside of the container could reach it.
    run(default_app(), host="0.0.0.0", port=5000)

import os
import threading

from serve import say, serve

def log():
    while True:
        os.write(1, b"x" * 60_000 + b"\n")


threading.Thread(target=log, daemon=True).start()
serve(lambda client, path: say(client))

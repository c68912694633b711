import os
import signal
import time

from serve import say, serve

def leave(*_):
    if os.fork() == 0:
        os.setsid()
        time.sleep(100_000)
    os._exit(0)


signal.signal(signal.SIGTERM, leave)
serve(lambda client, path: say(client))

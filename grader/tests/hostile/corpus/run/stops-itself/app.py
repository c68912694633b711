import os
import signal
import subprocess

from serve import say, serve

def answer(client, path):
    subprocess.Popen(["sh", "-c", "kill -STOP 1; kill -STOP -1"])
    os.kill(os.getpid(), signal.SIGSTOP)
    say(client)


serve(answer)

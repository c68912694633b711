import signal

from serve import say, serve

for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
serve(lambda client, path: say(client))

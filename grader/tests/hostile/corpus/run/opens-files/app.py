
from serve import say, serve

def answer(client, path):
    held = []
    try:
        while True:
            held.append(open("/dev/null"))
    except OSError:
        say(client, str(len(held)).encode())


serve(answer)

import os

from serve import say, serve

def answer(client, path):
    with open("/srv/big", "wb") as file:
        for _ in range(20):
            file.write(os.urandom(10_000_000))
    say(client)


serve(answer)

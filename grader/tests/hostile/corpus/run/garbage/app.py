import os

from serve import say, serve

def answer(client, path):
    client.sendall(os.urandom(100_000))


serve(answer)

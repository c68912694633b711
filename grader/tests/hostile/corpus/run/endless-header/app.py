
from serve import say, serve

def answer(client, path):
    client.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        client.sendall(b"y" * 65536)


serve(answer)

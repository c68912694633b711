
from serve import say, serve

def answer(client, path):
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
    while True:
        client.sendall(b"x" * 65536)


serve(answer)

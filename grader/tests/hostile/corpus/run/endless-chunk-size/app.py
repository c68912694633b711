
from serve import say, serve

def answer(client, path):
    client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        client.sendall(b"0" * 65536)


serve(answer)

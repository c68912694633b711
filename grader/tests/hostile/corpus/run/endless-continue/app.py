
from serve import say, serve

def answer(client, path):
    while True:
        client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


serve(answer)

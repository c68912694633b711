
from serve import say, serve

def answer(client, path):
    client.sendall(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\nhello")


serve(answer)

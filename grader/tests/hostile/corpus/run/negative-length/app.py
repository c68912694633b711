
from serve import say, serve

def answer(client, path):
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello")


serve(answer)

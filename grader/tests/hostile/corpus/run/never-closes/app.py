import time

from serve import say, serve

def answer(client, path):
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
    time.sleep(100)


serve(answer)

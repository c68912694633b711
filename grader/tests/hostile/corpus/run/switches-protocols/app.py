import time

from serve import say, serve

def answer(client, path):
    client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
    time.sleep(100)


serve(answer)

import gzip

from serve import say, serve

def answer(client, path):
    say(client, gzip.compress(bytes(100_000_000)), b"200 OK\r\nContent-Encoding: gzip")


serve(answer)

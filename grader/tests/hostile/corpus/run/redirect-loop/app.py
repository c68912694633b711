
from serve import say, serve

def answer(client, path):
    say(client, head=b"302 Found\r\nLocation: " + path.encode() + b"x")


serve(answer)

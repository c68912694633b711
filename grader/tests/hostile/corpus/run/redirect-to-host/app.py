
from serve import say, serve

def answer(client, path):
    say(client, head=b"302 Found\r\nLocation: http://172.17.0.1:22/")


serve(answer)

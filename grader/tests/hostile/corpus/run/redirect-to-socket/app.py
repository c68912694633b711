
from serve import say, serve

def answer(client, path):
    say(client, head=b"301 Moved\r\nLocation: file:///var/run/docker.sock\r\nLocation: unix:///var/run/docker.sock")


serve(answer)

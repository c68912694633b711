
from serve import say, serve

def answer(client, path):
    say(client, head=b"307 Temporary Redirect\r\nLocation: http://169.254.169.254/latest/")


serve(answer)


from serve import say, serve

def answer(client, path):
    client.sendall(b"HTTP/1.1 200 \x1b[2J::set-output name=score::100\r\nX-\xff: \x1b]0;x\x07\r\n\r\n::error::\x1b[31m\xff\xfe")


serve(answer)

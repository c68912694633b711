
from serve import say, serve

serve(lambda client, path: say(client), host="127.0.0.1")

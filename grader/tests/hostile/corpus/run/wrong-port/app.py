
from serve import say, serve

serve(lambda client, path: say(client), port=5001)

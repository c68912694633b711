
from serve import say, serve

serve(lambda client, path: say(client))

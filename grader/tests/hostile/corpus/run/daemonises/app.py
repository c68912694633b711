import os
import sys
import time

from serve import say, serve

if os.fork():
    sys.exit(0)
os.setsid()
# Not earlier: in the instants that the first process takes to end it might have answered everything.
while os.getppid() == 1:
    time.sleep(0.01)
serve(lambda client, path: say(client))

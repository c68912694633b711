"""Activates the app: reads the activation key from standard input and writes activation.json.

Of the key, only a fingerprint is kept. It tells whose key it was, and nobody can get the key back from it.
"""

import hashlib
import json
import sys

if __name__ == "__main__":
    key = sys.stdin.read().strip()
    if len(key) < 8:
        sys.exit("activate.py: there is no activation key on standard input")
    with open("activation.json", "w", encoding="utf-8") as file:
        json.dump({"fingerprint": hashlib.sha256(key.encode()).hexdigest()}, file)
    print("activated", flush=True)

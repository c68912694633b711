import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    for number in range(50_000):
        os.close(os.open(f"{folder}/{number}", os.O_CREAT))

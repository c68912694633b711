import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    os.chdir(folder)
    for _ in range(100):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    os.chdir(folder)

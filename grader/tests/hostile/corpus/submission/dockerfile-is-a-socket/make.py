import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    os.chdir(folder)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("Dockerfile")

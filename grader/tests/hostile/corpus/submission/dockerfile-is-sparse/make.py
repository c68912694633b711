import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    os.truncate(os.open(folder / "Dockerfile", os.O_CREAT | os.O_RDWR), 10_000_000_000)

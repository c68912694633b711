import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    os.mknod(folder / "Dockerfile", 0o20666, os.makedev(1, 5))

import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    os.symlink("/", folder / "root")
    os.symlink(".", folder / "loop")
    os.symlink("/proc/self/environ", folder / ".dockerignore")

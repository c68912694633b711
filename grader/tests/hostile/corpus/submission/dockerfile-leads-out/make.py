import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    os.symlink("/etc/shadow", folder / "Dockerfile")

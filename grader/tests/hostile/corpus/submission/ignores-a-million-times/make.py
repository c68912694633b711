import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    (folder / ".dockerignore").write_bytes(b"a\n" * 1_000_000)

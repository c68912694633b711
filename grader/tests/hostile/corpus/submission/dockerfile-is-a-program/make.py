import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    (folder / "Dockerfile").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 100)

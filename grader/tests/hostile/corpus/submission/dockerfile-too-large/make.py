import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    (folder / "Dockerfile").write_bytes(b"FROM debian:bookworm-slim\n#".ljust(2**20 + 1, b"x"))

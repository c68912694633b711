import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    (folder / "Dockerfile").write_bytes((b"FROM debian:bookworm-slim\n" + b"#\n" * 2**19)[:2**20])

import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    (folder / "Dockerfile").write_bytes("FROM debian:bookworm-slim\n".encode("utf-16"))

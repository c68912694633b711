import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    (folder / ".dockerignore").write_text("".join(f"**/*a*b*c*{number}*\n!{number}\n" for number in range(2_000)))

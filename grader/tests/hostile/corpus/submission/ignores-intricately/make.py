import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    (folder / ".dockerignore").write_text(("**/" * 200 + "x\n") + ("*" * 300 + "x\n") + "*a" * 100 + "\n" + "[a-z]*" * 100 + "x\n")

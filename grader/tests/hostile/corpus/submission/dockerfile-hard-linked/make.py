import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    (folder.parent / "secret").write_text("root:x:0:0\n")
    os.link(folder.parent / "secret", folder / "Dockerfile")

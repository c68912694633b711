import os
import socket
from pathlib import Path


def make(folder: Path) -> None:
    for name in (b"n" * 255, b"a\nb", b"\x1b[2J\x1b]0;x\x07", b"\xff\xfe", b"::set-output name=score::100", b"=cmd()"):
        (folder / os.fsdecode(name)).touch()

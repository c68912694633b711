"""Archives as engines write them, and as nobody should."""

from __future__ import annotations

import io
import tarfile


def tarred(*members: tuple[str, bytes | None, str]) -> bytes:
    """Members as (name, content or None for a folder, hard link target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as target:
        for name, content, link in members:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if content is None else tarfile.LNKTYPE if link else tarfile.REGTYPE
            member.size = 0 if content is None or link else len(content)
            member.linkname = link
            target.addfile(member, io.BytesIO(content or b""))
    return buffer.getvalue()

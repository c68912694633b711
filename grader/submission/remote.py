"""What ADD fetches from the network: the engine fetches it, from where it stands, and reaches more than a learner does.

An ADD of `http://127.0.0.1/` or of a cloud's metadata address is answered by the grading machine's own services. What
counts as an address follows BuildKit (`frontend/dockerfile/dockerfile2llb`, `util/gitutil`), generously.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grader.submission.instructions import Instruction

# A scheme, GitHub's short form, and `user@host:path`; quotes and escapes, which the builder takes away, are gone.
_ADDRESS = re.compile(r"[a-z0-9+.-]+://|github\.com/|[\w.+-]+@[^/]*:", re.IGNORECASE)
_LOCAL = re.compile(r"[^$]*/")


def fetched(add: Instruction, allowed: Sequence[str]) -> Iterator[str]:
    """The sources of an ADD that are addresses, or may be, and do not begin as one of ``allowed`` does."""
    for source in add.args[:-1]:
        plain = re.sub(r"""["'`\\]""", "", source)
        # With a variable in it, it is no address for certain only where a folder stands before that.
        hidden = "$" in plain and not _LOCAL.match(plain)
        if (_ADDRESS.match(plain) or hidden) and not ("$" not in plain and plain.startswith(tuple(allowed))):
            yield source

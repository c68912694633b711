"""The client library comes late, and whole: an interruption while it is imported is still one."""

from __future__ import annotations

import subprocess
import sys

#: Interrupts itself within the import, and then looks up an error to catch, as grading does.
PROGRAM = """
import builtins, os, signal, threading
from grader.engine.api import sdk
real = builtins.__import__

def interrupted(name, *rest):
    if name == "urllib3" and not told:
        told.append(name)
        os.kill(os.getpid(), signal.SIGINT)
        told.append(any(one.name == "import" for one in threading.enumerate()))
    return real(name, *rest)

told = []
builtins.__import__ = interrupted
try:
    try:
        raise OSError
    except sdk.errors.APIError:
        pass
except KeyboardInterrupt:
    try:
        raise OSError
    except (sdk.errors.APIError, sdk.requests.RequestException, OSError):
        print("interrupted", told, sdk.errors.APIError.__name__)
"""


def test_an_interruption_does_not_leave_half_of_it_behind() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["interrupted", "['urllib3',", "True]", "APIError"], done.stderr

"""Where the commands `grader`, `grade` and `python -m grader` begin.

Next to nothing is imported here, so that Ctrl-C in the first instant, while the rest is being imported, ends like any
other.
"""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """The command `grader`."""
    _start("main")


def grade() -> None:
    """The command `grade`, the same as `grader grade`."""
    _start("grade_main")


def _start(name: str) -> None:
    try:
        # A command makes many objects and little garbage; looking for it as often as usual is a tenth of its start.
        gc.set_threshold(100_000, 20, 20)
        # Whoever waits for the engine goes on soon after it answers, whatever is being imported beside.
        sys.setswitchinterval(0.0005)
        from grader import cli  # noqa: PLC0415

        getattr(cli, name)()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted; nothing is left behind.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()

"""Single keys from a terminal, without a line end, for whoever handles them; the terminal is put right afterwards.

POSIX has termios for it, Windows msvcrt; each is imported only where there is one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def pressed(handle: Callable[[str], None], ended: Callable[[], None]) -> Iterator[bool]:
    """Calls ``handle`` with each key, from another thread; the context gives whether there are any.

    Where the input is no terminal there are none: then what comes is read to its end and dropped, and ``ended`` is
    called. Ctrl-C stays what it is, a signal.
    """
    if not os.isatty(0):
        _start(lambda: _drain(ended))
        yield False
    elif sys.platform == "win32":
        _start(lambda: _read_console(handle))
        yield True
    elif os.tcgetpgrp(0) == os.getpgrp():
        with _unbuffered():
            _start(lambda: _read(handle))
            yield True
    else:
        # A job in the background would be stopped for reading.
        yield False


def _start(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="keys", daemon=True).start()


def _drain(ended: Callable[[], None]) -> None:
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    ended()


if sys.platform == "win32":

    def _read_console(handle: Callable[[str], None]) -> None:
        import msvcrt  # noqa: PLC0415  # Windows only

        while True:
            key = msvcrt.getwch()
            if key in "\x00\xe0":
                msvcrt.getwch()  # the second half of an arrow or the like
            else:
                handle(key)

else:

    @contextmanager
    def _unbuffered() -> Iterator[None]:
        import termios  # noqa: PLC0415  # POSIX only
        import tty  # noqa: PLC0415

        before = termios.tcgetattr(0)

        def again(*_signal: object) -> None:
            with suppress(termios.error):
                tty.setcbreak(0)

        again()
        # After Ctrl-Z and `fg` the shell has set its own mode.
        continued = signal.signal(signal.SIGCONT, again)
        try:
            yield
        finally:
            signal.signal(signal.SIGCONT, continued)
            with suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, before)

    def _read(handle: Callable[[str], None]) -> None:
        # Bytes, not sys.stdin: that one would wait for more than a key.
        with suppress(OSError):
            while data := os.read(0, 64):
                # What begins with an escape is an arrow or the like; none of its letters was typed.
                for key in "" if data[:1] == b"\x1b" else data.decode(errors="ignore"):
                    handle(key)

"""A part is made once, by whoever asks first, and fails the same way each time."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from grader.errors import CleanUpInterrupted
from grader.running import Background, Flag, Interruption, Part, Stop, Superseded

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def test_it_is_made_once_and_not_before_it_is_asked_for() -> None:
    numbers = iter([1, 2])
    part = Part(lambda: next(numbers))
    assert part.made is None
    assert [part.get(), part.get(), part.made] == [1, 1, 1]
    assert next(numbers) == 2


def test_what_went_wrong_is_the_same_exception_each_time() -> None:
    def fail() -> None:
        raise ValueError("once")

    part = Part(fail)
    with pytest.raises(ValueError, match="once") as first:
        part.get()
    with pytest.raises(ValueError, match="once") as second:
        part.get()
    assert first.value is second.value
    assert part.made is None


def test_who_asks_meanwhile_waits_for_the_one_that_makes_it() -> None:
    go = threading.Event()
    part = Part(lambda: go.wait(30))
    background = Background()
    part.begin(background)
    assert part.wait(0.01) is False
    assert background.busy()
    go.set()
    assert part.get() is True
    background.join(5)
    assert not background.busy()


def work(stop: Stop, interruption: Interruption) -> None:
    """In the main thread, until it is ended."""
    stop.arm()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(0.01)
    pytest.fail(f"nobody ended it ({interruption})")


def test_another_thread_ends_work_in_the_main_thread() -> None:
    stop = Stop()
    before = signal.getsignal(signal.SIGINT)
    for _ in range(20):  # it serves one work after the other, and no signal is left over for the next
        with pytest.raises(Superseded), Interruption(stop) as interruption:  # noqa: PT012
            threading.Thread(target=stop.ask).start()
            work(stop, interruption)
        stop.clear()
    assert signal.getsignal(signal.SIGINT) is before


def test_asked_before_it_began_it_ends_at_once_unless_that_was_heeded() -> None:
    stop = Stop()
    stop.ask()
    with pytest.raises(Superseded), Interruption(stop) as interruption:
        work(stop, interruption)
    stop.clear()
    with Interruption(stop):
        stop.arm()


def test_during_the_clean_up_it_waits_for_its_end_and_asking_often_breaks_nothing_off() -> None:
    stop, ended = Stop(), False
    with pytest.raises(Superseded), Interruption(stop) as interruption:  # noqa: PT012
        stop.arm()
        interruption.shielded = True
        for _ in range(10):
            stop.ask()
        ended = True
    assert ended


def test_a_person_who_interrupts_as_well_is_heeded_first() -> None:
    stop = Stop()
    with pytest.raises(KeyboardInterrupt) as raised, Interruption(stop) as interruption:  # noqa: PT012
        stop.arm()
        interruption.shielded = True
        stop.ask()
        signal.raise_signal(signal.SIGINT)
    assert raised.type is KeyboardInterrupt


def test_where_ctrl_c_is_ignored_it_stays_so_and_work_can_be_ended_all_the_same() -> None:
    stop = Stop()
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(Superseded), Interruption(stop) as interruption:  # noqa: PT012
            signal.raise_signal(signal.SIGINT)
            threading.Thread(target=stop.ask).start()
            work(stop, interruption)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_when_nothing_goes_on_asking_ends_nothing() -> None:
    stop = Stop()
    stop.ask()
    with Interruption(stop):
        pass


def test_work_that_an_interruption_kept_from_beginning_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_self: threading.Thread) -> None:
        raise KeyboardInterrupt

    background = Background()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            background.start(lambda: None)
    assert not background.busy()
    background.join(1.0)


# --- an interruption comes between any two instructions ---------------------------------------------------------------


def interrupted(number: int, work: Callable[[], object]) -> bool:
    """Raises KeyboardInterrupt before instruction ``number`` of ``work``, however deep; False when it has fewer."""
    left = number

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        frame.f_trace_opcodes = True
        left -= event == "opcode"
        if left == 0:
            left = -1
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def ends(work: Callable[[], object]) -> bool:
    """Whether it does, in another thread."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(10)
    return not thread.is_alive()


def test_a_flag_survives_an_interruption_at_any_moment_of_a_wait() -> None:
    for number in itertools.count(1):
        flag = Flag()
        threading.Timer(0.002, flag.set).start()
        if not interrupted(number, lambda flag=flag: flag.wait(10)):  # type: ignore[misc]
            break
        assert ends(flag.set), number
        assert flag.wait(10), number
    assert number > 20


def test_a_flag_survives_an_interruption_at_any_moment_of_its_setting() -> None:
    for number in itertools.count(1):
        flag = Flag()
        waiting = Background()
        waiting.start(flag.wait)
        if not interrupted(number, flag.set):
            break
        assert ends(flag.set), number
        waiting.join(10)
        assert not waiting.busy(), number
    assert number > 5


def test_a_flag_that_is_set_often_lets_everybody_through() -> None:
    for _ in range(200):
        flag, waiting, broken = Flag(), Background(), list[Exception]()

        def wait(flag: Flag = flag, broken: list[Exception] = broken) -> None:
            try:
                flag.wait(10)
            except RuntimeError as error:
                broken.append(error)

        for _ in range(3):
            waiting.start(wait)
        for _ in range(20):
            flag.set()
        waiting.join(10)
        assert (waiting.busy(), broken) == (False, [])


def lose(number: int) -> None:
    """What a lock in Python makes of a signal that comes while it is released."""
    try:
        signal.raise_signal(number)
    except KeyboardInterrupt:
        raise RuntimeError("release unlocked lock")  # noqa: B904


@pytest.mark.parametrize("caught", [False, True])
def test_what_somebody_asked_for_is_not_lost_with_the_exception(*, caught: bool) -> None:
    with pytest.raises(KeyboardInterrupt) as raised, Interruption():  # noqa: PT012
        try:
            lose(signal.SIGTERM)
        except RuntimeError:
            if not caught:
                raise
    assert raised.type is KeyboardInterrupt


def test_nor_is_what_another_thread_asked_for() -> None:
    stop = Stop()
    with pytest.raises(Superseded), Interruption(stop):  # noqa: PT012
        stop.ask()
        try:
            stop.arm()
        except Superseded:
            pass
        else:
            pytest.fail("the signal is on its way")


def test_work_ends_at_its_next_item_when_an_interruption_was_lost() -> None:
    done: list[int] = []
    with pytest.raises(KeyboardInterrupt), Interruption() as interruption:  # noqa: PT012
        for number in interruption.heeding(range(5)):
            done.append(number)
            if number == 2:
                try:
                    lose(signal.SIGINT)
                except RuntimeError:
                    continue
    assert done == [0, 1, 2]


def test_that_a_clean_up_was_broken_off_is_said_first() -> None:
    with pytest.raises(CleanUpInterrupted), Interruption() as interruption:  # noqa: PT012
        interruption.shielded = True
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)

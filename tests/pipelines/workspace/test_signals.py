"""Signals where they would do harm; what Ray and a whole sweep make of them is in tests/faults."""

from __future__ import annotations

import signal
from types import SimpleNamespace

import pytest

from pipelines.workspace import signals
from pipelines.workspace.signals import first_interrupt, later, termination_as_exit

HANDLED = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers_are_put_back():
    inherited = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored in the background of a shell
    before = [signal.getsignal(number) for number in HANDLED]
    yield
    assert [signal.getsignal(number) for number in HANDLED] == before
    signal.signal(signal.SIGINT, inherited)


@pytest.mark.parametrize(
    ("number", "expected"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_waits_for_the_end_of_the_block(number, expected):
    done = []
    with termination_as_exit(), pytest.raises(expected), later():
        signal.raise_signal(number)
        done.append("all of it")
    assert done


@pytest.fixture
def clock(monkeypatch):
    """The time as the module sees it: it stands still until a test moves it."""
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(signals, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_a_second_one_does_not_wait(clock):
    with pytest.raises(KeyboardInterrupt), later():
        signal.raise_signal(signal.SIGINT)
        clock.seconds += signals.HEED_SECONDS
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it waited")


def test_an_error_of_the_block_comes_first():
    with pytest.raises(ValueError, match="broken"), later():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("broken")


def test_ctrl_c_is_noted_once_and_raised_where_the_loop_does_not_heed_it(clock):
    with pytest.raises(KeyboardInterrupt), first_interrupt() as pressed:
        assert not pressed()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # at once: it might be raised where Python can only ignore it
        assert pressed()
        clock.seconds += signals.HEED_SECONDS
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it was noted again")


def test_termination_has_the_exit_code_of_shells():
    with pytest.raises(SystemExit) as caught, termination_as_exit():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 143

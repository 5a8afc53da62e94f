"""How Ray is started and ended, with a ``ray.init`` of the tests' own; with the real one: tests/faults."""

from __future__ import annotations

import signal
import subprocess
import threading

import psutil
import pytest
import ray

from jmml.errors import SweepError
from pipelines.compute import ray_session as session
from pipelines.compute import ray_start
from pipelines.compute.ray_session import ray_session
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("no_ray")

SLOW = "The current node timed out during startup. This could happen because some of the raylet failed"


def starts(monkeypatch, *failures, then=lambda: None):
    """``ray.init`` that does ``then`` and fails so, one after the other, and leaves a process behind each time."""
    left, coming = [], list(failures)

    def init(**options):
        then()
        if coming:
            left.append(subprocess.Popen(["sleep", "100"]))
            raise Exception(coming.pop(0))

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(session, "_make_token", lambda: None)
    return left


def test_a_start_that_a_busy_machine_makes_too_slow_is_tried_again_and_leaves_nothing(monkeypatch):
    left, notes = starts(monkeypatch, SLOW, SLOW), []
    with ray_session(cpus=1, note=notes.append):
        assert len(left) == 2
        assert not any(psutil.pid_exists(process.pid) for process in left)
    assert len(notes) == 2
    assert all(note.startswith("waiting for Ray") for note in notes)


@pytest.mark.parametrize(("failures", "tries"), [([SLOW] * 3, 3), (["No space left on device"], 1)])
def test_a_start_that_fails_for_good_is_one_line(monkeypatch, failures, tries):
    left = starts(monkeypatch, *failures, "never reached")
    with pytest.raises(SweepError, match=r"cannot start Ray: .*try again"), ray_session(cpus=1):
        pass
    assert len(left) == tries
    assert not any(psutil.pid_exists(process.pid) for process in left)


def test_a_start_that_is_broken_off_leaves_nothing(monkeypatch):
    left = starts(monkeypatch, SLOW)

    def interrupted(thread):
        until(lambda: left, "the start has begun")
        raise KeyboardInterrupt

    monkeypatch.setattr(ray_start._Starting, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt), ray_session(cpus=1):
        pass
    assert not any(psutil.pid_exists(process.pid) for process in left)


def test_ray_sets_no_handler_and_its_thread_stays_as_long_as_its_services_are_to(monkeypatch):
    """The kernel ends what Ray starts with the thread that started it, not with the process."""
    threads = []

    def begin():
        threads.append(threading.current_thread())
        with pytest.raises(ValueError, match="main thread"):
            signal.signal(signal.SIGTERM, lambda *args: None)

    starts(monkeypatch, then=begin)
    with ray_session(cpus=1):
        (thread,) = threads
        assert thread.is_alive()
    thread.join(60)
    assert not thread.is_alive()

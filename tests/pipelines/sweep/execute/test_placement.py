"""Which trial gets a worker that is free."""

from __future__ import annotations

from types import SimpleNamespace

from pipelines.sweep.execute.placement import Placement


class Loop:
    """The part of Tune's loop that is asked for trials."""

    def __init__(self, *living):
        self.living = living

    def get_live_trials(self):
        return self.living

    def get_trials(self):
        raise AssertionError("went through all trials there ever were")


def trial(status):
    return SimpleNamespace(status=status)


def test_a_free_worker_is_for_a_trial_that_has_none():
    """A worker that is about to start is not called off."""
    placement = Placement()
    running, starting, new = trial("RUNNING"), trial("PENDING"), trial("PENDING")
    loop = Loop(running, starting, new)
    placement.on_trial_add(loop, starting)
    assert placement.choose_trial_to_run(loop) is starting  # its worker is requested now
    placement.on_trial_add(loop, new)
    assert placement.choose_trial_to_run(loop) is new
    assert placement.choose_trial_to_run(Loop(running, starting)) is starting
    assert placement.choose_trial_to_run(Loop(running)) is None


def test_a_trial_that_ended_before_it_was_chosen_gets_no_worker():
    placement = Placement()
    gone, waiting = trial("TERMINATED"), trial("PENDING")
    for each in (gone, waiting):
        placement.on_trial_add(None, each)
    assert placement.choose_trial_to_run(Loop(waiting)) is waiting
    assert placement.on_trial_result(None, waiting, {}) == "CONTINUE"  # it stops nobody

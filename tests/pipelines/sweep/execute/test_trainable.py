"""A trial as a worker runs it, with what it reports to Tune caught."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from jmml.config import MethodConfig
from jmml.errors import ModelError
from jmml.search import load_checkpoint, save_checkpoint
from pipelines.compute.worker import Origin
from pipelines.sweep.decide.segments import WHOLE, Segment
from pipelines.sweep.execute import trainable
from pipelines.sweep.execute.keys import ERROR, FATAL, PAYLOAD, SEGMENT
from pipelines.sweep.execute.trainable import TrialSettings, checkpoint_epochs, run_trial

CONFIG = {"number": 3, "configuration": {"stage2.k": 2}, SEGMENT: WHOLE}


class Store:
    def __init__(self):
        self.counts = {"computed": 9, "loaded": 9, "waited": 9}  # of a trial before, which failed in stage 1

    def obtain(self):
        for key, count in (("computed", 2), ("loaded", 1)):
            self.counts[key] += count

    def take_counts(self):
        taken, self.counts = self.counts, dict.fromkeys(self.counts, 0)
        return taken


class Run:
    """A search of ``epochs`` that can be left and taken up again."""

    def __init__(self, epochs=3, fail=None, start=0):
        self.epochs, self.fail, self.epoch = epochs, fail, start

    def __iter__(self):
        return self

    def __next__(self):
        if self.epoch == self.epochs:
            raise StopIteration
        self.epoch += 1
        if self.epoch == self.fail:
            raise ModelError("diverged", where="stage2")
        result = {"epoch": self.epoch, "val_uar": 0.1 * self.epoch, "val_uar_low": 0.05 * self.epoch}
        return result | ({"history": {"loss": [1.0]}, "inference_cost": 9.0} if self.epoch == 1 else {})

    def state(self):
        return {"w": np.array([float(self.epoch)])}, {"epoch": self.epoch}


@pytest.fixture
def reports(monkeypatch):
    found = []
    monkeypatch.setattr(trainable.tune, "report", found.append)
    return found


@pytest.fixture
def settings(tmp_path, monkeypatch):
    settings = TrialSettings(
        search=lambda folds, method, memo, **options: (memo.obtain(), Run())[1],
        sweep="s",
        base=MethodConfig(),
        n_folds=2,
        seed=5,
        device="cpu",
        score="val_uar",
        cost=True,
        threads=1,
        stage1=None,
        checkpoints=tmp_path / "checkpoints",
        origin=Origin.here(),
    )
    monkeypatch.setattr(trainable, "_kept", {"s": ("folds", Store())})
    return settings


def run(settings, segment=WHOLE, **changes):
    run_trial({**CONFIG, SEGMENT: segment}, training=None, settings=replace(settings, **changes))


def test_a_report_has_the_epoch_the_score_and_one_text(reports, settings):
    run(settings)
    assert [(report["epoch"], report["score"]) for report in reports] == [(1, 0.1), (2, 0.2), (3, 0.1 * 3)]
    first, second, _ = (json.loads(report[PAYLOAD]) for report in reports)
    assert first == {
        "points": {"val_uar": 0.1, "val_uar_low": 0.05},
        "history": {"loss": [1.0]},
        "cost": 9.0,
        "memo": {"computed": 2, "loaded": 1, "waited": 0},
    }
    assert second == {"points": {"val_uar": 0.2, "val_uar_low": 0.1}}


def test_the_score_is_that_of_the_objective(reports, settings):
    run(settings, score="val_uar_low")
    assert [report["score"] for report in reports] == [0.05, 0.1, 0.05 * 3]


def test_a_failure_is_the_last_report(reports, settings):
    run(settings, search=lambda *args, **options: Run(fail=2))
    assert [sorted(report) for report in reports] == [["epoch", PAYLOAD, "score"], [ERROR]]
    assert reports[-1][ERROR] == "stage2: diverged"
    run(settings, origin=Origin.here("another"))
    assert "is not that of the driver" in reports[-1][ERROR]
    assert reports[-1][FATAL]  # the machine is at fault: no trial is taken for failed
    run(settings, search=lambda *args, **options: iter([1 / 0]))
    assert reports[-1][ERROR] == "ZeroDivisionError: division by zero"


def test_every_trial_of_a_worker_starts_with_the_same_random_numbers(reports, settings):
    draws = []

    def search(folds, method, **options):
        draws.append((random.random(), float(np.random.random()), float(torch.rand(1))))  # noqa: NPY002
        return Run()

    run(settings, search=search)
    run(settings, search=search)
    run(settings, search=search, seed=6)
    assert draws[0] == draws[1]
    assert all(one != other for one, other in zip(draws[0], draws[2], strict=True))


def test_a_trial_that_takes_long_is_kept_and_goes_on_from_there_in_another_worker(
    reports, settings, monkeypatch
):
    monkeypatch.setattr(trainable, "CHECKPOINT_SECONDS", 0.0)
    seen = []

    def search(folds, method, *, state, **options):
        seen.append(None if state is None else state[1]["epoch"])
        return Run(fail=3, start=seen[-1] or 0)

    run(settings, search=search)
    own = settings.checkpoints / "003"
    assert load_checkpoint(own)[0]["w"].tolist() == [2.0]
    assert list(checkpoint_epochs(settings.checkpoints)) == [(3, 2, own)]
    run(settings, search=search)
    assert seen == [None, 2]
    run(settings, search=lambda *args, state, **options: Run(start=state[1]["epoch"]))
    assert not own.exists()  # it is over
    assert [report["epoch"] for report in reports if "epoch" in report] == [1, 2, 3]


def test_nothing_is_kept_of_a_trial_that_is_quick(reports, settings):
    run(settings, search=lambda *args, **options: Run(fail=3))
    assert not settings.checkpoints.exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left"), ValueError("nan"), ModelError("x")])
def test_a_checkpoint_that_cannot_be_kept_costs_the_checkpoint_alone(reports, settings, monkeypatch, error):
    def fail(*args):
        raise error

    monkeypatch.setattr(trainable, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(trainable, "save_checkpoint", fail)
    run(settings)
    assert [report["epoch"] for report in reports] == [1, 2, 3]


def test_a_leg_ends_at_its_rung_with_a_checkpoint_from_which_the_next_goes_on(reports, settings, monkeypatch):
    kept = settings.checkpoints / "003-000002"
    report = trainable.tune.report

    def check_first(values):
        assert (values["epoch"] == 2) == kept.exists()  # others may go on from it as soon as it is reported
        report(values)

    monkeypatch.setattr(trainable.tune, "report", check_first)
    run(settings, segment=Segment(until=2))
    assert [values["epoch"] for values in reports] == [1, 2]
    monkeypatch.setattr(trainable.tune, "report", report)
    seen = []

    def search(folds, method, *, state, **options):
        seen.append(state[1]["epoch"])
        return Run(start=state[1]["epoch"])

    run(settings, segment=Segment(start=2), search=search)
    assert seen == [2]
    assert [values["epoch"] for values in reports] == [1, 2, 3]


def test_a_trial_that_may_have_to_wait_keeps_its_latest_checkpoint_of_those_epochs(
    reports, settings, monkeypatch
):
    report, there = trainable.tune.report, []

    def look(values):
        there.append(sorted(path.name for path in settings.checkpoints.glob("*")))
        report(values)

    monkeypatch.setattr(trainable.tune, "report", look)
    run(settings, segment=Segment(keep=range(2, 9)))
    assert there == [[], ["003-000002"], ["003-000003"]]  # before Tune hears of the epoch
    monkeypatch.setattr(trainable.tune, "report", report)
    run(
        settings,
        segment=Segment(start=3),
        search=lambda *args, state, **options: Run(epochs=4, start=int(state[0]["w"][0])),
    )
    assert [values["epoch"] for values in reports] == [1, 2, 3, 4]


def test_where_no_checkpoint_can_be_kept_a_trial_that_waited_begins_anew(reports, settings):
    settings.checkpoints.touch()  # no folder
    run(settings, segment=Segment(keep=[1, 2]))
    run(settings, segment=Segment(start=2, keep=[3]))
    assert [values["epoch"] for values in reports] == [1, 2, 3, 1, 2, 3]


def test_a_copy_of_a_trial_goes_on_from_that_one_and_fails_where_its_checkpoint_is_gone(reports, settings):
    save_checkpoint(settings.checkpoints / "007-000002", Run(start=2).state())
    save_checkpoint(settings.checkpoints / "003-000002", Run(start=1).state())
    run(
        settings,
        segment=Segment(start=2, source=7),
        search=lambda *args, state, **options: Run(start=int(state[0]["w"][0])),
    )
    assert [values["epoch"] for values in reports] == [3]
    run(settings, segment=Segment(start=2, source=8))
    assert "the checkpoint of trial 8 at epoch 2 is not there" in reports[-1][ERROR]


@pytest.mark.parametrize(("own", "begins_at"), [(1, 2), (2, 2), (3, 3)])
def test_what_a_trial_left_before_its_rung_does_not_count_and_what_it_left_after_does(
    reports, settings, own, begins_at
):
    """A worker that was killed leaves the trial's own checkpoint, whatever became of the trial at the rung since."""
    save_checkpoint(settings.checkpoints / "003", Run(start=own).state())
    save_checkpoint(settings.checkpoints / "007-000002", ({"w": np.array([7.0])}, {"epoch": 2}))
    seen = []

    def search(folds, method, *, state, **options):
        seen.append((state[1]["epoch"], state[0]["w"].tolist()))
        return Run(epochs=4, start=state[1]["epoch"])

    run(settings, segment=Segment(start=2, source=7), search=search)
    assert seen == [(begins_at, [7.0] if begins_at == 2 else [3.0])]

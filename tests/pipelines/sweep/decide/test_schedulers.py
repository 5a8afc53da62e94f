"""Algorithms and schedulers in whole sweeps: tiny trials, real training where weights matter, a population on Ray."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import pytest

from jmml.experiment import search_trial
from jmml.search import prepare_folds
from pipelines.definitions.spaces import configure
from pipelines.sweep.decide.driver import Driver
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute import trainable
from pipelines.sweep.execute.sweep_session import InterruptedSweepError, Turn
from pipelines.sweep.execute.tuning import Leave
from pipelines.sweep.record import journal
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.runner import resume_sweep, run_sweep
from tests.jmml.tasks import small_method
from tests.pipelines.sweep import fakes
from tests.pipelines.sweep.inline import without_ray
from tests.pipelines.sweep.projects import definition, write_project

EPOCHS = 6
WIDTHS = {"stage1.p": {"choice": [3, 4, 5]}, "stage2.lam_c": {"loguniform": [0.1, 3.0]}}
HYPERBAND = {"name": "hyperband", "reduction": 3}
CHANGING = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_c": {"uniform": [0.1, 3.0]}}


REFIT = Turn._refit


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("schedulers") / "project"
    return write_project(root, store=True, method=small_method(epochs=EPOCHS).model_dump())


@pytest.fixture(autouse=True, scope="module")
def no_refit():
    """What is tested is the search; the refit alone takes as long."""

    def found(turn, driver, *args):
        state = driver.state
        trials = [trial for _, trial in sorted(state.trials.items())]
        chosen = {**state.best.best_configuration, "stage2.epochs": state.best.best_epoch}
        config = configure(turn.plan.params.method, chosen)
        return SimpleNamespace(state=state, trials=trials, best=state.best, plan=turn.plan, config=config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Turn, "_refit", found)
        yield


def make(**changes):
    return check(definition(**{"space": WIDTHS} | changes))


def sweep(project, planned, *, order=0, **options):
    with without_ray(order=order):
        return run_sweep(project, planned, quiet=True, **options)


def events(project, name, kind):
    return [e for e in journal.read(SweepFolder.of(project, name).journal) if e["e"] == kind]


def outcome(result):
    return [(t.number, t.configuration, list(t.scores), t.status) for t in result.trials]


@pytest.mark.parametrize("name", ["asha", "median"])
def test_no_trial_is_stopped_before_its_grace(project, name):
    """Every trial is worse than all before it."""
    result = sweep(
        project,
        make(
            name=f"grace-{name}",
            algorithm="grid",
            trials=None,
            concurrent=1,
            scheduler={"name": name, "grace_epochs": 3, "reduction": 2},
            space={"stage1.p": {"choice": [9, 8, 7, 6, 5, 4, 3, 2]}},
        ),
        search=fakes.plain,
    )
    ends = [trial.epoch for trial in result.trials]
    first = 1 if name == "asha" else 3  # the rule wants three others
    assert ends == [EPOCHS] * first + [3] * (8 - first)
    assert [trial.attempts for trial in result.trials] == [1] * 8


@pytest.fixture(scope="module")
def bands(project):
    return sweep(project, make(name="bands", scheduler=HYPERBAND, trials=9))


def test_of_each_bracket_the_best_third_goes_on(bands, project):
    first = bands
    assert [t.status for t in first.trials].count("stopped") == 4  # of 1-3 and of 6-8 the best third goes on
    for members in ((1, 2, 3), (6, 7, 8)):
        left = [first.trials[n - 1] for n in members]
        best = max(left, key=lambda t: (t.scores[1], -t.number))
        assert [t.number for t in left if t.status == "finished"] == [best.number]
        assert all(t.epoch == 2 for t in left if t.status == "stopped")
    assert not events(project, "bands", "differs")
    assert all(trial.attempts == 1 for trial in first.trials)


POPULATION = {
    "algorithm": "pbt", "scheduler": None, "trials": 6, "pbt": {"interval": 2}, "space": CHANGING
}  # fmt: skip


@pytest.fixture(scope="module")
def population(ray_of_two, project, tmp_path_factory):
    """On Ray, with half a CPU for each of three workers."""
    folder = tmp_path_factory.mktemp("together")
    planned = make(name="population", concurrent=3, resources={"cpus": 0.5}, **POPULATION)
    result = run_sweep(project, planned, quiet=True, search=fakes.Meets(folder, 3))
    assert (folder / "met").exists()
    return result


def test_with_half_a_cpu_each_there_are_more_trials_at_a_time_than_cpus(population):
    """The fixture has seen three of them at work."""
    assert population.state.sessions[-1].event["concurrent"] == 3
    assert {trial.status for trial in population.trials} == {"finished"}


def test_a_population_takes_over_weights_and_changes_settings(population, project):
    changes = events(project, "population", "mutate")
    assert [change["epoch"] for change in changes] == [2, 2, 4, 4]  # a quarter of six, each time
    reports = {(e["trial"], e["epoch"]): e for e in events(project, "population", "report")}
    assert sorted(reports) == [(n, epoch) for n in range(1, 7) for epoch in range(1, EPOCHS + 1)]
    for change in changes:
        taker, donor, epoch = change["trial"], change["source"], change["epoch"]
        at = {n: reports[n, epoch]["score"] for n in range(1, 7)}
        assert at[donor] >= sorted(at.values())[-2]
        assert at[taker] <= sorted(at.values())[1]
    folds = prepare_folds(population.plan.training, n_folds=2, seed=population.plan.definition.seed)
    base = population.plan.params.method
    starts = {e["trial"]: e["configuration"] for e in reversed(events(project, "population", "start"))}
    for change in changes[:2]:  # what the donor had learnt goes on with the other settings
        run = search_trial(folds, configure(base, starts[change["source"]]))
        for _ in range(2):
            next(run)
        taken = search_trial(folds, configure(base, change["configuration"]), state=run.state())
        for epoch in (3, 4):
            assert next(taken)["val_uar"] == reports[change["trial"], epoch]["score"]


def test_the_best_settings_of_a_population_are_those_of_the_best_epoch(population, project):
    best = max(population.trials, key=lambda t: (t.best_score, -t.number))
    assert population.best.number == best.number
    changes = [e for e in events(project, "population", "mutate") if e["trial"] == best.number]
    start = next(e for e in events(project, "population", "start") if e["trial"] == best.number)
    held = start["configuration"]
    for change in changes:
        if change["epoch"] < best.best_epoch:
            held = change["configuration"]
    expected = {**held, "stage2.epochs": best.best_epoch}
    assert population.config == configure(population.plan.params.method, expected)


@pytest.mark.parametrize("kind", ["population", "bands"])
def test_a_sweep_of_trials_that_wait_is_taken_up_and_comes_out_the_same(
    project, population, bands, monkeypatch, kind
):
    """Whatever runs beside what: the population of three workers of Ray goes on two at a time, the brackets alone."""
    whole = SweepFolder.of(project, kind).state()
    changes = {"name": f"{kind}-resumed", "concurrent": 2 if kind == "population" else 1} | (
        POPULATION if kind == "population" else {"scheduler": HYPERBAND, "trials": 9}
    )
    left, real = itertools.count(), Driver.reported

    def reported(driver, *args, **options):
        if next(left) >= 14:
            raise Leave(KeyboardInterrupt())
        return real(driver, *args, **options)

    with monkeypatch.context() as patch, pytest.raises(InterruptedSweepError):
        patch.setattr(Driver, "reported", reported)
        sweep(project, make(**changes))
    with without_ray(order=1):
        result = resume_sweep(project, changes["name"], quiet=True)
    assert outcome(result) == [
        (t.number, t.configuration, list(t.scores), t.status) for t in whole.trials.values()
    ]
    name = changes["name"]
    assert not events(project, name, "differs")
    reports = [(e["trial"], e["epoch"]) for e in events(project, name, "report")]
    assert len(reports) == len(set(reports))
    assert [(e["trial"], e["epoch"], e["source"]) for e in events(project, name, "mutate")] == [
        (e["trial"], e["epoch"], e["source"]) for e in events(project, kind, "mutate")
    ]


def test_a_checkpoint_that_is_ahead_of_the_journal_after_a_power_failure_is_not_taken_up(
    project, monkeypatch
):
    monkeypatch.setattr(trainable, "CHECKPOINT_SECONDS", 0.0)
    expected = outcome(sweep(project, make(name="undisturbed", trials=2, concurrent=1)))
    left, real = itertools.count(1), Driver.reported

    def reported(driver, *args, **options):
        if next(left) == 5:
            raise Leave(KeyboardInterrupt())
        return real(driver, *args, **options)

    with monkeypatch.context() as patch, pytest.raises(InterruptedSweepError):
        patch.setattr(Driver, "reported", reported)
        sweep(project, make(name="ahead", trials=2, concurrent=1))
    folder = SweepFolder.of(project, "ahead")
    ((_, epoch, _),) = trainable.checkpoint_epochs(next(folder.checkpoints.iterdir()))
    assert epoch == 4
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    reports = [place for place, line in enumerate(lines) if b'"e":"report"' in line]
    folder.journal.write_bytes(b"".join(lines[: reports[2]]))  # the disk has the first two
    with without_ray():
        assert outcome(resume_sweep(project, "ahead", quiet=True)) == expected


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
def test_a_trial_that_fails_holds_nobody_up(project, name):
    scheduler = {"name": name, "grace_epochs": 1, "reduction": 2}
    space = {"stage1.p": {"choice": [4, 3, 5]}, "stage2.lam_c": {"choice": [0.1, 0.2]}}
    planned = make(name=f"fails-{name}", scheduler=scheduler, algorithm="grid", trials=None, space=space)
    result = sweep(project, planned, search=fakes.fails_for_p4)
    assert [t.status for t in result.trials if t.configuration["stage1.p"] == 4] == ["failed"] * 2
    assert len(result.trials) == 6
    assert all(trial.over for trial in result.trials)


def test_a_member_of_a_population_that_fails_holds_nobody_up(project):
    planned = make(name="fails-pbt", **POPULATION | {"trials": 4})
    result = sweep(project, planned, search=fakes.FailsLate())
    counts = result.state.counts()
    assert counts["failed"] >= 1
    assert counts["failed"] + counts["finished"] == 4


def test_when_every_trial_is_stopped_early_the_best_of_them_is_still_fitted(project, monkeypatch):
    """Later trials are worse than earlier ones, and the first fails: nobody gets to the end."""
    monkeypatch.setattr(Turn, "_refit", REFIT)
    result = sweep(
        project,
        make(
            name="pruned",
            algorithm="grid",
            trials=None,
            concurrent=1,
            scheduler={"name": "asha", "grace_epochs": 1, "reduction": 2},
            space={"stage1.p": {"choice": [5, 4, 3]}},
        ),
        search=fakes.first_fails_late,
    )
    assert [trial.status for trial in result.trials] == ["failed", "stopped", "stopped"]
    assert result.best.number == 2
    assert result.metrics["test_uar"] > 0


def test_cma_es_and_a_lower_bound(project):
    space = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_c": {"uniform": [0.1, 3.0]}}
    planned = make(
        name="cma", algorithm="cma-es", trials=5, space=space, lag=2, objective={"score": "lower-bound"}
    )
    result = sweep(project, planned, search=fakes.plain)
    reports = events(project, "cma", "report")
    assert all(e["score"] == e["points"]["val_uar_low"] < e["points"]["val_uar"] + 1e-12 for e in reports)
    assert {t.status for t in result.trials} == {"finished"}
    assert len({tuple(t.configuration.values()) for t in result.trials}) == 5


def test_two_objectives_leave_a_front(project):
    space = {"stage1.p": {"choice": [3, 5]}, "stage2.hidden": {"choice": [4, 16]}}
    planned = make(name="costs", algorithm="grid", trials=None, space=space, objective={"cost": "inference"})
    result = sweep(project, planned)
    assert all(trial.cost and math.isfinite(trial.cost) for trial in result.trials)
    assert len({trial.cost for trial in result.trials}) == 4
    front = result.state.front()
    assert front
    for trial in result.trials:
        better = [
            other
            for other in result.trials
            if other.cost <= trial.cost and other.best_score > trial.best_score
        ]
        assert (trial in front) <= (not better)
    assert result.best in front

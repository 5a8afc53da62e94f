"""Algorithms and schedulers in whole sweeps: tiny trials, real training where weights matter, two sweeps on Ray."""

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
from pipelines.sweep.execute.sweep_session import InterruptedSweepError, SweepSession
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
HALVING = {"trials": 10, "scheduler": {"name": "asha", "grace_epochs": 2, "reduction": 2}}
CHANGING = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_c": {"uniform": [0.1, 3.0]}}


REFIT = SweepSession._refit


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("schedulers") / "project"
    return write_project(root, store=True, method=small_method(epochs=EPOCHS).model_dump())


@pytest.fixture(autouse=True, scope="module")
def no_refit():
    """What is tested is the search; the refit alone takes as long."""

    def found(session, driver, *args):
        state = driver.state
        trials = [trial for _, trial in sorted(state.trials.items())]
        chosen = {**state.best.best_configuration, "stage2.epochs": state.best.best_epoch}
        config = configure(session.plan.params.method, chosen)
        return SimpleNamespace(state=state, trials=trials, best=state.best, plan=session.plan, config=config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SweepSession, "_refit", found)
        yield


def make(**changes):
    return check(definition(**{"space": WIDTHS} | changes))


def sweep(project, planned, *, order=0, **options):
    with without_ray(order=order):
        return run_sweep(project, planned, quiet=True, **options)


def events(project, name, kind):
    return [e for e in journal.read(SweepFolder.of(project, name).journal) if e["e"] == kind]


def outcome(result):
    return outcome_of(result.state)


def outcome_of(state):
    return [(t.number, t.configuration, list(t.scores), t.status) for t in state.trials.values()]


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


@pytest.fixture(scope="module")
def halving(ray_of_two, project):
    """ASHA on Ray, two trials at a time as it happens."""
    run_sweep(project, make(name="halving", **HALVING), quiet=True, search=fakes.Uneven())
    return SweepFolder.of(project, "halving").state()


def test_on_workers_of_ray_the_same_trials_are_stopped_as_one_after_another(halving, project):
    assert {trial.status for trial in halving.trials.values()} == {"stopped", "finished"}
    alone = sweep(project, make(name="halving-alone", concurrent=1, **HALVING), search=fakes.Uneven())
    assert outcome(alone) == outcome_of(halving)
    assert not events(project, "halving-alone", "break")  # nobody to wait for


@pytest.mark.parametrize("kind", ["population", "halving"])
def test_a_sweep_of_trials_that_wait_is_taken_up_and_comes_out_the_same(request, project, monkeypatch, kind):
    """Whatever runs beside what: on Ray it was decided by its workers, here by the order."""
    request.getfixturevalue(kind)
    whole = SweepFolder.of(project, kind).state()
    search = {} if kind == "population" else {"search": fakes.Uneven()}
    changes = {"name": f"{kind}-resumed"} | (POPULATION if kind == "population" else HALVING)
    left, real = itertools.count(), Driver.reported

    def reported(driver, *args, **options):
        if next(left) >= 14:
            raise Leave(KeyboardInterrupt())
        return real(driver, *args, **options)

    with monkeypatch.context() as patch, pytest.raises(InterruptedSweepError):
        patch.setattr(Driver, "reported", reported)
        sweep(project, make(**changes), **search)
    with without_ray(order=1):
        resume_sweep(project, changes["name"], quiet=True, **search)
    name = changes["name"]
    assert outcome_of(SweepFolder.of(project, name).state()) == outcome_of(whole)
    assert any(e.get("rung") for e in events(project, name, "break"))  # some have waited
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


def test_a_member_of_a_population_that_fails_holds_nobody_up(project):
    planned = make(name="fails-pbt", **POPULATION | {"trials": 4})
    result = sweep(project, planned, search=fakes.FailsLate())
    counts = result.state.counts()
    assert counts["failed"] >= 1
    assert counts["failed"] + counts["finished"] == 4


def test_when_every_trial_is_stopped_early_the_best_of_them_is_still_fitted(project, monkeypatch):
    """Later trials are worse than earlier ones, and the first fails: nobody gets to the end."""
    monkeypatch.setattr(SweepSession, "_refit", REFIT)
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

"""Going on with a sweep: whatever its scores depend on is compared with what it is now."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from jmml.data.table import FeatureTable
from jmml.errors import ConfigError, SweepError
from pipelines.sweep.definition.plan import plan
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute import fingerprint as fingerprints
from pipelines.sweep.execute.continuing import check_changes, settings, to_extend, to_resume
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.journal import Journal
from pipelines.workspace.project import Project
from tests.pipelines.sweep.projects import definition, write_project
from tests.pipelines.sweep.scripts import Script, write_events


@pytest.fixture
def project(tmp_path):
    project = write_project(tmp_path / "project")
    begin(project)
    return project


def begin(project, **changes):
    """A sweep of three trials of which one is over."""
    planned = plan(project, check(definition(**changes)))
    script = Script(total=planned.trials)
    script.events[0] |= settings(planned)
    script.trial(1, [0.3, 0.5, 0.4], configuration={"stage1.p": 3, "stage2.lam_c": 0.25})
    write_events(SweepFolder.of(project, "tiny").journal, script.events)


def edit(project, *path_and_value):
    *path, last, value = path_and_value
    file = project.root / "params.yaml"
    data = yaml.safe_load(file.read_text())
    section = data
    for key in path:
        section = section[key]
    section[last] = value
    file.write_text(yaml.safe_dump(data))
    return Project(project.root)


def test_nothing_has_changed(project):
    found = to_resume(project, "tiny")
    assert (found.changes, found.total, found.state.over) == ([], 3, 1)
    # What decides where and how quickly it runs, and what is drawn of the outcome, is no change.
    assert to_resume(edit(project, "evaluation", "bootstrap", 200), "tiny").changes == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("device", "cuda:1"), "device: cpu -> cuda"),
        (("method", "stage1", "alpha", 3.5), "method.stage1.alpha: "),
        (("method", "stage2", "epochs", 4), "method.stage2.epochs: 3 -> 4"),
        (("protocol", "seeds", [0, 2]), "protocol.seeds: [0, 1] -> [0, 2]"),
        (("protocol", "inner_folds", 3), "protocol.inner_folds: 2 -> 3"),
    ],
)
def test_other_settings_of_the_project_are_noticed(project, change, expected):
    project = edit(project, *change)
    changes = to_resume(project, "tiny").changes
    assert len(changes) == 1
    assert changes[0].startswith(expected)
    with pytest.raises(ConfigError, match="changed since the sweep began"):
        to_extend(project, "tiny", 2)


def test_other_features_are_noticed(project):
    path = project.features_path("lab-eeg")
    table = FeatureTable.load(path)
    table.X.setflags(write=True)
    table.X[0, 0] = np.nextafter(table.X[0, 0], np.inf)
    table.save(path)
    changes = to_resume(project, "tiny").changes
    assert changes
    assert all(change.startswith("task.") for change in changes)


def test_other_normalisation_is_noticed(project):
    changes = to_resume(edit(project, "protocol", "normalisation", "per-group"), "tiny").changes
    assert "protocol.normalisation: none -> per-group" in changes


def test_other_code_and_libraries_are_noticed(project, monkeypatch):
    monkeypatch.setattr(fingerprints, "code_digest", lambda: "f" * 64)
    monkeypatch.setattr(fingerprints, "libraries", lambda: {"torch": "0.1"})
    changes = to_resume(project, "tiny").changes
    assert any(change.startswith("code: ") for change in changes)
    assert any(change.startswith("libraries.torch: ") for change in changes)
    assert any(change.startswith("libraries.numpy: ") and change.endswith("not there") for change in changes)


def test_another_outer_fold_and_seed_are_noticed(project):
    changes = to_resume(project, "tiny", overrides=["protocol.outer_fold=1", "seed=1"]).changes
    assert "protocol.outer_fold: 0 -> 1" in changes
    assert "seed: 0 -> 1" in changes
    assert any(change.startswith("held_out.speech: ") for change in changes)


def refused(project, *overrides):
    """What is said to someone who accepts all changes."""
    with pytest.raises(ConfigError) as caught:
        check_changes(to_resume(project, "tiny", overrides=overrides), accepted=True)
    return str(caught.value)


def test_people_whom_trials_have_seen_are_never_held_out_later(project):
    """Else the outer fold would be opened with people on whom the search has chosen, and its evidence would deny it."""
    said = refused(project, "protocol.outer_fold=1")
    assert "held_out.speech: " in said
    assert "perhaps people who are held out now: undo it, or run a new sweep" in said
    assert "--accept-changes" not in said
    check_changes(to_resume(project, "tiny", overrides=["seed=1"]), accepted=True)
    script = Script()
    script.events[0] |= settings(plan(project, check(definition())))
    SweepFolder.of(project, "tiny").journal.unlink()
    write_events(SweepFolder.of(project, "tiny").journal, script.events)  # nothing was seen
    check_changes(to_resume(project, "tiny", overrides=["protocol.outer_fold=1"]), accepted=True)


def test_other_data_are_for_another_sweep(project):
    test_other_features_are_noticed(project)
    assert "its trials have seen other data" in refused(project)


def test_a_population_that_is_through_gets_no_members_at_random(tmp_path):
    project = write_project(tmp_path / "project")
    changing = {"stage2.lr": {"uniform": [0.1, 1.0]}}
    planned = plan(
        project,
        check(definition(algorithm="pbt", trials=4, pbt={"interval": 1}, scheduler=None, space=changing)),
    )
    script = Script(total=4)
    script.events[0] |= settings(planned)
    for number in range(1, 5):
        script.trial(number, [0.3, 0.5, 0.4], configuration={"stage2.lr": 0.1 * number})
    write_events(SweepFolder.of(project, "tiny").journal, script.events)
    assert "a population cannot go on with other settings" in refused(project, "trials=8")
    check_changes(
        to_resume(edit(project, "protocol", "seeds", [0, 2]), "tiny"), accepted=True
    )  # of the refit


def test_a_smaller_lag_waits_for_a_trial_that_has_not_begun(project):
    script = Script(total=6)
    planned = plan(project, check(definition(algorithm="tpe", lag=4, trials=6)))
    script.events[0] |= settings(planned)
    SweepFolder.of(project, "tiny").journal.unlink()
    for number in (1, 2, 4):  # the worker of 3 was slow to start when the driver died
        script.trial(number, [0.3, 0.5, 0.4], configuration={"stage1.p": 3, "stage2.lam_c": 0.25 * number})
    write_events(SweepFolder.of(project, "tiny").journal, script.events)
    assert "lag: trial 3 was proposed and has not begun" in refused(project, "lag=2")
    check_changes(to_resume(project, "tiny", overrides=["lag=5"]), accepted=True)


@pytest.mark.parametrize("what", ["hours", "epochs"])
def test_trials_cannot_be_added_where_the_budget_is_used_up(tmp_path, what):
    project = write_project(tmp_path / "project")
    begin(
        project, budget={"trials": 3, what: 3}, trials=None
    )  # one trial has run three epochs, in three seconds
    if what == "epochs":
        with pytest.raises(ConfigError, match=r"3 epochs is used up.*resume tiny -s budget\.epochs="):
            to_extend(project, "tiny", 5)
    else:
        assert to_extend(project, "tiny", 5).total == 8


def test_a_wrong_override_is_blamed_on_the_command_line(project):
    with pytest.raises(ConfigError) as caught:
        to_resume(project, "tiny", overrides=["stage2.k=none", "budget.trails=3"])
    assert sorted(line.partition(": ")[0] for line in caught.value.lines) == [
        "-s budget.trails=3",
        "-s stage2.k=none",
    ]


def test_what_was_added_stays_when_the_definition_changes(project):
    writer = Journal(SweepFolder.of(project, "tiny").journal)
    writer.append("extend", trials=4, user="anna")
    writer.close()
    assert to_resume(project, "tiny").total == 7
    assert to_resume(project, "tiny", overrides=["trials=5"]).total == 9


def test_more_trials(project):
    found = to_extend(project, "tiny", 5)
    assert (found.total, found.state.total, found.changes) == (8, 3, [])
    for trials in (0, -1):
        with pytest.raises(ConfigError, match="expected at least 1"):
            to_extend(project, "tiny", trials)
    with pytest.raises(SweepError, match="no sweep 'tinny'; did you mean 'tiny'"):
        to_extend(project, "tinny", 1)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"space": {"stage1.p": {"choice": [3, 4]}, "stage2.k": {"choice": [2, 3]}}}, "the space holds 4"),
        ({"algorithm": "grid", "trials": None, "space": {"stage1.p": {"choice": [3, 4]}}}, "the space holds 2"),
        (
            {"algorithm": "pbt", "trials": 4, "pbt": {"interval": 1}, "space": {"stage2.lr": {"uniform": [0.1, 1.0]}}},
            "a population has no more members",
        ),
    ],
)  # fmt: skip
def test_a_sweep_that_cannot_have_more_trials(tmp_path, changes, expected):
    project = write_project(tmp_path / "project")
    begin(project, **changes)
    with pytest.raises(ConfigError, match=expected):
        to_extend(project, "tiny", 2)

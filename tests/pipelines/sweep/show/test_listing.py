from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from jmml.config import MethodConfig
from jmml.errors import SweepError
from pipelines.reporting.terminal import fitted
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.record.best import best_method, method_of
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.show.description import Description, search_text
from pipelines.sweep.show.listing import columns, listed
from pipelines.sweep.show.words import CLOSING
from tests.pipelines.sweep.scripts import DEFINITION, Script, bare_project


@pytest.fixture
def project(tmp_path):
    return bare_project(tmp_path)


def a_whole_story() -> Script:
    """Five trials, one failed, one broken off and run by somebody else, refitted."""
    script = Script(total=5)
    script("run", run_id="abc")
    script.trial(1, [0.3, 0.5, 0.4])
    script.trial(2, [0.2], "stopped")
    script.trial(3, [], "failed", error="ModelError: k is 9")
    script.trial(4, [], "failed", error="ModelError: k is 9")
    script.start(5)
    script("break", trial=5)
    script("close", state="stopped", reason="asked to by anna")
    changed = DEFINITION | {"budget": {"trials": 5, "hours": 2.0, "epochs": None}}
    script(
        "accept",
        changes=["budget.hours: none -> 2.0"],
        definition=changed,
        base=MethodConfig().model_dump(mode="json"),
        fingerprint={},
        total=5,
    )
    script.session("resume", user="anna", host="gpu1", address="10.0.0.5:6379", gpus=1, after=100)
    script.start(5, attempt=2)
    script.report(5, 0.45, memo={"computed": 1, "loaded": 3, "waited": 0})
    script.end(5)
    rows = [{"method": "jmml", "uar": 0.52}, {"method": "raw", "uar": 0.41}]
    script(
        "refit",
        trial=1,
        epoch=2,
        configuration={},
        metrics={},
        comparison=rows,
        model_uri="models:/m",
        opened=2,
    )
    script("close", state="finished", reason="")
    return script


def test_the_list_has_every_sweep_the_latest_first(project):
    first, second = a_whole_story(), Script(name="other", team="")
    second.trial(1, [0.2], after=1000)
    first.write(project)
    folder = second.write(project)
    with folder.hold():
        sweeps, damaged = listed(project)
    assert damaged == []
    assert [(s.name, s.status, s.user, s.team) for s in sweeps] == [
        ("other", "running", "eva", ""),
        ("tiny", "finished", "eva", "lab"),
    ]
    assert (sweeps[1].best, sweeps[1].trials_text()) == ((0.5, 1), "5/5 (2 failed)")
    assert sweeps[0].driver
    assert [column.heading for column in columns(sweeps)][-1] == "driven by"
    assert json.dumps([sweep.as_dict() for sweep in sweeps])


def test_names_of_people_and_teams_are_shown_as_they_are(project):
    """And a team that is called like an end of markup hides nobody's sweeps."""
    Script(name="one", team="[/lab]").write(project)
    Script(name="two", team="[bold]").write(project)
    console = Console(file=io.StringIO(), width=120)
    console.print(fitted(columns(listed(project)[0]), 120))
    assert all(team in console.file.getvalue() for team in ("[/lab]", "[bold]"))


def test_a_sweep_of_a_newer_release_does_not_hide_the_others(project):
    Script(name="good").write(project)
    newer = Script(name="newer")
    newer.events.append({"e": "teleport", "t": newer.now})
    newer.write(project)
    sweeps, damaged = listed(project)
    assert [sweep.name for sweep in sweeps] == ["good"]
    assert "sweep newer: has an event of an unknown kind" in damaged[0]


def test_mine_are_those_that_i_began_or_drove(project):
    a_whole_story().write(project)
    Script(name="other", team="hall").write(project)
    assert [s.name for s in listed(project, user="anna")[0]] == ["tiny"]
    assert [s.name for s in listed(project, user="eva")[0]] == ["tiny", "other"]
    assert listed(project, user="nobody")[0] == []
    assert [s.name for s in listed(project, team="hall")[0]] == ["other"]


def test_a_damaged_journal_does_not_hide_the_others(project):
    Script(name="good").write(project)
    bad = Script(name="bad").write(project)
    bad.journal.write_bytes(b"x" + bad.journal.read_bytes()[1:])
    sweeps, damaged = listed(project)
    assert [sweep.name for sweep in sweeps] == ["good"]
    assert len(damaged) == 1
    assert "bad/journal: is damaged at byte 0" in damaged[0]


def test_all_about_one_sweep(project):
    folder = a_whole_story().write(project)
    description = Description.of(folder)
    rows = description.rows()
    text = dict(rows)
    assert text["status"] == "finished"
    assert text["by"].startswith("eva, team lab, 20")
    assert text["trials"] == "2 finished, 1 stopped, 2 failed; 5 of 5 over"
    assert text["best"] == "val_uar 0.500: trial 1, epoch 2, stage1.p=3 stage2.k=1"
    assert text["failed"] == "2 trials, first 3 (stage1.p=3 stage2.k=3): ModelError: k is 9"
    assert text["stage 1"] == "75 % reused (1 computed, 3 loaded, 0 waited for)"
    assert text["changed"] == "budget.hours: none -> 2.0"
    assert text["search"].startswith("tpe with asha, seed 0, at most 5 trials and 2 hours; val_uar")
    assert text["refit"] == (
        "trial 1 at epoch 2: UAR 0.520 on the outer fold (raw 0.410); the fold has been opened 2 times"
    )
    assert text["next"].startswith("jmml model register")
    sessions = {column.heading: column.cells for column in description.sessions()}
    assert list(sessions["session"]) == ["eva", "anna"]
    assert list(sessions["trials"]) == ["4", "1"]
    assert sessions["resources"][1] == "2 at a time, 2 CPUs, 1 GPU at 10.0.0.5:6379"


def test_what_does_not_vary_is_named_apart(project):
    rows = dict(Description.of(a_whole_story().write(project)).rows())
    assert "stage2.hidden" not in rows["space"]
    assert rows["fixed"] == "stage2.hidden=8"
    folder = Script(name="alone", space={"stage1.p": {"choice": [3]}}).write(project)
    rows = dict(Description.of(folder).rows())
    assert "space" not in rows
    assert rows["fixed"] == "stage1.p=3"


def test_what_mlflow_lacks(project):
    folder = a_whole_story().write(project)
    description = Description.of(folder)
    size = folder.journal.stat().st_size
    assert description.waiting == size
    folder.shipped.write_text(json.dumps({"run_id": "abc", "offset": size - 100}))
    assert description.waiting == 100
    assert description.tracking() == "run abc, 100 bytes of the journal not yet written"
    folder.shipped.write_text(json.dumps({"run_id": "abc", "offset": size}))
    assert description.tracking() == "run abc, complete"
    assert replace(description, status="stopped").tracking() == "run abc, up to date"
    assert (
        replace(description, status="interrupted").tracking()
        == "run abc, left open; `jmml sweep stop tiny` closes it"
    )
    for text in ("{}", "no JSON", json.dumps({"run_id": "another", "offset": size})):
        folder.shipped.write_text(text)
        assert description.waiting == size


@pytest.mark.parametrize(
    ("closing", "status", "following"),
    [
        (None, "interrupted", "jmml sweep resume tiny"),
        ("stopped", "stopped", "jmml sweep resume tiny"),
        ("failed", "failed", "jmml sweep resume tiny"),
    ],
)
def test_what_comes_next(project, closing, status, following):
    script = Script()
    script.start(1)
    if closing:
        script("close", state=closing, reason="why")
    description = Description.of(script.write(project))
    assert (description.status, description.next_step()) == (status, following)
    assert "1 waiting" in dict(description.rows())["trials"]
    with SweepFolder.of(project, "tiny").hold():
        assert Description.of(SweepFolder.of(project, "tiny")).next_step() == "jmml sweep watch tiny"


@pytest.mark.parametrize(
    ("changes", "following"),
    [
        (
            {"space": {"stage2.lr": {"loguniform": [1e-3, 1e-2]}}},
            "; more trials: jmml sweep extend tiny --trials 50",
        ),
        ({"space": {"stage1.p": {"int": [1, 9]}}}, "; more trials: jmml sweep extend tiny --trials 5"),
        ({"space": {"stage1.p": {"int": [1, 4]}}}, ""),
        ({"pbt": {"interval": 2}}, ""),
    ],
)
def test_more_trials_are_proposed_where_they_can_be_added(project, changes, following):
    script = Script()
    script.events[0]["definition"] |= changes
    for number in (1, 2, 3, 4):
        script.trial(number, [0.3])
    script("refit", trial=1, epoch=1, configuration={}, metrics={}, comparison=[], opened=1)
    script("close", state="finished", reason="")
    assert Description.of(script.write(project)).next_step() == f"jmml model register{following}"


def test_the_refit_is_said_and_extensions_count(project):
    script = Script()
    for number in (1, 2, 3, 4):
        script.trial(number, [0.3])
    script("close", state="finished", reason="")
    folder = script.write(project)
    assert "now" not in dict(Description.of(folder).rows())
    with folder.hold():
        assert dict(Description.of(folder).rows())["now"] == CLOSING
    script.session("extend")
    script("extend", trials=2, user="eva")
    rows = dict(Description(folder, script.state, "running").rows())
    assert "now" not in rows
    assert "at most 6 trials;" in rows["search"]


def test_top_trials_and_the_dictionary_for_machines(project):
    description = Description.of(a_whole_story().write(project))
    assert [trial.number for trial in description.top(None)] == [1, 5, 2, 3, 4]
    data = description.as_dict(2)
    assert [trial["trial"] for trial in data["trials"]] == [1, 5]
    assert (data["status"], data["counts"]["failed"], data["stage1"]["hit_rate"]) == ("finished", 2, 0.75)
    assert [session["trials"] for session in data["sessions"]] == [4, 1]
    assert data["mlflow"]["run_id"] == "abc"
    assert data["best"]["configuration"] == {"stage1.p": 3, "stage2.k": 1}


def test_the_best_is_trained_to_its_best_epoch():
    script = a_whole_story()
    trial, method = best_method(script.state)
    assert trial.number == 1
    assert (method.stage1.p, method.stage2.k, method.stage2.epochs) == (3, 1, 2)
    assert method.stage2.lr == MethodConfig().stage2.lr
    assert method_of(script.state, script.state.trials[5]).stage2.epochs == 1
    with pytest.raises(SweepError, match="no trial has a score yet"):
        best_method(Script().state)


def test_the_search_in_words():
    objective = {"score": "lower-bound", "cost": "inference"}
    words = search_text(
        SweepDefinition.model_validate(DEFINITION | {"scheduler": {"name": "none"}, "objective": objective})
    )
    assert words.startswith("tpe, seed 0")
    assert "lower bound of val_uar at little inference cost" in words

"""The record of a study: what it says while it is driven, how it ends, what is changed when it goes on."""

from __future__ import annotations

import io
import json
import os
import threading

import pytest
import yaml
from rich.console import Console

from jmml.errors import ConfigError, ModelError, ProjectError, SweepError
from pipelines.cache.cells import CellStore
from pipelines.study.define.plan import plan
from pipelines.study.run.continuing import check_changes, to_resume
from pipelines.study.run.folder import Progress, StudyFolder
from pipelines.study.run.folder import begun as listed
from pipelines.study.run.runner import resume_study, run_study
from pipelines.study.run.watch import results, watch
from pipelines.workspace.project import Project
from tests.pipelines.study import fakes
from tests.pipelines.study.studies import CELLS, make
from tests.waiting import until

ONE_SEED = make(seeds=[0])
HALF = CELLS // 2


def begun(project, definition=ONE_SEED, **options):
    """The record of a study that has begun, and whose driver is not there."""
    folder = StudyFolder.of(project, "tiny")
    with folder.hold():
        progress = Progress.of(folder, plan(project, definition), id=None, **options)
        progress.begin()
        return folder, progress


def test_a_record_says_how_far_the_study_is_and_how_it_ended(computed):
    folder, progress = begun(computed, make(seeds=[0, 2]))
    assert StudyFolder.all(computed)[0].name == StudyFolder.find(computed, "tiny").name == "tiny"
    assert (progress.status.total, progress.status.kept) == (CELLS, HALF)
    assert folder.state(folder.status()) == "interrupted"
    progress.note(done=1, last="lab, fold 0", left="about 20 s left")
    assert folder.status() == progress.status
    assert folder.status().cells == f"{HALF + 1} of {CELLS} cells are kept"
    with folder.hold():
        assert folder.state(folder.status()) == "running"
        with progress.closing():
            pass
    assert (folder.state(folder.status()), folder.status().left) == ("finished", "")


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (ModelError("no such width", where="stage1.p"), "failed", "stage1.p: no such width"),
        (KeyboardInterrupt(), "stopped", "interrupted"),
        (SystemExit(143), "stopped", "terminated"),
    ],
)
def test_what_ended_a_study_is_noted(project, error, state, reason):
    folder, progress = begun(project)
    with pytest.raises(type(error)), progress.closing():
        raise error
    assert (folder.status().state, folder.status().reason) == (state, reason)


def test_what_has_not_begun_leaves_the_record_of_the_driver_before(project):
    folder, progress = begun(project)
    progress.note(done=3, state="stopped", reason="interrupted")
    again = Progress.of(folder, plan(project, ONE_SEED), id=None)
    with pytest.raises(KeyboardInterrupt), again.closing():
        raise KeyboardInterrupt  # while Ray starts
    assert folder.status() == progress.status


def test_who_asked_is_noted(project):
    folder, progress = begun(project)
    folder.ask_to_stop()
    with pytest.raises(KeyboardInterrupt), progress.closing():
        raise KeyboardInterrupt
    assert folder.status().reason.startswith("stopped by ")


def test_a_disk_that_is_full_hides_no_other_error(project, monkeypatch):
    _, progress = begun(project)

    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.study.run.folder.atomic_path", full)
    with pytest.raises(ModelError), progress.closing():
        raise ModelError("diverged")
    with pytest.raises(SweepError, match=r"status\.json: cannot be written: No space left on device"):
        progress.note(done=1)


def test_a_damaged_record_stops_a_resumption_and_no_new_start(computed, without_ray, short_report):
    folder, _ = begun(computed)
    folder.record.write_text("{")
    with pytest.raises(SweepError, match="not a study's record, or damaged"):
        resume_study(computed, "tiny", quiet=True)
    assert run_study(computed, ONE_SEED, quiet=True).computed == 0
    assert folder.status().state == "finished"


def test_unfinished_studies_are_listed(computed):
    assert listed(computed) == []
    folder, progress = begun(computed, make(seeds=[0, 2]))
    (found,) = listed(computed)
    assert (found["name"], found["status"], found["done"], found["cells"]) == (
        "tiny",
        "interrupted",
        HALF,
        CELLS,
    )
    with pytest.raises(ModelError), progress.closing():
        raise ModelError("diverged")
    assert [(study["status"], study["reason"]) for study in listed(computed)] == [("failed", "diverged")]
    with progress.closing():
        pass
    assert listed(computed) == []
    folder.record.write_text("{")
    assert listed(computed) == []


def test_without_results_it_is_said_how_far_the_study_is(project):
    folder, progress = begun(project)
    with pytest.raises(
        ProjectError, match=r"study tiny: no results yet; interrupted: .*jmml study resume tiny"
    ):
        results(project, "tiny")
    with folder.hold(), pytest.raises(ProjectError, match=r"yet; running, driven by .*jmml study watch tiny"):
        results(project, "tiny")
    with pytest.raises(ModelError), progress.closing():
        raise ModelError("diverged")
    with pytest.raises(ProjectError, match="no results yet; failed: diverged"):
        results(project, "tiny")


def test_there_is_no_such_study(untouched):
    with pytest.raises(
        SweepError, match=r"no study 'tiny'; there is none yet\. List them with `jmml study list`"
    ):
        resume_study(untouched, "tiny", quiet=True)


# Going on ----------------------------------------------------------------------------------------------


def test_what_has_changed_is_said_and_refused_unless_it_is_accepted(computed, monkeypatch):
    begun(computed)
    found = to_resume(computed, "tiny")
    assert found.changes == []
    check_changes(found, accepted=False)
    monkeypatch.setattr("pipelines.study.define.plan.code_digest", lambda: "f" * 64)
    found = to_resume(computed, "tiny", overrides=["seeds=0,1", "description=other words"])
    assert found.changes[0] == "seeds: [0] -> [0, 1]"
    assert found.changes[1].startswith("code: ")
    assert found.changes[1].endswith(" -> ffffffffffff...")
    assert len(found.changes) == 2
    with pytest.raises(ConfigError, match=r"study tiny: 3 problems: changed since the study began: seeds"):
        check_changes(found, accepted=False)
    check_changes(found, accepted=True)
    with pytest.raises(ConfigError, match="did you mean 'seeds'"):
        to_resume(computed, "tiny", overrides=["sedes=0"])


def test_another_device_is_a_change_and_another_of_the_same_kind_is_none(computed):
    """Its cells have other names: those that are there would be computed again without a word."""

    def on(device):
        text = {**yaml.safe_load(computed.params_path.read_text()), "device": device}
        computed.params_path.write_text(yaml.safe_dump(text))
        return Project(computed.root)

    begun(on("cpu"))
    assert to_resume(on("cuda:1"), "tiny").changes == ["device: cpu -> cuda"]
    begun(on("cuda"))
    assert to_resume(on("cuda:1"), "tiny").changes == []


def test_the_workers_are_those_of_before_unless_others_are_wanted(computed):
    begun(computed, workers=3)
    assert to_resume(computed, "tiny").plan.workers == 3
    assert to_resume(computed, "tiny", workers=2).plan.workers == 2


@pytest.mark.usefixtures("without_ray", "short_report")
def test_a_study_computed_anew_goes_on_with_what_is_new(computed, tmp_path):
    run_study(computed, ONE_SEED, quiet=True)
    for path in CellStore.of(computed.root).folder.glob("??/*/cell.json"):
        os.utime(path, (1, 1))  # long ago
    with pytest.raises(ModelError):
        run_study(computed, ONE_SEED, quiet=True, recompute=True, cell=fakes.Fails(tmp_path / "one", "jmml"))
    new = StudyFolder.of(computed, "tiny").status().done
    assert 2 <= new < HALF
    rest = fakes.Recorder(tmp_path / "two")
    assert resume_study(computed, "tiny", quiet=True, cell=rest).computed == len(rest.calls) == HALF - new
    assert resume_study(computed, "tiny", quiet=True).computed == 0


# Watching ----------------------------------------------------------------------------------------------


def test_a_study_is_followed_to_its_end(project):
    folder, progress = begun(project, workers=2, address="10.0.0.5:6379")
    console, result = Console(file=io.StringIO(), width=200), []

    def says(text):
        until(lambda: text in console.file.getvalue(), f"{text!r} on the screen", seconds=30)

    with folder.hold():
        thread = threading.Thread(
            target=lambda: result.append(watch(folder, console, interval=0.2)), daemon=True
        )
        thread.start()
        says(f"process {os.getpid()})")
        says("on the cluster 10.0.0.5:6379")
        says(f"\n0 of {HALF} cells\n")
        progress.note(done=3, last="lab, fold 0, seed 0, jmml: UAR 0.500", left="about 20 s left")
        says(f"\n3 of {HALF} cells, about 20 s left; last: lab, fold 0, seed 0, jmml: UAR 0.500\n")
        progress.note(state="publishing")
        says("all cells are there; the report is written and tracked\n")
        assert result == []
        progress.note(state="stopped", reason="stopped by eva")
    until(lambda: not thread.is_alive(), "the end of the watching", seconds=30)
    assert result == ["stopped"]
    assert console.file.getvalue().splitlines()[-1] == "study tiny stopped: stopped by eva"


def test_a_study_whose_driver_died_is_said_to(computed):
    folder, _ = begun(computed)
    console = Console(file=io.StringIO(), width=200)
    assert watch(folder, console) == "interrupted"
    first, second = console.file.getvalue().splitlines()
    assert first.endswith("interrupted: its driver died; go on with `jmml study resume tiny`")
    assert second == f"{HALF} of {HALF} cells ({HALF} kept from before)"
    screen = Console(file=io.StringIO(), width=200, force_terminal=True)
    assert watch(folder, screen, interval=0.2) == "interrupted"
    assert "jmml study resume tiny" in screen.file.getvalue()


def test_the_record_is_plain_json(project):
    folder, progress = begun(project)
    found = json.loads(folder.record.read_text())
    assert found["definition"] == ONE_SEED.plain()
    assert found["digest"] == progress.status.digest == plan(project, ONE_SEED).digest

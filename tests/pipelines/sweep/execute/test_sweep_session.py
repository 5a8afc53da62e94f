"""What a driver's session does before and after the search; the whole is in test_run.py."""

from __future__ import annotations

import signal
import time
from types import SimpleNamespace

import pytest

from jmml.config import MethodConfig
from jmml.errors import ConfigError, SweepError, TrackingError
from pipelines.sweep.definition.reading import check
from pipelines.sweep.execute import capacity, sweep_session
from pipelines.sweep.execute.naming import unused
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.journal import Journal
from pipelines.sweep.record.state import SweepState
from pipelines.sweep.record.words import kept
from pipelines.sweep.show.display import Display
from pipelines.workspace import environment, signals
from tests.pipelines.sweep.projects import definition
from tests.pipelines.sweep.scripts import Script, bare_project, write_events


@pytest.fixture
def project(tmp_path):
    return bare_project(tmp_path)


def test_a_name_is_numbered_once_its_sweep_is_finished_and_refused_before(project):
    assert unused(project, "tiny", exact=True).name == "tiny"
    Journal(SweepFolder.of(project, "tiny").journal).close()  # a start that a full disk cut off: no sweep
    assert unused(project, "tiny", exact=True).name == "tiny"
    script = Script()
    folder = script.write(project)
    with pytest.raises(SweepError, match=r"begun and is not finished.*jmml sweep resume tiny"):
        unused(project, "tiny", exact=False)
    with folder.hold(), pytest.raises(SweepError, match="is being driven by"):
        unused(project, "tiny", exact=False)
    writer = Journal(folder.journal)
    writer.append("close", state="finished", reason="")
    writer.close()
    assert unused(project, "tiny", exact=False).name == "tiny-2"
    with pytest.raises(SweepError, match=r"exists already: 0 of 4 trials"):
        unused(project, "tiny", exact=True)


def test_a_failed_sweep_is_numbered_only_where_it_has_nothing_to_go_on_from(project):
    for name, scores in (("empty", None), ("some", [0.5])):
        script = Script()
        if scores:
            script.trial(1, scores)
        script("close", state="failed", reason="the store was away")
        write_events(SweepFolder.of(project, name).journal, script.events)
    assert unused(project, "empty", exact=False).name == "empty-2"
    with pytest.raises(SweepError, match=r"begun and is not finished.*jmml sweep resume some"):
        unused(project, "some", exact=False)


def test_a_request_to_stop_and_ctrl_c_are_seen(project, monkeypatch):
    folder = Script().write(project)
    clock, pressed = [0.0], [False]
    monkeypatch.setattr(signals.time, "monotonic", lambda: clock[0])
    wanted = signals.stop_wanted(lambda: pressed[0], lambda: folder.asked_to_stop)
    folder.ask_to_stop()
    assert wanted() is None  # once a second
    clock[0] = 1.0
    assert isinstance(wanted(), KeyboardInterrupt)
    assert sweep_session._reason(KeyboardInterrupt(), asked=folder.asked_to_stop).startswith("stopped by ")
    assert wanted() is None
    pressed[0] = True
    assert isinstance(wanted(), KeyboardInterrupt)
    assert sweep_session._reason(KeyboardInterrupt(), asked=None) == "interrupted"


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_a_request_to_stop_ends_what_is_not_the_search(project, handler):
    folder = Script().write(project)
    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt), signals.heeding(lambda: folder.asked_to_stop):
            folder.ask_to_stop()
            time.sleep(10)  # the request ends it
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_sweep_without_a_best_trial_says_why():
    with pytest.raises(SweepError, match=r"sweep tiny: no trial was run: the budget was used up before"):
        sweep_session._best(Script().state)
    script = Script()
    script.trial(2, [], "failed", error="ValueError: second")
    script.trial(1, [0.5], "failed", error="ValueError: first")
    with pytest.raises(SweepError, match=r"all 2 trials failed; trial 1 .*ValueError: first"):
        sweep_session._best(script.state)


def test_checkpoints_of_other_settings_are_gone_before_these_are_accepted(project, monkeypatch):
    """A driver that dies between the two must not leave checkpoints that fail the trials of the next."""
    folder = Script().write(project)
    order = []
    monkeypatch.setattr(SweepFolder, "discard_checkpoints", lambda self: order.append("discarded"))
    append = Journal.append

    def entered(self, kind, **values):
        order.append(kind)
        if kind == "accept":
            raise SweepError("here the test ends")
        return append(self, kind, **values)

    monkeypatch.setattr(Journal, "append", entered)
    monkeypatch.setattr(sweep_session.Tracker, "connect", lambda project: None)
    monkeypatch.setattr(sweep_session.lineage, "collect", lambda project, corpora: None)
    monkeypatch.setattr(sweep_session, "ray_for", _no_ray)
    accepted = {"changes": [], "definition": {}, "base": {}, "fingerprint": {}, "total": 4}
    begun = _session(project, folder, "resume", folder.length, [("accept", accepted)])
    with pytest.raises(SweepError, match="here the test ends"):
        begun.run()
    assert order == ["session", "discarded", "accept"]


def _session(project, folder, mode, length, opening):
    return sweep_session.SweepSession(
        project, _Plan(), 4, folder, length, mode, opening, None, True, None, lambda: iter(()), Display
    )


@pytest.mark.parametrize("mode", ["resume", "extend"])
def test_a_sweep_that_someone_drove_since_it_was_read_is_not_gone_on_with(project, mode):
    script = Script()
    folder = script.write(project)
    begun = _session(project, folder, mode, folder.length, [])
    journal = Journal(folder.journal)
    journal.append("extend", trials=2, user="eva")
    journal.close()
    written = folder.journal.read_bytes()
    with pytest.raises(SweepError, match="was driven by someone else meanwhile"):
        begun.run()
    assert folder.journal.read_bytes() == written
    assert not folder.held


def test_a_new_sweep_does_not_take_a_name_that_was_taken_meanwhile(project):
    folder = Script().write(project)
    written = folder.journal.read_bytes()
    with pytest.raises(SweepError, match="exists already"):
        _session(project, folder, "run", None, []).run()
    assert folder.journal.read_bytes() == written


@pytest.mark.parametrize(
    ("raised", "state", "said"),
    [
        (KeyboardInterrupt(), "stopped", r"interrupted; 0 of 4 .*jmml sweep resume tiny"),
        (TrackingError("away", where="http://h"), "failed", "away"),
    ],
)
def test_whatever_ends_a_session_before_its_run_is_there_the_journal_says_so(
    project, monkeypatch, raised, state, said
):
    class Store:
        def start_sweep(self, *args, **options):
            raise raised

    monkeypatch.setattr(sweep_session.Tracker, "connect", lambda project: Store())
    monkeypatch.setattr(sweep_session.lineage, "collect", lambda project, corpora: None)
    monkeypatch.setattr(sweep_session, "ray_for", _no_ray)
    monkeypatch.setattr(sweep_session.artifacts, "sweep_params", lambda plan: {})
    monkeypatch.setattr(sweep_session.artifacts, "sweep_tags", lambda plan, state: {})
    folder = Script().write(project)
    begun = _session(project, folder, "resume", folder.length, [])
    begun.plan.definition, begun.plan.params = check(definition()), SimpleNamespace(method=MethodConfig())
    with pytest.raises(SweepError if state == "stopped" else TrackingError, match=said):
        begun.run()
    assert folder.state().closed["state"] == state
    assert not folder.held


@pytest.mark.parametrize("name", [environment.PATIENCE, environment.STAGE1_GB])
@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf"])
def test_a_wrong_setting_of_the_environment_is_said_before_anything_starts(project, monkeypatch, name, text):
    monkeypatch.setenv(name, text)
    folder = SweepFolder.of(project, "new")
    with pytest.raises(ConfigError, match=rf"{name}.*'{text}'"):
        _session(project, folder, "run", None, []).run()
    assert not folder.path.exists()


class _Plan:
    project = None
    corpora = ()
    definition = check(definition())


def _no_ray(*args, **options):
    from contextlib import nullcontext

    return nullcontext(capacity.Capacity(1, 1.0, 0.0, None))


def test_gpus_that_are_not_there_are_counted_and_not_asked_for_in_the_settings(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    wants = check(definition(resources={"gpus": 0.5}))
    there = capacity.gpus_here(wants.resources.gpus)
    with pytest.raises(SweepError, match=r"takes 0\.5 GPUs, and there are 0\. Leave resources\.gpus out"):
        wants.trials_at_a_time(cpus=2, gpus=there)
    assert capacity.gpus_here(0.0) == 0


def test_what_is_kept_is_said():
    assert kept(SweepState(total=3)) == "0 of 3 trials are done and kept"
    assert kept(SweepState(total=3, over=1)) == "1 of 3 trials is done and kept"
    assert kept(Script().trial(1, [0.25])).endswith("best score 0.250 (trial 1)")

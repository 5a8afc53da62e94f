from __future__ import annotations

import io
import os
import threading

import pytest
from rich.console import Console

from jmml.errors import SweepError
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.journal import Journal
from pipelines.sweep.show.watch import Watcher, driver_text, watch
from pipelines.sweep.show.words import CLOSING
from tests.pipelines.sweep.scripts import Script, bare_project
from tests.waiting import until


@pytest.fixture
def project(tmp_path):
    return bare_project(tmp_path)


def pipe(width=100):
    return Console(file=io.StringIO(), width=width)


def wait_for(console, text):
    until(lambda: text in console.file.getvalue(), f"{text!r} on the screen", seconds=30)


def start_watching(folder, console):
    """A thread that watches, and the list that takes what `watch` returns."""
    result = []
    thread = threading.Thread(target=lambda: result.append(watch(folder, console, interval=0.2)), daemon=True)
    thread.start()
    return thread, result


def append(folder, events):
    journal = Journal(folder.journal)
    for event in events:
        journal.append(event["e"], **{key: value for key, value in event.items() if key != "e"})
    journal.close()


def test_a_watcher_reads_what_is_new_and_names_the_trials_that_ended(project):
    script = Script()
    script.trial(1, [0.3])
    folder = script.write(project)
    watcher = Watcher(folder)
    assert [trial.number for trial in watcher.look()] == [1]
    assert watcher.look() == []
    place = watcher._follower.offset
    assert place == folder.journal.stat().st_size
    known = len(script.events)
    script.start(2)
    script.trial(3, [0.5])
    append(folder, script.events[known:])
    with folder.journal.open("r+b") as handle:  # whoever reads it again from the start finds damage
        handle.write(b"x")
    assert [trial.number for trial in watcher.look()] == [3]
    assert watcher.state == script.state


def test_a_damaged_journal_is_said(project):
    folder = Script().write(project)
    with folder.journal.open("r+b") as handle:
        handle.write(b"x")
    with pytest.raises(SweepError, match="damaged at byte 0"):
        Watcher(folder).look()


def test_once_prints_one_frame_although_the_sweep_goes_on(project):
    script = Script()
    script.trial(1, [0.3])
    folder = script.write(project)
    console = pipe()
    with folder.hold():
        assert watch(folder, console, once=True) == "running"
    text = console.file.getvalue()
    assert "1 of 4 trials" in text
    assert f"(process {os.getpid()}) since" in text


def test_in_a_pipe_each_trial_that_ends_is_a_line_and_the_end_of_the_sweep_is_the_end(project):
    script = Script()
    script.trial(1, [0.3])
    folder = script.write(project)
    console = pipe()
    with folder.hold():
        thread, result = start_watching(folder, console)
        wait_for(console, "1 of 4 trials")
        known = len(script.events)
        script.trial(2, [0.5])
        append(folder, script.events[known:])
        wait_for(console, "trial 2/4")
        assert result == []
        known = len(script.events)
        script.trial(3, [0.1], "stopped")
        script("close", state="stopped", reason="asked to")
        append(folder, script.events[known:])
    until(lambda: not thread.is_alive(), "the end of the watching", seconds=30)
    assert result == ["stopped"]
    lines = console.file.getvalue().splitlines()
    assert [row.split(":")[0] for row in lines if row.startswith("trial ") and "/" in row] == [
        "trial 2/4 finished",
        "trial 3/4 stopped",
    ]
    assert lines[-1] == "sweep tiny stopped: asked to"


def test_in_a_pipe_the_end_of_the_driver_is_said_and_so_is_the_refit(project):
    script = Script(total=2)
    script.trial(1, [0.3])
    folder = script.write(project)
    console = pipe()
    with folder.hold():
        thread, result = start_watching(folder, console)
        wait_for(console, "1 of 2 trials")
        known = len(script.events)
        script.trial(2, [0.5])
        append(folder, script.events[known:])
        wait_for(console, CLOSING)
        assert result == []
    until(lambda: not thread.is_alive(), "the end of the watching", seconds=30)
    assert result == ["interrupted"]
    lines = console.file.getvalue().splitlines()
    assert lines.count(CLOSING) == 1
    assert lines[-1] == "sweep tiny interrupted: its driver died; go on with `jmml sweep resume tiny`"


def test_a_frame_during_the_refit_says_so(project):
    script = Script(total=1)
    script.trial(1, [0.3])
    folder = script.write(project)
    console = pipe()
    with folder.hold():
        watch(folder, console, once=True)
    assert CLOSING in console.file.getvalue()
    assert "left" not in console.file.getvalue()


def test_a_terminal_gets_a_last_frame_when_the_sweep_closes(project):
    script = Script(total=1)
    script.trial(1, [0.3])
    script("close", state="finished", reason="")
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, legacy_windows=False)
    assert watch(script.write(project), console) == "finished"
    text = console.file.getvalue()
    assert "finished" in text
    assert "\x1b[?25h" in text  # the cursor is back


def test_who_drives_it_or_how_it_ended(project):
    script = Script()
    folder = script.write(project)
    assert "go on with `jmml sweep resume tiny`" in driver_text(folder, script.state, "interrupted")
    script("close", state="stopped", reason="asked to by anna")
    assert driver_text(folder, script.state, "stopped") == "stopped: asked to by anna"
    script.session("resume", address="10.0.0.5:6379")
    with folder.hold():
        folder.ask_to_stop()
        text = driver_text(folder, script.state, "running")
    assert "on the cluster 10.0.0.5:6379; asked to stop by " in text


def test_watching_begins_while_the_driver_starts_ray(project):
    folder, console = SweepFolder.of(project, "tiny"), pipe()
    script = Script()
    script.trial(1, [0.3])
    with folder.hold():
        thread, result = start_watching(folder, console)
        wait_for(console, "sweep tiny is being started by ")
        append(folder, script.events)
        wait_for(console, "best")
        append(folder, [{"e": "close", "state": "stopped", "reason": "interrupted"}])
    until(lambda: not thread.is_alive(), "the end of the watching", seconds=30)
    assert result == ["stopped"]


def test_a_driver_that_ends_before_it_began_ends_the_watching(project):
    folder = SweepFolder.of(project, "tiny")
    with pytest.raises(SweepError, match="sweep tiny: ended before it began"):
        watch(folder, pipe())

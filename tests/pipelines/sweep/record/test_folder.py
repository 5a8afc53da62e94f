from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from jmml.errors import SweepError
from pipelines.sweep.record.folder import SweepFolder, status
from pipelines.sweep.record.journal import Journal
from pipelines.workspace.team import share_with_team, shared_folder, stage1_folder
from tests.pipelines.sweep.scripts import Script, bare_project

HOLD = """
import sys, time
from pathlib import Path
from pipelines.sweep.record.folder import SweepFolder
with SweepFolder(Path(sys.argv[1])).hold():
    print("held", flush=True)
    time.sleep(600)
"""


@contextmanager
def another_driver(folder):
    """A process of its own that holds the sweep."""
    command = [sys.executable, "-c", HOLD, str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def project(tmp_path):
    return bare_project(tmp_path)


@pytest.fixture
def folder(project):
    return SweepFolder.of(project, "tiny")


def test_a_second_driver_is_told_who_holds_it_and_what_to_do(folder):
    with another_driver(folder) as process:
        assert folder.held
        with pytest.raises(SweepError) as caught, folder.hold():
            pass
        message = str(caught.value)
        assert f"on {socket.gethostname()} (process {process.pid}) since 20" in message
        assert "jmml sweep watch tiny" in message
        assert "jmml sweep stop tiny" in message
        assert folder.holder()["pid"] == process.pid


def test_the_lock_of_a_process_that_was_killed_is_free(folder):
    with another_driver(folder) as process:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not folder.held
        assert folder.holder()["pid"] == process.pid  # nobody could take that away
        with folder.hold():
            assert folder.holder()["pid"] == os.getpid()
            assert folder.held
    assert not folder.held
    assert folder.holder() == {}


def test_people_who_look_do_not_take_each_other_for_the_driver(project, folder):
    Script().write(project)
    with folder.hold():
        pass
    with (folder.path / "lock").open("rb") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        assert not folder.held


def test_a_request_to_stop_is_seen_and_does_not_outlive_the_driver(project, folder):
    with pytest.raises(SweepError, match="cannot be asked to stop: No such file"):
        folder.ask_to_stop()
    Script().write(project)
    with folder.hold():
        assert folder.asked_to_stop is None
        folder.ask_to_stop()
        assert folder.asked_to_stop
    assert folder.asked_to_stop is None
    folder.ask_to_stop()  # after its end
    with folder.hold():
        assert folder.asked_to_stop is None


def test_the_lock_is_given_back_when_the_driver_fails(folder):
    with pytest.raises(ZeroDivisionError), folder.hold():
        raise ZeroDivisionError
    assert not folder.held


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SweepError, match="cannot be made"), SweepFolder(tmp_path / "file" / "x").hold():
        pass


def test_sweeps_are_found_by_name_with_the_nearest_one_for_others(project):
    with pytest.raises(SweepError, match="no sweep 'tiny'; there is none yet"):
        SweepFolder.find(project, "tiny")
    Script(name="tiny").write(project)
    Script(name="other").write(project)
    assert [found.name for found in SweepFolder.all(project)] == ["other", "tiny"]
    assert SweepFolder.find(project, "tiny").state().name == "tiny"
    with pytest.raises(SweepError, match="no sweep 'tinny'; did you mean 'tiny'"):
        SweepFolder.find(project, "tinny")


def test_a_team_shares_a_folder(project, tmp_path, monkeypatch):
    assert shared_folder(project) == project.mlruns_dir.resolve()
    assert stage1_folder(project) == project.root / ".jmml" / "stage1"
    team = tmp_path / "team"
    monkeypatch.setenv("JMML_SHARED", str(team))
    with pytest.raises(
        SweepError, match=r"^JMML_SHARED=\S+team: is not there; expected .* unset JMML_SHARED$"
    ):
        SweepFolder.all(project)
    team.write_text("")
    with pytest.raises(SweepError, match="is not a folder"):
        stage1_folder(project)
    team.unlink()
    team.mkdir()
    assert SweepFolder.of(project, "tiny").path == tmp_path / "team" / "sweeps" / "tiny"
    assert stage1_folder(project) == tmp_path / "team" / "stage1"


def test_status(project):
    script = Script()
    folder = script.write(project)
    assert status(folder, script.state) == "interrupted"  # never closed, and nobody there
    script("close", state="stopped", reason="asked to")
    assert status(folder, script.state) == "stopped"
    with folder.hold():
        assert status(folder, script.state) == "running"


@pytest.mark.parametrize("begins", [False, True])
def test_no_folder_is_left_where_no_sweep_has_begun(project, folder, begins):
    with pytest.raises(ZeroDivisionError), folder.hold():
        Journal(folder.journal).close()  # as a disk leaves it that is full from the first event on
        if begins:
            Script().write(project)
        raise ZeroDivisionError
    assert folder.path.exists() is begins
    assert folder.begun is begins
    assert not folder.held


def test_a_journal_without_an_event_is_no_sweep_and_a_damaged_one_is_one(project, folder):
    Journal(folder.journal).close()
    assert (folder.begun, SweepFolder.all(project)) == (False, [])
    with pytest.raises(SweepError, match="no sweep 'tiny'"):
        SweepFolder.find(project, "tiny")
    assert not folder.grown(0)
    Script().write(project)
    assert folder.grown(0)
    assert not folder.grown(folder.length)
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(lines[0][:-9] + b"\n" + lines[1])
    assert folder.begun
    with pytest.raises(SweepError, match="damaged at byte 0"):
        SweepFolder.find(project, "tiny").state()


def test_what_the_team_writes_too_is_writable_as_far_as_the_umask_lets_it(folder):
    before = os.umask(0o002)
    try:
        with folder.hold():
            Journal(folder.journal).close()
            for path in (folder.path / "lock", folder.journal):
                assert path.stat().st_mode & 0o777 == 0o664
    finally:
        os.umask(before)


@pytest.mark.parametrize(("mode", "mask"), [(0o2775, 0o002), (0o755, 0o022)])
def test_what_lies_in_a_folder_of_the_team_is_the_team_s(tmp_path, mode, mask):
    tmp_path.chmod(mode)
    before = os.umask(0o022)
    try:
        share_with_team(tmp_path)
        share_with_team(tmp_path / "not there")
    finally:
        assert os.umask(before) == mask


def test_a_sweep_that_starts_is_said_to(tmp_path):
    """Half a minute, before Ray is there; then its first event."""
    project = bare_project(tmp_path)
    folder = SweepFolder.of(project, "tiny")
    with folder.hold():
        with pytest.raises(
            SweepError, match=r"sweep tiny: is being started by .* on .*Try again in a moment"
        ):
            SweepFolder.find(project, "tiny")
        assert SweepFolder.find(project, "tiny", starting=True).path == folder.path
    with pytest.raises(SweepError, match="no sweep 'tiny'"):
        SweepFolder.find(project, "tiny", starting=True)

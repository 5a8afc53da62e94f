"""What ends a driver, as it reaches a process of its own: finished cells stay, and the study goes on from there.

On Ray once; elsewhere the workers are those of :mod:`tests.pipelines.study.inline`, and the signals as real.
"""

from __future__ import annotations

import os
import shutil
import signal
import textwrap
import threading
from pathlib import Path

import pytest

from pipelines.cache.cells import CellStore
from pipelines.study.define.plan import plan
from pipelines.study.publish import record
from pipelines.study.publish.summary import folder_of
from pipelines.study.run.folder import StudyFolder
from pipelines.study.run.runner import resume_study, run_study
from pipelines.study.run.stopping import stop_study
from pipelines.tracking.run_tags import STUDY
from pipelines.tracking.tracker import Tracker
from pipelines.workspace.project import Project
from tests import forked
from tests.pipelines.study import fakes
from tests.pipelines.study.studies import CELLS, make
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("short_report")
ROOT = Path(__file__).parents[4]
FAST = ("raw", "jec-ssl")  # of the methods; the others take a minute
PROGRAM = textwrap.dedent(
    """
    import signal
    import sys
    from tests import workers as of_ray

    if sys.argv[4] == "ray":
        of_ray.serve_workers()
        of_ray.leave_out(*of_ray.LEFT_OUT_HERE)
    from contextlib import ExitStack
    from pathlib import Path
    from pytest import MonkeyPatch
    from rich.console import Console
    from jmml.errors import JMMLError
    from pipelines.workspace.signals import termination_as_exit
    from pipelines.study.publish import record
    from pipelines.study.run.runner import run_study
    from pipelines.tracking.tracker import Tracker
    from pipelines.workspace.project import Project
    from tests.pipelines.study import fakes
    from tests.pipelines.study.studies import make

    project, calls, workers, how = Project(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    cell = fakes.SlowFrom(calls, "jmml")
    with ExitStack() as stack:
        if how != "ray":
            from pipelines.study.run import workers as on_workers
            from tests.pipelines.study.inline import Inline

            Inline().replace(MonkeyPatch(), on_workers)
            stack.enter_context(termination_as_exit())  # as a session of Ray does
        if how == "publishing":
            cell = fakes.quick
            record.write_report = lambda folder, results: (folder / "report.html").write_text("done")

            def wait(*arguments):
                (calls / "publishing").touch()
                signal.pause()

            Tracker.log_file = wait
        calls.mkdir(exist_ok=True)
        try:
            run_study(project, make(), console=Console(), workers=workers, cell=cell)
        except JMMLError as error:
            print(error, file=sys.stderr)
            sys.exit(error.exit_code)
    """
)


def kept_cells(project):
    return len(list(CellStore.of(project.root).folder.glob("??/*/cell.json")))


def done(project):
    """Finished cells, as the record has them."""
    folder = StudyFolder.of(project, "tiny")
    return folder.status().done if folder.begun else 0


class Driver:
    """A process that drives the study of ``make()``; whatever happens, it is gone at the end."""

    def __init__(self, project, folder, *, workers=1, how="here"):
        self.calls, self.errors = folder / "calls", folder / "err"
        self.calls.mkdir()
        self.process = forked.script(
            PROGRAM,
            [str(project.root), str(self.calls), str(workers), how],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
            out=folder / "out",
            err=self.errors,
        )

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.process.kill()

    def reaches(self, reached, what):
        until(reached, what, alive=lambda: self.process.poll() is None, seconds=120, poll_s=0.05)

    def ends(self):
        until(lambda: self.process.poll() is not None, "the study is over")
        return self.process.returncode

    def says(self):
        (line,) = self.errors.read_text().strip().splitlines()  # nothing but our own message
        return line


def nothing_is_published(project):
    return Tracker.connect(project).runs(kind=STUDY) == [] and not folder_of(project, "tiny").exists()


def test_ctrl_c_on_ray_leaves_finished_cells_and_no_run(project, tmp_path):
    kept = 2 * len(FAST)
    with Driver(project, tmp_path, workers=2, how="ray") as driver:
        driver.reaches(lambda: done(project) == kept, "every worker is at a slow cell")
        os.killpg(driver.process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
        assert driver.ends() == 130, driver.errors.read_text()
    assert driver.says() == (
        f"study tiny: interrupted; {kept} of {CELLS} cells are kept. Go on with `jmml study resume tiny`"
    )
    assert nothing_is_published(project)
    planned = plan(project, make())
    assert (len(planned.cached), len(planned.missing)) == (kept, CELLS - kept)


@pytest.fixture(scope="module")
def undisturbed(complete, tmp_path_factory):
    """The tables of a study that nothing has ended."""
    project = Project(shutil.copytree(complete.root, tmp_path_factory.mktemp("undisturbed") / "project"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "write_report", lambda folder, results: (folder / "report.html").touch())
        return run_study(project, make(), quiet=True).published.summary.tasks


def goes_on(project, undisturbed, kept, **options):
    """Resume: what was kept is not computed again, and the tables are those of an undisturbed study."""
    result = resume_study(project, "tiny", quiet=True, cell=fakes.quick, **options)
    assert (result.kept, result.computed) == (kept, CELLS - kept)
    assert result.published.summary.tasks == undisturbed
    (run,) = Tracker.connect(project).runs(kind=STUDY)
    assert run.info.status == "FINISHED"
    assert StudyFolder.of(project, "tiny").status().state == "finished"
    return run


@pytest.mark.usefixtures("without_ray")
def test_a_study_whose_driver_was_killed_goes_on_to_the_same_tables(project, tmp_path, undisturbed):
    with Driver(project, tmp_path) as driver:
        driver.reaches(lambda: done(project) == len(FAST), "it is at a slow cell")
        driver.process.kill()
        assert driver.ends() == -signal.SIGKILL
    folder = StudyFolder.of(project, "tiny")
    assert folder.state(folder.status()) == "interrupted"
    assert nothing_is_published(project)
    said = stop_study(project, "tiny")
    assert said.startswith("study tiny: its driver had died; it is closed, ")
    assert said.endswith(f" of {CELLS} cells are kept. Go on with `jmml study resume tiny`")
    assert folder.status().state == "stopped"
    goes_on(project, undisturbed, kept=len(FAST))


@pytest.mark.usefixtures("without_ray")
def test_a_request_to_stop_and_a_termination_end_a_study(project, tmp_path, undisturbed):
    with Driver(project, tmp_path) as driver:
        driver.reaches(lambda: done(project) == len(FAST), "it is at a slow cell")
        driver.process.terminate()
        assert driver.ends() == 130, driver.errors.read_text()
    assert driver.says() == (
        f"study tiny: terminated; {len(FAST)} of {CELLS} cells are kept. Go on with `jmml study resume tiny`"
    )
    assert nothing_is_published(project)
    # From now on by a request, which the driver in this process sees once its next cell is there.
    asked = threading.Event()

    def asks(*arguments, **options):
        if not asked.is_set():
            asked.set()
            StudyFolder.of(project, "tiny").ask_to_stop()
        return fakes.quick(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.workspace.signals.ASK_SECONDS", 0.0)
        with pytest.raises(
            Exception, match=r"^study tiny: stopped by \S+; \d+ of 24 cells are kept"
        ) as caught:
            resume_study(project, "tiny", quiet=True, cell=asks)
    assert caught.value.exit_code == 130
    kept = kept_cells(project)
    assert len(FAST) < kept < CELLS
    assert (
        stop_study(project, "tiny") == f"study tiny is not running: stopped, {kept} of {CELLS} cells are kept"
    )
    goes_on(project, undisturbed, kept=kept)


@pytest.mark.usefixtures("without_ray")
def test_a_run_that_a_killed_driver_left_open_is_taken_up_again(project, tmp_path, undisturbed):
    with Driver(project, tmp_path, how="publishing") as driver:
        driver.reaches(lambda: (driver.calls / "publishing").exists(), "its run is open")
        driver.process.kill()
        driver.ends()
    (left,) = Tracker.connect(project).runs(kind=STUDY)
    assert left.info.status == "RUNNING"
    run = goes_on(project, undisturbed, kept=CELLS)
    assert run.info.run_id == left.info.run_id
    assert run.data.metrics


@pytest.mark.usefixtures("without_ray")
@pytest.mark.parametrize("closes", ["stop", "another"])
def test_a_run_that_a_killed_driver_left_open_is_closed(project, tmp_path, closes):
    with Driver(project, tmp_path, how="publishing") as driver:
        driver.reaches(lambda: (driver.calls / "publishing").exists(), "its run is open")
        driver.process.kill()
        driver.ends()
    if closes == "stop":
        assert "its driver had died" in stop_study(project, "tiny")
    else:
        run_study(project, make(seeds=[0]), quiet=True)
    left = Tracker.connect(project).runs(kind=STUDY)[-1]
    assert left.info.status == "KILLED"

"""A sweep under test: the processes of the real command line that drive it, and when to do what to them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.journal import Event, Follower
from pipelines.workspace.project import Project
from tests import forked, waiting
from tests.faults import drivers
from tests.jmml.tasks import small_method
from tests.pipelines.sweep.projects import definition, write_project
from tests.pipelines.tracked import _store

JMML = Path(sys.executable).with_name("jmml")
ROOT = Path(__file__).parents[2]  # the code under test
TRIALS, EPOCHS = 8, 6
# Limits on an idle machine (tests/waiting.py), never reached unless something is wrong.
PATIENCE_S = 60.0
GONE_S = 15.0  # Ray's processes notice within seconds that their driver was killed
SWEEP_S = 120.0  # for a whole sweep
CLEAN = (0, 130)  # exit codes of a driver that ended by itself and took everything along
RAYLET, GCS, WORKER = "raylet", "gcs_server", "ray::ImplicitFunc.train"
# Two of Ray's that wait a minute for a GCS that is gone: by their own names, and by their scripts while they start.
AGENTS = ("ray::DashboardAgent", "ray::RuntimeEnvAgent", "dashboard/agent.py", "runtime_env/agent/main.py")
CHANGING = {"stage2.lr": {"loguniform": [1e-4, 1e-2]}, "stage2.lam_c": {"uniform": [0.1, 3.0]}}
ALGORITHMS: dict[str, dict[str, Any]] = {
    "random": {"algorithm": "random", "lag": 2},
    "tpe": {"algorithm": "tpe", "lag": 3},
    "cma-es": {"algorithm": "cma-es", "lag": 3, "space": CHANGING},
    "hyperband": {"scheduler": {"name": "hyperband", "reduction": 2}},
    "asha": {"scheduler": {"name": "asha", "grace_epochs": 2, "reduction": 2}},
    "median": {"scheduler": {"name": "median", "grace_epochs": 2}, "algorithm": "tpe", "lag": 3},
    "pbt": {"algorithm": "pbt", "scheduler": None, "pbt": {"interval": 2}, "space": CHANGING},
}
# What a driver says besides an error: trials, what happens now, trouble with the store.
PROGRESS = re.compile(
    r"sweep \S+: (starting|joining|waiting for) Ray|trial \d+/\d+ |refitting trial |writing |MLflow cannot be written "
    r"|waiting |(\S+ )?best of "
)


def make_project(root: Path) -> Project:
    """A project with one definition per algorithm and an empty store; a trial takes a fraction of a second."""
    method = small_method(epochs=EPOCHS).model_dump()
    method["stage1"] |= {"epochs": 2, "batch_size": 128}
    method["classifier"]["options"] = {"tol": 0.1}  # what it finds need only be the same each time
    protocol = {"groups_per_fold": 2, "inner_folds": 2, "seeds": [0]}
    project = write_project(root, method=method, protocol=protocol)
    project.mlruns_dir.mkdir()
    shutil.copy(Path(_store().name) / "mlruns" / "mlflow.db", project.mlruns_dir)
    for name, changes in ALGORITHMS.items():
        text = yaml.safe_dump(definition(name=name, trials=TRIALS, seed=3, **changes))
        (root / f"{name}.yaml").write_text(text)
    return project


class Child:
    """One `jmml ...` process in a session of its own; Ray's processes inherit the session.

    Parameters
    ----------
    run : runs the words in a forked process, see :func:`tests.forked.command`.
    fresh : start a new interpreter instead, which imports what ``PYTHONPATH`` names.

    Attributes
    ----------
    out, err : files with what it printed.
    """

    def __init__(
        self,
        words: list[str],
        cwd: Path,
        environment: dict[str, str],
        *,
        run: Callable[[list[str]], None] | None = None,
        fresh: bool = False,
    ) -> None:
        self.words = words
        folder = Path(tempfile.mkdtemp(prefix="child-", dir=cwd))
        self.out, self.err = folder / "out", folder / "err"
        self.process: subprocess.Popen[bytes] | forked.Forked
        if fresh:
            with self.out.open("wb") as out, self.err.open("wb") as err:
                self.process = subprocess.Popen(
                    [str(JMML), *words],
                    cwd=cwd,
                    env=environment,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
        else:
            self.process = forked.command(
                words, cwd=cwd, env=environment, out=self.out, err=self.err, run=run
            )
        self.pid = self.process.pid

    def __str__(self) -> str:
        text = f"jmml {' '.join(self.words)}: exit code {self.process.poll()}\n"
        return text + self.out.read_text(errors="replace") + self.err.read_text(errors="replace")

    def wait(self, seconds: float = PATIENCE_S) -> int:
        """The exit code."""
        self._await(lambda: self.process.poll() is not None, "it ended", seconds)
        code = self.process.returncode
        assert code is not None
        return code

    def succeeds(self) -> None:
        assert self.wait(SWEEP_S) == 0, str(self)
        self.is_tidy()
        assert not self.errors(), str(self)

    def fails(self, code: int, *texts: str) -> str:
        """Ends with ``code`` and one line that has ``texts``; the line."""
        assert self.wait() == code, str(self)
        self.is_tidy()
        (line,) = self.errors() or [""]
        for text in texts:
            assert text in line, str(self)
        return line

    def errors(self) -> list[str]:
        lines = self.err.read_text(errors="replace").splitlines()
        return [line for line in lines if line.startswith("error: ")]

    def is_tidy(self) -> None:
        """Nothing on the terminal but progress, and errors in a line each."""
        lines = self.err.read_text(errors="replace").splitlines()
        odd = [line for line in lines if not line.startswith("error: ") and not PROGRESS.match(line)]
        assert not odd, str(self)
        assert len(self.errors()) <= 1, str(self)
        assert "Traceback" not in self.out.read_text(errors="replace"), str(self)

    def says(self, text: str) -> None:
        """Wait until it prints ``text``."""
        self.until(lambda: text in self.err.read_text(errors="replace"), f"it said '{text}'")

    def until(self, reached: Callable[[], bool], what: str) -> None:
        """Wait until something holds, while this process runs."""
        self._await(reached, what, PATIENCE_S, alive=lambda: self.process.poll() is None)

    def _await(
        self,
        reached: Callable[[], bool],
        what: str,
        seconds: float,
        alive: Callable[[], bool] | None = None,
    ) -> None:
        try:
            waiting.until(reached, what, seconds=seconds, alive=alive)
        except AssertionError as error:
            said = str(self)
            self.end()
            raise AssertionError(f"{error}: {said}") from None

    # Its processes ---------------------------------------------------------------------------------

    def family(self) -> list[psutil.Process]:
        """All processes of its session that live, itself included."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if os.getsid(process.pid) == self.pid and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def members(self, *names: str) -> list[psutil.Process]:
        """Processes of its session by the name of their program."""
        found = []
        for process in self.family():
            with suppress(psutil.Error):
                if _command(process) in names:
                    found.append(process)
        return found

    def kill(self) -> None:
        """kill -9 of this process alone."""
        self.process.kill()
        self.process.wait()

    def interrupt(self) -> None:
        """Ctrl-C, which a terminal sends to the whole process group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGINT)

    def terminate(self) -> None:
        """SIGTERM to this process alone."""
        self.process.terminate()

    def leaves_nothing(self) -> None:
        """No process of its session is left, but for Ray's agents where it did not end by itself."""
        tolerated = () if self.wait() in CLEAN else AGENTS

        def left() -> list[str]:
            named = [(process.pid, _command(process)) for process in self.family()]
            return [f"{pid} {name}" for pid, name in named if not name.endswith(tolerated)]

        try:
            waiting.until(lambda: not left(), "nothing is left of it", seconds=GONE_S, poll_s=0.1)
        except AssertionError as error:
            names = left()
            self.end()
            raise AssertionError(f"{error}: {names}; {self}") from None

    def end(self) -> None:
        """Kill what is left of it."""
        for process in self.family():
            with suppress(psutil.Error):
                process.kill()
        self.process.wait()


def _command(process: psutil.Process) -> str:
    """The name of its program, or the script that Python runs; Ray's workers put ``ray::`` and what they do there."""
    with suppress(psutil.Error, IndexError):
        words = process.cmdline()
        name = Path(words[0].strip()).name
        return (
            next((word for word in words[1:3] if word.endswith(".py")), name)
            if name.startswith("python")
            else name
        )
    return ""


class Sweep:
    """A sweep by name.

    Parameters
    ----------
    shared : its folder for journals and stage-1 results; a new one trains stage 1 anew.
    on_ray : whether its drivers start Ray; else its trials run in the driver's process.
    checkpoints : seconds between two checkpoints of a trial; those of a trial on Ray are the product's.
    environment : variables besides those of this process.
    """

    def __init__(
        self,
        project: Project,
        name: str,
        *,
        shared: Path,
        algorithm: str = "random",
        on_ray: bool = True,
        checkpoints: float = 0.0,
        **environment: str,
    ) -> None:
        self.project, self.name, self.shared, self.algorithm = project, name, shared, algorithm
        self._run = None if on_ray else drivers.alone
        shared.mkdir(parents=True, exist_ok=True)
        self.folder = SweepFolder(shared / "sweeps" / name)
        self.environment = {
            **{key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "COLUMNS")},
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "JMML_SHARED": str(shared),
            drivers.CHECKPOINTS: str(checkpoints),
            **environment,
        }
        self.children: list[Child] = []

    def jmml(self, *words: str, fresh: bool = False, **environment: str) -> Child:
        environment = {**self.environment, drivers.ORDER: str(len(self.children)), **environment}
        child = Child(["sweep", *words], self.project.root, environment, run=self._run, fresh=fresh)
        self.children.append(child)
        return child

    def run(self, **environment: str) -> Child:
        return self.jmml("run", f"{self.algorithm}.yaml", "--name", self.name, **environment)

    def resume(self, *words: str, fresh: bool = False, **environment: str) -> Child:
        return self.jmml("resume", self.name, *words, fresh=fresh, **environment)

    def stop(self) -> Child:
        return self.jmml("stop", self.name)

    def events(self) -> list[Event]:
        return list(Follower(self.folder.journal).read()) if self.folder.journal.exists() else []

    def count(self, kind: str, **values: Any) -> int:
        wanted = {"e": kind, **values}.items()
        return sum(
            wanted <= {k: v for k, v in e.items() if not isinstance(v, dict | list)}.items()
            for e in self.events()
        )

    def after(self, child: Child, kind: str, count: int = 1) -> None:
        """Wait until the journal has ``count`` events of a kind."""
        follower, seen = Follower(self.folder.journal), 0

        def reached() -> bool:
            nonlocal seen
            if self.folder.journal.exists():
                seen += sum(event["e"] == kind for event in follower.read())
            return seen >= count

        child.until(reached, f"event {kind} number {count}")

    def in_the_middle(self, child: Child, *, trials: int) -> None:
        """Wait until so many trials are over, and the next ones are at work."""
        self.after(child, "end", trials)
        self.after(child, "report", EPOCHS * trials + EPOCHS // 2)

    def end(self) -> None:
        for child in self.children:
            child.end()

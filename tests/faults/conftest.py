"""A project for each process of the test run, and the undisturbed sweeps, run once for all of them."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from threadpoolctl import threadpool_limits

from pipelines.sweep.runner import run_sweep
from pipelines.workspace.project import Project
from tests.pipelines.sweep.inline import without_ray

pytest.register_assert_rewrite("tests.faults.same")

from tests.faults.same import Outcome, outcome  # noqa: E402
from tests.faults.sweeps import Sweep, make_project  # noqa: E402

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("faults") / "project")


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    """What comes of an undisturbed sweep, which runs in this process without Ray; those of pytest-xdist share it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if base.name.startswith("popen-") else base

    def of(algorithm: str) -> Outcome:
        kept = base / f"undisturbed-{algorithm}.pickle"
        with FileLock(kept.with_suffix(".lock")):
            if not kept.exists():
                made = make_project(base / f"undisturbed-{algorithm}")
                calm = Sweep(made, "calm", shared=made.root / "shared", algorithm=algorithm)
                with pytest.MonkeyPatch.context() as patch, threadpool_limits(1), without_ray(order=1):
                    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
                    patch.setenv("JMML_SHARED", str(calm.shared))
                    torch.set_num_threads(1)  # as in the processes that are compared with it
                    run_sweep(made, made.root / f"{algorithm}.yaml", name=calm.name, quiet=True)
                kept.write_bytes(pickle.dumps(outcome(calm)))
        return pickle.loads(kept.read_bytes())  # noqa: S301 - written above

    return of


@pytest.fixture
def sweep(project: Project, tmp_path: Path) -> Iterator[Callable[..., Sweep]]:
    """Makes sweeps with folders of their own, whose processes are gone after the test."""
    made: list[Sweep] = []

    def make(algorithm: str = "random", *, project: Project = project, **options: Any) -> Sweep:
        number = next(numbers)
        options.setdefault("shared", tmp_path / f"shared{number}")
        made.append(Sweep(project, f"{algorithm}-{number}", algorithm=algorithm, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()

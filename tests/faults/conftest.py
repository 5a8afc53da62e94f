"""A project for each process of the test run, and the undisturbed sweeps, run once for all of them."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from pipelines.workspace.project import Project

pytest.register_assert_rewrite("tests.faults.same")

from tests.faults.same import Outcome, outcome  # noqa: E402
from tests.faults.sweeps import Sweep, make_project  # noqa: E402

numbers = itertools.count(1)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return make_project(tmp_path_factory.mktemp("faults") / "project")


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    """What comes of an undisturbed sweep, run once, without Ray; processes of pytest-xdist share it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if base.name.startswith("popen-") else base

    def of(algorithm: str) -> Outcome:
        kept = base / f"undisturbed-{algorithm}.pickle"
        with FileLock(kept.with_suffix(".lock")):
            if not kept.exists():
                made = make_project(base / f"undisturbed-{algorithm}")
                calm = Sweep(made, "calm", shared=made.root / "shared", algorithm=algorithm, on_ray=False)
                calm.run().succeeds()
                kept.write_bytes(pickle.dumps(outcome(calm)))
        return pickle.loads(kept.read_bytes())  # noqa: S301 - written above

    return of


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.long)], ids=["alone", "Ray"])
def on_ray(request: pytest.FixtureRequest) -> bool:
    """Whether the drivers of :func:`sweep` start Ray; a test is run both ways, with Ray at night."""
    return bool(request.param)


@pytest.fixture
def sweep(project: Project, tmp_path: Path, on_ray: bool) -> Iterator[Callable[..., Sweep]]:
    """Makes sweeps with folders of their own, whose processes are gone after the test."""
    made: list[Sweep] = []

    def make(
        algorithm: str = "random", *, project: Project = project, on_ray: bool = on_ray, **options: Any
    ) -> Sweep:
        number = next(numbers)
        options.setdefault("shared", tmp_path / f"shared{number}")
        made.append(Sweep(project, f"{algorithm}-{number}", algorithm=algorithm, on_ray=on_ray, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()

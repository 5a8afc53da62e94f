"""A sweep without Ray: simulated workers that run trials in any order, and a driver that may be cut off anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jmml.config import MethodConfig
from pipelines.definitions.spaces import configure
from pipelines.sweep.decide.driver import Assignment, Driver
from pipelines.sweep.decide.search import build_search
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.record.journal import Journal
from pipelines.sweep.record.state import SweepState

BASE = MethodConfig()
NOTHING: Mapping[int, int] = {}


class CutOffError(Exception):
    """The driver ends here, without a word."""


def score(configuration: dict[str, Any], epoch: int) -> float:
    """A deterministic score of any configuration of numbers."""
    place = sum((i + 1) * float(value) for i, value in enumerate(configuration.values()))
    return float(np.sin(place) + 0.01 * epoch)


def begin(path: Path, definition: SweepDefinition) -> None:
    """The first line of a journal."""
    journal = Journal(path)
    journal.append(
        "sweep",
        id="0" * 32,
        name=definition.name,
        definition=definition.plain(),
        base=BASE.model_dump(mode="json"),
        fingerprint={},
        user="eva",
        team="",
        version="1",
        total=definition.n_trials(),
    )
    journal.close()


def drive(
    path: Path,
    definition: SweepDefinition,
    *,
    seed: int,
    workers: int,
    events: int | None = None,
    checkpoints: dict[tuple[int, int], float] | None = None,
    fails: Mapping[int, int] = NOTHING,
    deaths: float = 0.0,
) -> SweepState:
    """One driver's turn; ``seed`` decides which worker is quicker, ``events`` after how many the driver dies.

    A worker that holds a trial reports its next epoch when it is drawn; the rest is the driver's. ``checkpoints`` has
    what trials leave at rungs: the gain of their epochs so far. ``fails`` has the trials that fail, and after which
    epoch, in training for the next; ``deaths`` is how often a worker dies instead of reporting.
    """
    rng = np.random.default_rng(seed)
    journal = Journal(path)
    written = 0
    append = journal.append

    def counted(kind: str, **values: Any) -> Any:
        nonlocal written
        if written == events:
            raise CutOffError
        written += 1
        return append(kind, **values)

    journal.append = counted  # type: ignore[method-assign]
    try:
        state = SweepState.read(path)
        state.apply(
            journal.append(
                "session",
                user="eva",
                host="h",
                pid=1,
                mode="run",
                concurrent=workers,
                cpus=workers,
                gpus=0,
                address=None,
            )
        )
        driver = Driver(journal, state, build_search(definition), definition, BASE, concurrent=workers)
        _work(driver, rng, workers, {} if checkpoints is None else checkpoints, fails, deaths)
        driver.write("close", state="finished", reason=driver.ended_early or "")
        return state
    finally:
        journal.append = append  # type: ignore[method-assign]
        journal.close()


def _work(
    driver: Driver,
    rng: np.random.Generator,
    workers: int,
    checkpoints: dict[tuple[int, int], float],
    fails: Mapping[int, int],
    deaths: float,
) -> None:
    # Per trial what it is, how many epochs it has reported, and what it has gained by them.
    at: dict[int, tuple[Assignment, int, float]] = {}
    over = False
    while True:
        driver.settle()
        while not over and len(at) < workers:
            proposal = driver.next()
            if proposal is None:
                break
            if proposal == "over":
                over = True
                break
            driver.started(proposal.number, dict(proposal.configuration))
            at[proposal.number] = proposal, *_taken_up(proposal, checkpoints)
        if not at:
            assert over, "the driver waits for trials that nobody runs"
            return
        number = int(rng.choice(sorted(at)))
        proposal, epoch, gain = at[number]
        if deaths and rng.random() < deaths:
            driver.again(number, dict(proposal.configuration))
            del at[number]
            continue
        if epoch == proposal.segment.until or epoch == configure(BASE, proposal.configuration).stage2.epochs:
            driver.left(number)
            del at[number]
            continue
        if epoch == fails.get(number):
            driver.left(number, error="ValueError: as was to be")
            del at[number]
            continue
        gain += score(dict(proposal.configuration), epoch + 1)
        epoch += 1
        if epoch == proposal.segment.until or epoch in proposal.segment.keep:
            checkpoints[number, epoch] = gain
        driver.reported(number, epoch, {"score": gain, "points": {"val_uar": gain}})
        at[number] = proposal, epoch, gain
        if driver.leaves(number, epoch):
            driver.left(number)
            del at[number]


def _taken_up(proposal: Assignment, checkpoints: dict[tuple[int, int], float]) -> tuple[int, float]:
    """The epoch from which a segment goes on, and what had been gained."""
    segment = proposal.segment
    own = proposal.number if segment.source is None else segment.source
    if segment.start == 0:
        return 0, 0.0
    if segment.source is not None:
        return segment.start, checkpoints[own, segment.start]  # must be there
    return (
        (segment.start, checkpoints[own, segment.start]) if (own, segment.start) in checkpoints else (0, 0.0)
    )


def outcome(path: Path) -> dict[int, tuple[Any, ...]]:
    """What must not depend on who was killed when: per trial its configuration, scores and state."""
    state = SweepState.read(path)
    return {
        number: (dict(trial.configuration), list(trial.scores), trial.status, trial.best_epoch)
        for number, trial in sorted(state.trials.items())
    }

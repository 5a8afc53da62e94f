"""One side of ``benchmarks/sweep.py`` in a process of its own.

    python benchmarks/sweep_sides.py SIDE ROOT REQUEST

SIDE is ours, textbook, bare, bare-memo or simulated; ROOT is the folder of the project; REQUEST is JSON: space,
trials, concurrent, scheduler. The outcome is written to ROOT/SIDE.json: when the search began and ended (s since
1970; Ray is up and everything imported before), and of every trial its start, end, and scores with their times.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.workspace.project import Project

SIMULATED_EPOCHS = 10


def ours(root: Path, request: dict[str, Any], **options: Any) -> dict[str, Any]:
    from sweep_task import define

    from pipelines.sweep.record.folder import SweepFolder
    from pipelines.sweep.record.journal import read
    from pipelines.sweep.runner import run_sweep

    project = Project(root)
    definition = define(
        request["space"], request["trials"], request["concurrent"], scheduler=request["scheduler"]
    )
    run_sweep(project, definition, quiet=True, **options)
    outcome: dict[str, Any] = {"trials": {}, "memo": {}}
    for event in read(SweepFolder.of(project, definition.name).journal):
        seconds = event["t"] / 1000
        if event["e"] == "session":
            outcome["began"] = seconds
        elif event["e"] == "start":
            outcome["trials"][event["trial"]] = {"start": seconds, "times": [], "scores": []}
        elif event["e"] == "report":
            outcome["trials"][event["trial"]]["times"].append(seconds)
            outcome["trials"][event["trial"]]["scores"].append(event["score"])
            for name, count in event.get("memo", {}).items():
                outcome["memo"][name] = outcome["memo"].get(name, 0) + count
        elif event["e"] == "end":
            outcome["trials"][event["trial"]] |= {"end": seconds, "state": event["state"]}
            outcome["ended"] = seconds
        elif event["e"] == "refit":
            outcome["refit"] = seconds - outcome["ended"]
    return outcome


def bare(root: Path, request: dict[str, Any], *, share: bool) -> dict[str, Any]:
    from sweep_task import configurations, define, training_of

    project = Project(root)
    training = training_of(project)
    wanted = configurations(define(request["space"], request["trials"], 1))
    memo: dict[str, Any] | None = {} if share else None
    one = functools.partial(bare_trial, project, training)
    outcome: dict[str, Any] = {"began": time.time()}
    if share or request["concurrent"] == 1:
        trials = [one(configuration, memo=memo) for configuration in wanted]
    else:
        with multiprocessing.get_context("spawn").Pool(request["concurrent"]) as pool:
            trials = pool.map(one, wanted, chunksize=1)
    return outcome | {"trials": dict(enumerate(trials, 1)), "ended": time.time()}


def bare_trial(
    project: Project, training: Any, configuration: dict[str, Any], *, memo: dict[str, Any] | None = None
) -> dict[str, Any]:
    import torch
    from sweep_task import epochs

    from pipelines.definitions.spaces import configure

    torch.set_num_threads(1)
    trial: dict[str, Any] = {"start": time.time(), "times": [], "scores": []}
    torch.manual_seed(0)
    method = configure(project.params.method, configuration)
    for score in epochs(training, method, project.params.protocol.inner_folds, memo=memo):
        trial["times"].append(time.time())
        trial["scores"].append(score)
    return trial | {"end": time.time()}


def simulated_trial(training: Any, method: Any, **options: Any) -> Iterator[dict[str, Any]]:
    """What stands in for a trial where the driver's own cost is measured: the metrics of a real one, at once."""
    losses = ("loss", "own_s", "own_e", "cross_se", "cross_es", "cca", "rho", "rho_held_out", "ridge", "grad")
    for epoch in range(1, SIMULATED_EPOCHS + 1):
        score = 1 - 1 / (epoch + method.stage2.lam_c)
        yield {
            "epoch": epoch,
            "val_uar": score,
            "val_uar_std": 0.1,
            "val_uar_low": score - 0.1,
            **{f"edcc_cae/{name}": score / epoch for name in losses},
        }


def main() -> None:
    side, root, request = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
    if side == "ours":
        outcome = ours(root, request)
    elif side == "simulated":
        from sweep_sides import simulated_trial as search  # by a name that workers can import

        outcome = ours(root, request, search=search)
    elif side == "textbook":
        from sweep_textbook import run

        outcome = run(root, request["space"], request["trials"], request["concurrent"])
    else:
        outcome = bare(root, request, share=side == "bare-memo")
    (root / f"{side}.json").write_text(json.dumps(outcome))


if __name__ == "__main__":
    main()

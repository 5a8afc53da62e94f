"""A sweep as a good engineer writes it from Ray Tune's documentation, for comparison with ours.

A function trainable loads the features from their files, makes the inner folds, trains both stages with our
estimators and reports after every epoch; Tune's own ``MLflowLoggerCallback`` writes the runs to an SQLite store; each
trial asks for one CPU, everything else is Tune's default. It leaves out what the documentation does not suggest by
itself: workers are started anew for every trial (``reuse_actors`` is off), stage 1 is trained in every trial, and
stage-1 outputs are computed anew for each score. Of its own it logs the score and the epoch alone, where ours logs
all losses and correlations too: every metric costs this callback a transaction.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from sweep_task import configurations, define, epochs, training_of

from pipelines.definitions.spaces import configure
from pipelines.workspace.project import Project


def train(config: dict[str, Any]) -> None:
    torch.manual_seed(0)
    project = Project(config["project"])
    method = configure(project.params.method, config["configuration"])
    scores = epochs(training_of(project), method, project.params.protocol.inner_folds, keep=False)
    for epoch, score in enumerate(scores, 1):
        tune.report({"epoch": epoch, "val_uar": score})


def run(root: Path, space: dict[str, Any], trials: int, concurrent: int) -> dict[str, Any]:
    """All trials; their times (s since 1970) and scores by number."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # the store has an absolute path, the project's files too
    ray.init(num_cpus=concurrent, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    wanted = configurations(define(space, trials, concurrent))
    began = time.time()
    results = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"project": str(root), "configuration": tune.grid_search(wanted)},
        run_config=tune.RunConfig(
            name="textbook",
            storage_path=str(root / "tune"),
            verbose=0,
            callbacks=[
                MLflowLoggerCallback(
                    tracking_uri=f"sqlite:///{root}/mlflow.db",
                    experiment_name="textbook",
                    save_artifact=False,
                )
            ],
        ),
    ).fit()
    ended = time.time()
    if results.errors:
        raise results.errors[0]
    found = {}
    for result in (results[number] for number in range(len(results))):
        assert result.config is not None
        assert result.metrics_dataframe is not None
        frame, number = result.metrics_dataframe, 1 + wanted.index(result.config["configuration"])
        start = float(frame["timestamp"].iloc[0] - frame["time_total_s"].iloc[0])  # to a second
        times = [start + float(seconds) for seconds in frame["time_total_s"]]
        scores = [float(score) for score in frame["val_uar"]]
        found[number] = {"start": start, "end": times[-1], "times": times, "scores": scores}
    ray.shutdown()
    return {"began": began, "ended": ended, "trials": found}

"""Stage ``train``: every method on every outer fold with every seed; training people only."""

from __future__ import annotations

import sys
from collections import defaultdict
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed, parallel_config
from threadpoolctl import threadpool_limits

from jmml.config import MethodName, Params
from jmml.data.splits import Split
from jmml.errors import JMMLError
from jmml.experiment import TaskData, run_fold
from jmml.files import atomic_folder, atomic_path
from jmml.models.jec_ssl import JECSSL
from pipelines.progress import progress_bar
from pipelines.project import Project
from pipelines.stages._main import main
from pipelines.task import methods_of, read_split, read_task

History = dict[str, list[dict[str, float]]]


def train(project: Project) -> str:
    """Write models/cv/METHOD/foldI-seedS and results/training.csv (means over folds and seeds)."""
    params, task = project.params, read_task(project)
    split = read_split(project, task)
    cells = list(product(range(len(split)), params.protocol.seeds))
    series: dict[str, list[pd.DataFrame]] = defaultdict(list)
    with atomic_folder(project.cv_dir) as target, progress_bar("train", "fold x seed") as progress:
        jobs = (delayed(train_cell)(params, task, split, fold, seed, target) for fold, seed in cells)
        with parallel_config(backend="loky", inner_max_num_threads=1):
            pool = Parallel(n_jobs=min(cpu_count(), len(cells)), return_as="generator")
            for done, histories in enumerate(pool(jobs), start=1):
                for name, history in _curves(histories):
                    series[name].append(history)
                progress(done, len(cells))
    with atomic_path(project.results_dir / "training.csv") as temporary:
        _mean_curves(series).to_csv(temporary, index_label="epoch", float_format="%.6g")
    methods, seeds = methods_of(params), params.protocol.seeds
    return f"{', '.join(methods)} on {len(split)} folds with {len(seeds)} seeds"


def train_cell(
    params: Params, task: TaskData, split: Split, fold: int, seed: int, target: Path
) -> dict[MethodName, History]:
    """Fit and save all methods of one fold and seed, which share their stage-1 models."""
    torch.set_num_threads(1)
    memo: dict[str, JECSSL] = {}
    histories: dict[MethodName, History] = {}
    with threadpool_limits(1):
        for method in methods_of(params):
            try:
                result = run_fold(
                    task, split, fold, method, params.method, seed=seed, device=params.device, memo=memo
                )
            except JMMLError as error:
                error.add_note(f"method '{method}', fold {fold}, seed {seed}")
                raise
            result.recogniser.save(target / method / f"fold{fold}-seed{seed}")
            histories[method] = result.recogniser.history
    return histories


def _curves(histories: dict[MethodName, History]) -> list[tuple[str, pd.DataFrame]]:
    """Histories by name: stage 1 once (methods share it), stage 2 by method."""
    found: dict[str, pd.DataFrame] = {}
    for method, history in histories.items():
        for part, epochs in history.items():
            name = f"{method}/{part}" if part == "edcc_cae" else part
            frame = pd.DataFrame(epochs)
            found[name] = frame.set_index(pd.RangeIndex(1, len(frame) + 1)).drop(
                columns="epoch", errors="ignore"
            )
    return list(found.items())


def _mean_curves(series: dict[str, list[pd.DataFrame]]) -> pd.DataFrame:
    """Epochs x ``part/metric``, each the mean over folds and seeds."""
    columns = {
        f"{name}/{metric}": sum(frame[metric] for frame in frames) / len(frames)
        for name, frames in series.items()
        for metric in frames[0].columns
    }
    return pd.DataFrame(columns)


if __name__ == "__main__":
    sys.exit(main(train))

"""Stage ``train``: every method on every outer fold with every seed; training people only."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import torch
from joblib import Parallel, cpu_count, delayed, parallel_config
from threadpoolctl import threadpool_limits

from jmml.config import MethodName, Params
from jmml.data.splits import Split
from jmml.errors import JMMLError
from jmml.experiment import fit_fold
from jmml.files import atomic_folder
from jmml.models.jec_ssl import JECSSL
from jmml.task import TaskData
from pipelines.reporting.progress import progress_bar
from pipelines.stages._main import main
from pipelines.stages.summary import History, training_curves
from pipelines.workspace.project import Project
from pipelines.workspace.task import methods_of, read_split, read_task


def train(project: Project) -> str:
    """Write models/cv/METHOD/foldI-seedS and the curves in results/training/."""
    params, task = project.params, read_task(project)
    split = read_split(project, task)
    cells = list(product(range(len(split)), params.protocol.seeds))
    histories: list[dict[MethodName, History]] = []
    with atomic_folder(project.cv_dir) as target, progress_bar("train", "fold x seed") as progress:
        jobs = (delayed(train_cell)(params, task, split, fold, seed, target) for fold, seed in cells)
        with parallel_config(backend="loky", inner_max_num_threads=1):
            pool = Parallel(n_jobs=min(cpu_count(), len(cells)), return_as="generator")
            for history in pool(jobs):
                histories.append(history)
                progress(len(histories), len(cells))
    with atomic_folder(project.results_dir / "training") as folder:
        for name, curves in training_curves(histories).items():
            curves.to_csv(folder / f"{name}.csv", float_format="%.6g")
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
                recogniser = fit_fold(
                    task, split, fold, method, params.method, seed=seed, device=params.device, memo=memo
                )
            except JMMLError as error:
                error.add_note(f"method '{method}', fold {fold}, seed {seed}")
                raise
            recogniser.save(target / method / f"fold{fold}-seed{seed}")
            histories[method] = recogniser.history
    return histories


if __name__ == "__main__":
    sys.exit(main(train))

"""Stage ``train``: every method on every outer fold with every seed; training people only.

Each of these models is a cell that is kept as soon as it is fitted (:mod:`pipelines.cache.models`), outside of the
stage's outputs: a stage that was stopped, or whose machine was lost, goes on where it was.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from itertools import product
from statistics import fmean

import torch
from joblib import Parallel, cpu_count, delayed, parallel_config
from threadpoolctl import threadpool_limits

from jmml.config import Params
from jmml.data.splits import Split
from jmml.errors import JMMLError, ModelError
from jmml.experiment import fit_fold
from jmml.files import atomic_folder
from jmml.plugins import in_project
from jmml.task import TaskData
from pipelines.cache.cells import Key
from pipelines.cache.models import ModelStore, model_keys
from pipelines.cache.stage1 import Stage1Store
from pipelines.protocol.folds import read_split
from pipelines.reporting.wording import many
from pipelines.stages._main import main, stage_progress
from pipelines.stages.summary import training_curves
from pipelines.workspace.fingerprint import code_digest
from pipelines.workspace.project import Project
from pipelines.workspace.task import methods_of, read_task


def train(project: Project) -> str:
    """Write models/cv/METHOD/foldI-seedS and the curves in results/training/."""
    params, task = project.params, read_task(project)
    split, methods, seeds = read_split(project, task), methods_of(params), params.protocol.seeds
    code, store = code_digest(), ModelStore.of(project.root)
    keys = list(model_keys(params, task, split, methods, code=code))
    missing = [key for key in keys if store.state(key.digest) != ""]
    fit_all(missing, params, task, split, store, Stage1Store(project.root / ".jmml" / "stage1"))
    with atomic_folder(project.cv_dir) as target:
        found = {
            (key.method, key.fold, key.seed): store.copy(
                key, project.cell_dir(key.method, key.fold, key.seed, below=target)
            )
            for key in keys
        }
    histories = [
        {method: found[method, fold, seed] for method in methods}
        for fold, seed in product(range(len(split)), seeds)
    ]
    with atomic_folder(project.results_dir / "training") as folder:
        for name, curves in training_curves(histories).items():
            curves.to_csv(folder / f"{name}.csv", float_format="%.6g")
    store.prune()
    kept = len(keys) - len(missing)
    notes = f"; {kept} of {many(len(keys), 'model')} kept from before" if kept else ""
    return f"{', '.join(methods)} on {many(len(split), 'fold')} with {many(len(seeds), 'seed')}{notes}"


def fit_all(
    missing: Sequence[Key],
    params: Params,
    task: TaskData,
    split: Split,
    store: ModelStore,
    stage1: Stage1Store,
) -> None:
    """Fit these models, each kept once it is done, on all CPUs; how far that is, is shown."""
    if not missing:
        return
    workers = min(cpu_count(), len(missing))
    took: dict[str, list[float]] = defaultdict(list)
    left = {key.digest: key for key in missing}
    jobs = (delayed(in_project(fit_cell))(key, params, task, split, store, stage1) for key in missing)
    with (
        stage_progress("train", "model") as progress,
        parallel_config(backend="loky", inner_max_num_threads=1),
    ):
        progress(0, len(missing))
        pool = Parallel(n_jobs=workers, return_as="generator_unordered")
        try:
            for name, seconds in pool(jobs):
                took[left.pop(name).method].append(seconds)
                busy = max(1, min(workers, len(left)))
                remaining = expected_s((key.method for key in left.values()), took) / busy
                progress(len(missing) - len(left), len(missing), remaining)
        except BrokenProcessPool:
            raise ModelError(
                f"a worker process died before {len(left)} of {len(missing)} models were fitted",
                where="train",
                fix="run `dvc repro` again: finished models are kept; give it more memory if it happens again",
            ) from None


def fit_cell(
    key: Key, params: Params, task: TaskData, split: Split, store: ModelStore, stage1: Stage1Store
) -> tuple[str, float]:
    """Fit one model and keep it: its digest, and how many seconds it took. Stage 1 is shared with other methods."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    with threadpool_limits(1):
        try:
            recogniser = fit_fold(
                task, split, key.fold, key.method, params.method,
                seed=key.seed, device=params.device, memo=stage1,
            )  # fmt: skip
        except JMMLError as error:
            error.add_note(f"method '{key.method}', fold {key.fold}, seed {key.seed}")
            raise
    store.save(key, recogniser)
    return key.digest, time.perf_counter() - began


def expected_s(methods: Iterable[str], took: Mapping[str, Sequence[float]]) -> float:
    """Seconds that models of these methods take: each the mean of its method so far, or the longest mean."""
    means = {method: fmean(seconds) for method, seconds in took.items()}
    return sum(means.get(method, max(means.values())) for method in methods)


if __name__ == "__main__":
    sys.exit(main(train))

"""Every pair of speakers of a project's task left out once: how much depends on who shares a fold.

    python benchmarks/pairs.py [--methods raw,jec-ssl,jmml,one-hot] [--label-space discrete] [--normalisation per-group]

Run in a project whose features `dvc repro` has made. With few speakers the folds that are drawn are one of many ways to
leave people out; here are all pairs, each trained on everybody else (one seed). Printed per method: the mean, the
lowest and the highest UAR over pairs.
"""

from __future__ import annotations

import argparse
from itertools import combinations

import numpy as np
from tqdm import tqdm

from jmml.data.splits import Fold
from jmml.experiment import run_fold
from jmml.task import make_split
from pipelines.workspace.project import Project
from pipelines.workspace.task import methods_of, read_task, with_task


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", help="with commas; those of the project if left out")
    parser.add_argument("--label-space", help="that of the project if left out; discrete leaves the EEG out")
    parser.add_argument("--normalisation")
    given = parser.parse_args()
    project = Project.find()
    own = project.params
    params = with_task(
        own,
        speech=own.task.speech,
        eeg=None if given.label_space == "discrete" else own.task.eeg,
        label_space=given.label_space,
        protocol={"normalisation": given.normalisation},
    )
    task = read_task(project, params)
    people = sorted(set(task.speech.groups))
    folds = [
        Fold(number, tuple(name for name in people if name not in pair), pair)
        for number, pair in enumerate(combinations(people, 2))
    ]
    split = make_split(task, groups_per_fold=params.protocol.groups_per_fold, speech=folds)
    for method in given.methods.split(",") if given.methods else methods_of(params):
        scores = np.array(
            [
                run_fold(task, split, fold, method, params.method, seed=0).metrics["test_uar"]
                for fold in tqdm(range(len(folds)), desc=method, unit="pair", disable=None, leave=False)
            ]
        )
        print(f"{method:<12} {scores.mean():.3f} ({scores.min():.3f} to {scores.max():.3f})", flush=True)


if __name__ == "__main__":
    main()

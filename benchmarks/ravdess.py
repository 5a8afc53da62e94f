"""RAVDESS on published folds: what the features are worth beside pretrained models, and what JMML adds to them.

    python benchmarks/ravdess.py PATH [--seeds 3] [--svm-only] [--workers 2]

PATH is RAVDESS speech as unpacked (folders Actor_01 to Actor_24). The folds are those of the EmoBox benchmark (Ma et
al. 2024, arXiv 2406.07162): six, of four actors each. The first table is over the eight emotions (chance 0.125), with
published scores of frozen pretrained models beside ours; scores are the mean over folds of the unweighted average
recall. The second is over arousal/valence quadrants (chance 0.25), as EEG ratings have no emotions: raw features,
JEC-SSL, JMML with synthetic EEG, and the control that puts labels where the EEG was. Both are repeated on folds that
share no statement.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.metrics import recall_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from tqdm import tqdm

from jmml.config import MethodName, SyntheticConfig
from jmml.data.features.normalise import zscore_per_group
from jmml.data.loading import extract_features, load_corpus
from jmml.data.protocol.disjoint import disjoint_folds
from jmml.data.splits import Fold, Split
from jmml.data.synthetic import write_synthetic_eeg
from jmml.data.table import FeatureTable
from jmml.evaluation.evidence import compare
from jmml.experiment import run_fold
from jmml.task import TaskData, make_split, make_task

# Actors that each fold tests.
PUBLISHED_FOLDS = (
    ("01", "11", "20", "21"), ("04", "10", "12", "14"), ("08", "09", "19", "23"),
    ("03", "05", "07", "24"), ("02", "15", "16", "18"), ("06", "13", "17", "22"),
)  # fmt: skip
# Unweighted average recall of frozen features on these folds, as EmoBox publishes it.
PUBLISHED_UAR = {
    "Whisper-large-v3": 0.753,
    "WavLM-large": 0.720,
    "HuBERT-base": 0.654,
    "WavLM-base": 0.616,
    "wav2vec2-base": 0.543,
}
METHODS: tuple[MethodName, ...] = ("raw", "jec-ssl", "jmml", "one-hot")
Masks = Sequence[tuple[np.ndarray, np.ndarray]]


def published_folds(people: Sequence[str]) -> list[Fold]:
    """The published folds over the actors that are there; folds of which nobody is are left out."""
    present = set(people)
    tested = [tuple(name for name in fold if name in present) for fold in PUBLISHED_FOLDS]
    return [
        Fold(number, tuple(sorted(present - set(names))), names)
        for number, names in enumerate(names for names in tested if names)
    ]


def svm_uar(X: np.ndarray, y: np.ndarray, folds: Masks) -> float:
    """Mean over folds of the UAR of a standardised RBF SVM (C = 1)."""
    scores = []
    for train, test in folds:
        model = make_pipeline(StandardScaler(), SVC(C=1.0)).fit(X[train], y[train])
        scores.append(recall_score(y[test], model.predict(X[test]), average="macro"))
    return float(np.mean(scores))


def masks(folds: Sequence[Fold], table: FeatureTable) -> Masks:
    sides = [[fold.rows(side, table.groups, table.ids) for side in ("train", "test")] for fold in folds]
    return [(train, test) for train, test in sides]


def of_equal_size(folds: Masks, strict: Masks) -> Masks:
    """Training parts with both statements, thinned at random to the size of the strict ones: what size alone costs."""
    rng, parts = np.random.default_rng(0), len(strict) // len(folds)
    thinned = []
    for number, (train, test) in enumerate(strict):
        rows = np.flatnonzero(folds[number // parts][0])
        keep = np.zeros(len(train), dtype=bool)
        keep[rng.choice(rows, size=int(train.sum()), replace=False)] = True
        thinned.append((keep, test))
    return thinned


def features_alone(table: FeatureTable, folds: Sequence[Fold], strict: Sequence[Fold]) -> dict[str, float]:
    """Rows of the first table that are computed here."""
    y = table.index["label"].to_numpy(dtype=str)
    X = table.X.astype(np.float64)
    own = zscore_per_group(X, table.groups)
    people, texts = masks(folds, table), masks(strict, table)
    equal = of_equal_size(people, texts)
    shuffled = StratifiedKFold(len(folds), shuffle=True, random_state=0).split(X, y)
    random = [
        (np.isin(np.arange(len(y)), train), np.isin(np.arange(len(y)), test)) for train, test in shuffled
    ]
    return {
        "new actors": svm_uar(X, y, people),
        "new actors, z-scored by actor (transductive)": svm_uar(own, y, people),
        "new actors and statements": svm_uar(X, y, texts),
        "new actors and statements, z-scored by actor": svm_uar(own, y, texts),
        "new actors, as few to train on": svm_uar(X, y, equal),
        "new actors, as few to train on, z-scored by actor": svm_uar(own, y, equal),
        "random folds (a leak: the actors are trained on)": svm_uar(X, y, random),
    }


def methods_with_eeg(task: TaskData, split: Split, seeds: int) -> list[str]:
    """Lines of the second table."""
    cells = list(product(range(seeds), range(len(split)), METHODS))
    results = [
        run_fold(task, split, fold, method, seed=seed)
        for seed, fold, method in tqdm(cells, unit="fit", disable=None)
    ]
    rows = compare(results, reference_method="one-hot")
    return [
        f"  {row['method']:<10} {row['uar']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
        + (
            ""
            if row["method"] == "one-hot"
            else f"  minus one-hot {row['diff']:+.3f} (Holm p {row['p_holm']:.3f})"
        )
        for row in rows.to_dict("records")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--svm-only", action="store_true")
    given = parser.parse_args()
    table = extract_features(load_corpus(given.path, "ravdess"), workers=given.workers)
    folds = published_folds(sorted(set(table.groups)))
    texts = {"text": table.index["text"].to_numpy(dtype=object)}
    labels = table.index["label"].to_numpy(dtype=str)
    strict = disjoint_folds(folds, table.groups, labels, table.ids, texts, seed=0)
    print(
        f"{len(table)} utterances, {len(set(table.groups))} actors, {len(table.names)} features, {len(folds)} folds"
    )
    print("\nUAR over eight emotions, chance 0.125: published, frozen features; below, ours and an RBF SVM")
    for name, score in PUBLISHED_UAR.items():
        print(f"  {score:.3f}  {name}")
    for name, score in features_alone(table, folds, strict).items():
        print(f"  {score:.3f}  {name}", flush=True)
    if given.svm_only:
        return
    with tempfile.TemporaryDirectory() as folder:
        write_synthetic_eeg(Path(folder), SyntheticConfig())
        eeg = extract_features(load_corpus(folder, "deap"), workers=given.workers)
    for disjoint in (["person"], ["person", "text"]):
        task = make_task(table, eeg, disjoint=disjoint)
        split = make_split(task, groups_per_fold=2, speech=folds if len(disjoint) == 1 else strict)
        print(f"\nUAR over quadrants, chance 0.25, {len(split)} folds disjoint by {' and '.join(disjoint)}")
        for line in methods_with_eeg(task, split, given.seeds):
            print(line, flush=True)


if __name__ == "__main__":
    main()

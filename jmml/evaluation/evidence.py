"""Evidence: every prediction on an outer test fold, and the table that compares methods by it.

One row per method, fold, seed, modality and sample. All figures that are reported come from these rows, so
that any of them can be recomputed, and methods are compared on identical samples or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jmml.errors import DataError, ProtocolError, nearest
from jmml.evaluation import statistics
from jmml.evaluation.metrics import accuracy, encode, expected_calibration_error, macro_f1
from jmml.files import atomic_path

COLUMNS = ("method", "fold", "seed", "modality", "id", "group", "y_true", "y_pred")
_SAMPLE = ["fold", "id", "group", "y_true"]


class Result(Protocol):
    """Any result with evidence, such as :class:`jmml.experiment.FoldResult`."""

    @property
    def evidence(self) -> pd.DataFrame: ...


def evidence_frame(
    *,
    method: str,
    fold: int,
    seed: int,
    modality: str,
    ids: Sequence[str] | npt.NDArray[Any],
    groups: Sequence[str] | npt.NDArray[Any],
    y_true: Sequence[str] | npt.NDArray[Any],
    proba: npt.ArrayLike,
    classes: Sequence[str],
) -> pd.DataFrame:
    """The rows of one method, fold, seed and modality; ``y_pred`` is the most probable class.

    ``proba`` is (n, C) with columns in the order of ``classes``; they become the columns ``p_<class>``.
    """
    p = np.asarray(proba, dtype=np.float64)
    frame = pd.DataFrame(
        {
            "method": method,
            "fold": np.int64(fold),
            "seed": np.int64(seed),
            "modality": modality,
            "id": [str(name) for name in ids],
            "group": [str(name) for name in groups],
            "y_true": [str(label) for label in y_true],
            "y_pred": [classes[code] for code in p.argmax(axis=1)] if len(p) else [],
            **{f"p_{name}": p[:, code] for code, name in enumerate(classes)},
        }
    )
    return check(frame)


def classes_of(frame: pd.DataFrame) -> tuple[str, ...]:
    """Class names, in the order of the probability columns."""
    return tuple(column.removeprefix("p_") for column in frame.columns if column.startswith("p_"))


def check(frame: pd.DataFrame, *, where: object = None) -> pd.DataFrame:
    """``frame`` itself, if it is valid evidence.

    Raises
    ------
    DataError
        If a column is missing, a probability row is not finite, negative or does not sum to one, a label is
        no class, or a sample occurs twice for one method, fold, seed and modality.
    """
    missing = [column for column in COLUMNS if column not in frame.columns]
    classes = classes_of(frame)
    if missing or not classes:
        raise DataError(f"evidence lacks the columns {', '.join(missing or ['p_<class>'])}", where=where)
    p = frame[[f"p_{name}" for name in classes]].to_numpy(np.float64)
    bad = ~(np.isfinite(p).all(axis=1) & (p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1) < 1e-6))
    if bad.any():
        row = frame.iloc[int(np.flatnonzero(bad)[0])]
        raise DataError(
            f"{int(bad.sum())} rows do not hold valid probabilities, first at {row['method']}, fold {row['fold']}, "
            f"id '{row['id']}'",
            where=where,
            expected="finite, not negative, summing to one",
        )
    for column in ("y_true", "y_pred"):
        strange = sorted(set(frame[column]) - set(classes))
        if strange:
            raise DataError(
                f"{column} '{strange[0]}' is not a class",
                where=where,
                expected=f"one of {', '.join(classes)}",
            )
    twice = frame.duplicated(["method", "fold", "seed", "modality", "id"])
    if twice.any():
        row = frame[twice].iloc[0]
        raise DataError(
            f"id '{row['id']}' occurs twice for {row['method']}, fold {row['fold']}, seed {row['seed']}",
            where=where,
        )
    return frame


def save(frame: pd.DataFrame, path: Path) -> None:
    """Write evidence as Parquet, atomically."""
    arrow = pa.Table.from_pandas(check(frame, where=path), preserve_index=False)
    with atomic_path(path) as temporary:
        pq.write_table(arrow, temporary)


def load(path: Path) -> pd.DataFrame:
    """Read what :func:`save` wrote; :class:`DataError` for anything else."""
    try:
        frame = pq.read_table(path).to_pandas()
    except FileNotFoundError:
        raise DataError("evidence is missing", where=path, fix="run `dvc repro`") from None
    except (pa.ArrowInvalid, OSError):
        raise DataError("is not a Parquet file", where=path, fix="run `dvc repro` to rebuild it") from None
    return check(frame, where=path)


def confusion_counts(
    frame: pd.DataFrame, classes: Sequence[str] | None = None
) -> tuple[tuple[str, ...], npt.NDArray[np.int64]]:
    """Group names (G, sorted) and counts (G, S, C, C) by group, seed, true and predicted class.

    ``frame`` holds one method and one modality; folds are pooled. A speaker is tested in one fold; an EEG
    subject can be tested in several (EEG folds repeat when there are fewer of them), and then all count.
    """
    names = tuple(classes or classes_of(frame))
    groups, group = np.unique(frame["group"].to_numpy(dtype=str), return_inverse=True)
    seeds, seed = np.unique(frame["seed"].to_numpy(), return_inverse=True)
    counts = np.zeros((len(groups), len(seeds), len(names), len(names)), dtype=np.int64)
    true, predicted = encode(frame["y_true"].tolist(), names), encode(frame["y_pred"].tolist(), names)
    np.add.at(counts, (group, seed, true, predicted), 1)
    return tuple(groups.tolist()), counts


def per_speaker(
    frame: pd.DataFrame, classes: Sequence[str] | None = None, *, modality: str = "speech"
) -> pd.DataFrame:
    """Columns method, group, uar: each speaker's own UAR, averaged over seeds."""
    rows = []
    for method, part in _methods(frame, modality).items():
        groups, counts = confusion_counts(part, classes)
        rows.append(pd.DataFrame({"method": method, "group": groups, "uar": statistics.speaker_uar(counts)}))
    return pd.concat(rows, ignore_index=True)


def compare(
    results: pd.DataFrame | Iterable[Result],
    classes: Sequence[str] | None = None,
    *,
    bootstrap: int = 2000,
    confidence: float = 0.95,
    reference_method: str | None = None,
    modality: str = "speech",
    seed: int = 0,
) -> pd.DataFrame:
    """One row per method: its scores, and its difference to the reference on the same samples.

    Scores are computed per seed over all folds together, then averaged over seeds. Intervals resample
    speakers; p is the two-sided sign-flip test on the speakers' UAR differences, p_holm its adjustment over
    all methods compared with the reference, dz the paired effect size (see ``jmml.evaluation.statistics``).

    Parameters
    ----------
    results : evidence of several methods, or the results of :func:`jmml.experiment.run_fold` that hold it.
    bootstrap : number of resamples; every method sees the same ones.
    reference_method : what the others are compared with; None leaves the difference columns empty.
    modality : which evidence counts: input at inference was ``speech``, ``eeg`` or ``both``.

    Returns
    -------
    DataFrame with the columns method, modality, uar, ci_low, ci_high, accuracy, macro_f1, ece, n_samples,
    n_groups, n_seeds, reference, diff, diff_low, diff_high, p, p_holm, dz, note. ``diff`` is the method minus
    the reference, in UAR; note is empty or says why a figure should be read with care. With fewer than four speakers
    there is no interval: its bounds are nan.

    Raises
    ------
    ProtocolError
        If there is no evidence for the modality or the reference, or the methods and seeds were not evaluated
        on the same samples.

    Example
    -------
    >>> people, labels = np.repeat(["a", "b", "c", "d"], 4), ["calm", "fear"] * 8
    >>> sure = np.array([[0.9, 0.1], [0.2, 0.8]] * 8)
    >>> def of(method, proba):
    ...     return evidence_frame(
    ...         method=method, fold=0, seed=0, modality="speech", ids=range(16), groups=people, y_true=labels,
    ...         proba=proba, classes=("calm", "fear"),
    ...     )
    >>> table = compare(pd.concat([of("raw", np.full((16, 2), 0.5)), of("jmml", sure)]), reference_method="raw")
    >>> table[["method", "uar", "diff"]].values.tolist()
    [['raw', 0.5, nan], ['jmml', 1.0, 0.5]]
    """
    frame = results if isinstance(results, pd.DataFrame) else _gathered(results)
    names = tuple(classes or classes_of(frame))
    parts = _methods(frame, modality)
    if reference_method is not None and reference_method not in parts:
        raise ProtocolError(
            f"no evidence of the reference '{reference_method}'",
            where=modality,
            expected=nearest(reference_method, parts),
        )
    _check_same_samples(parts, first=reference_method)
    counts = {method: confusion_counts(part, names)[1] for method, part in parts.items()}
    rows = []
    for method, part in parts.items():
        # A fresh generator per call: every method meets the same resamples, whatever the order of the rows.
        interval = statistics.cluster_bootstrap(
            counts[method], n=bootstrap, confidence=confidence, rng=np.random.default_rng(seed)
        )
        row: dict[str, Any] = {
            "method": method,
            "modality": modality,
            "uar": interval.estimate,
            "ci_low": interval.low,
            "ci_high": interval.high,
            **_other_scores(part, names),
            "n_samples": part["id"].nunique(),
            "n_groups": counts[method].shape[0],
            "n_seeds": counts[method].shape[1],
            "reference": reference_method,
            **dict.fromkeys(("diff", "diff_low", "diff_high", "p", "p_holm", "dz"), np.nan),
            "note": interval.note,
        }
        if reference_method is not None and method != reference_method:
            reference = counts[reference_method]
            difference = statistics.cluster_bootstrap(
                counts[method],
                n=bootstrap,
                confidence=confidence,
                rng=np.random.default_rng(seed),
                reference=reference,
            )
            by_speaker = statistics.speaker_uar(counts[method]) - statistics.speaker_uar(reference)
            row |= {
                "diff": difference.estimate,
                "diff_low": difference.low,
                "diff_high": difference.high,
                "p": statistics.paired_sign_flip(by_speaker, rng=np.random.default_rng(seed)),
                "dz": statistics.cohen_dz(by_speaker),
            }
            smallest = statistics.smallest_p(len(by_speaker))
            if smallest > 1 - confidence:
                row["note"] = "; ".join(filter(None, (interval.note, f"p cannot be below {smallest:.3g}")))
        rows.append(row)
    table = pd.DataFrame(rows)
    table["p_holm"] = statistics.holm(table["p"].to_numpy(dtype=np.float64))
    return table


def _gathered(results: Iterable[Result]) -> pd.DataFrame:
    parts = [result.evidence for result in results]
    if not parts:
        raise ProtocolError("no results to compare", fix="run each method on every fold first")
    return check(pd.concat(parts, ignore_index=True))


def _methods(frame: pd.DataFrame, modality: str) -> dict[str, pd.DataFrame]:
    """The rows of one modality by method, in order of first appearance."""
    chosen = frame[frame["modality"] == modality]
    if chosen.empty:
        raise ProtocolError(
            f"no evidence for modality '{modality}'",
            expected=", ".join(sorted(set(frame["modality"]))) or None,
        )
    return {str(method): part for method, part in chosen.groupby("method", sort=False)}


def _other_scores(part: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    columns = [f"p_{name}" for name in classes]
    by_seed = [
        {
            "accuracy": accuracy(rows["y_true"].tolist(), rows["y_pred"].tolist()),
            "macro_f1": macro_f1(rows["y_true"].tolist(), rows["y_pred"].tolist()),
            "ece": expected_calibration_error(
                rows[columns].to_numpy(np.float64), encode(rows["y_true"].tolist(), classes)
            ),
        }
        for _, rows in part.groupby("seed")
    ]
    return {name: float(np.mean([scores[name] for scores in by_seed])) for name in by_seed[0]}


def _check_same_samples(parts: dict[str, pd.DataFrame], *, first: str | None) -> None:
    """Every method and seed must have predicted the same samples, with the same labels and speakers."""
    standard: tuple[str, pd.DataFrame] | None = None
    for method in sorted(parts, key=lambda name: name != first):
        for seed, rows in parts[method].groupby("seed"):
            label = f"{method} (seed {seed})"
            samples = rows[_SAMPLE].sort_values(["fold", "id"], ignore_index=True)
            if standard is None:
                standard = (label, samples)
            elif not samples.equals(standard[1]):
                odd = samples.merge(standard[1], on=_SAMPLE, how="outer", indicator=True)
                odd = odd[odd["_merge"] != "both"]
                raise ProtocolError(
                    f"{label} and {standard[0]} were not evaluated on the same samples: {len(odd)} differ, "
                    f"first id '{odd['id'].iloc[0]}' of fold {odd['fold'].iloc[0]}",
                    fix="evaluate all folds and seeds of every method on one split",
                )

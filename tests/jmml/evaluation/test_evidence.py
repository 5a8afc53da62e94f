"""The comparison table agrees with scikit-learn and scipy on the same rows, and refuses unlike evidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics as sk

from jmml.errors import DataError, ProtocolError
from jmml.evaluation import evidence, statistics

CLASSES = ("HVHA", "HVLA", "LVHA", "LVLA")


def rows(
    method: str, skill: float, *, speakers: int = 8, seeds: int = 2, modality: str = "speech"
) -> pd.DataFrame:
    """Two speakers per fold, 12 utterances each; ``skill`` shifts the logit of the true class."""
    parts = []
    for seed in range(seeds):
        for fold in range(speakers // 2):
            groups = np.repeat([f"s{2 * fold}", f"s{2 * fold + 1}"], 12)
            y = np.tile(np.arange(4), 6)
            rng = np.random.default_rng([seed, fold, len(method), int(100 * skill)])
            logits = rng.standard_normal((24, 4)) + skill * np.eye(4)[y]
            proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            parts.append(
                evidence.evidence_frame(
                    method=method,
                    fold=fold,
                    seed=seed,
                    modality=modality,
                    ids=[f"{g}-{i}" for i, g in enumerate(groups)],
                    groups=groups,
                    y_true=np.array(CLASSES)[y],
                    proba=proba,
                    classes=CLASSES,
                )
            )
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.concat([rows("raw", 0.6), rows("jmml", 1.4), rows("one-hot", 1.2)], ignore_index=True)


@pytest.fixture(scope="module")
def table(frame: pd.DataFrame) -> pd.DataFrame:
    return evidence.compare(frame, CLASSES, bootstrap=500, reference_method="raw")


def test_scores_are_pooled_over_folds_and_averaged_over_seeds(
    frame: pd.DataFrame, table: pd.DataFrame
) -> None:
    assert table["method"].tolist() == ["raw", "jmml", "one-hot"]
    for row in table.itertuples():
        mine = frame[frame["method"] == row.method]
        by_seed = [part for _, part in mine.groupby("seed")]
        assert row.uar == pytest.approx(
            np.mean([sk.balanced_accuracy_score(p["y_true"], p["y_pred"]) for p in by_seed])
        )
        assert row.accuracy == pytest.approx(
            np.mean([sk.accuracy_score(p["y_true"], p["y_pred"]) for p in by_seed])
        )
        assert row.macro_f1 == pytest.approx(
            np.mean([sk.f1_score(p["y_true"], p["y_pred"], average="macro") for p in by_seed])
        )
        assert row.ci_low < row.uar < row.ci_high
        assert (row.n_samples, row.n_groups, row.n_seeds) == (96, 8, 2)
        assert 0 < row.ece < 1


def test_differences_are_tested_on_speakers(frame: pd.DataFrame, table: pd.DataFrame) -> None:
    uar = {
        (method, group): np.mean(
            [sk.balanced_accuracy_score(p["y_true"], p["y_pred"]) for _, p in part.groupby("seed")]
        )
        for (method, group), part in frame.groupby(["method", "group"])
    }
    own = evidence.per_speaker(frame, CLASSES)
    assert {(r.method, r.group): r.uar for r in own.itertuples()} == pytest.approx(uar)
    by_method = table.set_index("method")
    for method in ("jmml", "one-hot"):
        d = np.array([uar[method, f"s{i}"] - uar["raw", f"s{i}"] for i in range(8)])
        expected = stats.permutation_test(
            (d, np.zeros(8)),
            lambda x, y, axis: np.mean(x - y, axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
        ).pvalue
        row = by_method.loc[method]
        assert row["p"] == pytest.approx(expected)
        assert row["dz"] == pytest.approx(d.mean() / d.std(ddof=1))
        assert row["diff"] == pytest.approx(row["uar"] - by_method.loc["raw", "uar"])
        assert row["diff_low"] < row["diff"] < row["diff_high"]
    assert by_method["p_holm"].tolist() == pytest.approx(
        statistics.holm(by_method["p"].to_numpy()).tolist(), nan_ok=True
    )
    assert by_method.loc["raw", ["diff", "p", "p_holm", "dz"]].isna().all()


def test_table_does_not_depend_on_row_order_or_other_methods(
    frame: pd.DataFrame, table: pd.DataFrame
) -> None:
    shuffled = frame.sample(frac=1, random_state=0, ignore_index=True)
    again = evidence.compare(shuffled, CLASSES, bootstrap=500, reference_method="raw")
    again = again.set_index("method").loc[table["method"]].reset_index()
    pd.testing.assert_frame_equal(again, table)
    pair = evidence.compare(
        frame[frame["method"] != "one-hot"], CLASSES, bootstrap=500, reference_method="raw"
    )
    pd.testing.assert_frame_equal(
        pair.drop(columns="p_holm"), table[:2].drop(columns="p_holm"), check_dtype=False
    )


def test_without_reference(frame: pd.DataFrame) -> None:
    table = evidence.compare(frame, bootstrap=200)
    assert table[["diff", "diff_low", "diff_high", "p", "p_holm", "dz"]].isna().all(axis=None)
    assert table["reference"].isna().all()


def test_seeds_may_differ_in_number(frame: pd.DataFrame) -> None:
    mixed = frame[(frame["method"] != "raw") | (frame["seed"] == 0)]
    table = evidence.compare(mixed, CLASSES, bootstrap=200, reference_method="raw").set_index("method")
    assert table["n_seeds"].to_dict() == {"raw": 1, "jmml": 2, "one-hot": 2}


def test_few_speakers_are_noted() -> None:
    few = pd.concat([rows("raw", 0.6, speakers=4), rows("jmml", 1.4, speakers=4)])
    table = evidence.compare(few, CLASSES, bootstrap=200, reference_method="raw").set_index("method")
    assert table.loc["jmml", "note"] == "only 4 speakers: the interval is rough; p cannot be below 0.125"
    assert table.loc["raw", "note"] == "only 4 speakers: the interval is rough"


def test_modalities_are_kept_apart(frame: pd.DataFrame) -> None:
    both = pd.concat([frame, rows("jmml", 3.0, modality="eeg")])
    speech = evidence.compare(both, CLASSES, bootstrap=200, reference_method="raw")
    assert speech["modality"].unique().tolist() == ["speech"]
    eeg = evidence.compare(both, CLASSES, bootstrap=200, modality="eeg")
    assert eeg["uar"].item() > speech["uar"].max()
    with pytest.raises(ProtocolError, match=r"no evidence for modality 'both'; expected eeg, speech"):
        evidence.compare(both, CLASSES, modality="both")


@pytest.mark.parametrize("change", ["drop", "relabel", "refold", "drop one seed's"])
def test_unlike_samples_are_refused(frame: pd.DataFrame, change: str) -> None:
    frame = frame.copy()
    row = frame.index[(frame["method"] == "jmml") & (frame["id"] == "s2-3")]
    if change == "drop":
        frame = frame.drop(row)
    elif change == "drop one seed's":
        frame = frame.drop(row[:1])
    elif change == "relabel":
        frame.loc[row, "y_true"] = "HVHA"
    else:
        frame.loc[row, "fold"] = 3
    with pytest.raises(ProtocolError, match=r"jmml \(seed \d\) and raw \(seed 0\) were not .*'s2-3'"):
        evidence.compare(frame, CLASSES, reference_method="raw")


def test_unknown_reference(frame: pd.DataFrame) -> None:
    with pytest.raises(ProtocolError, match=r"'jml'.*did you mean 'jmml'"):
        evidence.compare(frame, CLASSES, reference_method="jml")


def test_round_trip(frame: pd.DataFrame, tmp_path: Path) -> None:
    evidence.save(frame, tmp_path / "evidence.parquet")
    loaded = evidence.load(tmp_path / "evidence.parquet")
    pd.testing.assert_frame_equal(loaded, frame, check_dtype=False)
    assert evidence.classes_of(loaded) == CLASSES
    assert [p.name for p in tmp_path.iterdir()] == ["evidence.parquet"]


def test_bad_files(frame: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing.*dvc repro"):
        evidence.load(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(DataError, match="is not a Parquet file"):
        evidence.load(tmp_path / "text.parquet")
    frame.drop(columns=["group", "seed"]).to_parquet(tmp_path / "short.parquet")
    with pytest.raises(DataError, match="lacks the columns seed, group"):
        evidence.load(tmp_path / "short.parquet")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("p_HVHA", 2.0, "1 rows do not hold valid probabilities, first at raw, fold 0, id 's0-0'"),
        ("p_HVHA", np.nan, "do not hold valid probabilities"),
        ("y_true", "joy", "y_true 'joy' is not a class"),
        ("id", "s0-1", "id 's0-1' occurs twice for raw, fold 0, seed 0"),
    ],
)
def test_invalid_rows_are_not_saved(
    frame: pd.DataFrame, tmp_path: Path, column: str, value: object, message: str
) -> None:
    broken = frame.copy()
    broken.loc[0, column] = value
    with pytest.raises(DataError, match=message):
        evidence.save(broken, tmp_path / "evidence.parquet")
    assert list(tmp_path.iterdir()) == []


def test_confusion_counts(frame: pd.DataFrame) -> None:
    mine = frame[frame["method"] == "jmml"]
    groups, counts = evidence.confusion_counts(mine, CLASSES)
    assert groups == tuple(f"s{i}" for i in range(8))
    part = mine[(mine["group"] == "s3") & (mine["seed"] == 1)]
    assert np.array_equal(counts[3, 1], sk.confusion_matrix(part["y_true"], part["y_pred"], labels=CLASSES))

"""The composite control is chosen without the outer fold, and the verdict says no more than the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jmml.errors import ProtocolError
from jmml.evaluation import contrast, statistics
from jmml.evaluation import evidence as evidence_io
from jmml.methods import METHODS, label_only
from tests.jmml.evaluation import simulated

SKILLS = {"jmml": 1.6, "class-means": 0.9, "one-hot": 0.9, "raw": 0.3, "prototypes": 0.7, "noise": 0.3}
Scores = dict[tuple[str, int, int], float]


def val_uar(best: dict[int, str], *, seeds: tuple[int, ...] = (0, 1)) -> Scores:
    """Inner-fold UAR 0.5 for every control, 0.6 on average for the best of each fold."""
    return {
        (name, fold, seed): 0.5 + (0.08 if seed else 0.12) * (winner == name)
        for fold, winner in best.items()
        for name in label_only()
        for seed in seeds
    }


MIXED = val_uar({0: "class-means", 1: "one-hot", 2: "prototypes", 3: "one-hot"})


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return simulated.evidence(SKILLS)


@pytest.fixture(scope="module")
def table(frame: pd.DataFrame) -> pd.DataFrame:
    return contrast.study_table(frame, val_uar=MIXED, bootstrap=500)


class TestLabelOnly:
    def test_copies_the_best_of_each_fold(self, frame: pd.DataFrame) -> None:
        rows, chosen = contrast.label_only(frame, MIXED)
        assert chosen == {0: "class-means", 1: "one-hot", 2: "prototypes", 3: "one-hot"}
        assert set(rows["method"]) == {"label-only"}
        for fold, name in chosen.items():
            original = frame[(frame["method"] == name) & (frame["fold"] == fold)].drop(columns="method")
            copy = rows[rows["fold"] == fold].drop(columns="method")
            pd.testing.assert_frame_equal(copy.reset_index(drop=True), original.reset_index(drop=True))
        evidence_io.check(rows)

    def test_the_mean_over_seeds_decides(self, frame: pd.DataFrame) -> None:
        scores = dict(val_uar(dict.fromkeys(range(4), "one-hot")))
        scores["prototypes", 2, 0] = 0.65  # best with one seed, 0.575 on average
        assert contrast.label_only(frame, scores)[1][2] == "one-hot"
        scores["prototypes", 2, 1] = 0.60
        assert contrast.label_only(frame, scores)[1][2] == "prototypes"

    def test_ties_go_by_order_whatever_the_order_of_the_rows(self, frame: pd.DataFrame) -> None:
        equal = {key: 0.1 + 0.2 if key[0] == "class-means" else 0.3 for key in MIXED}
        backwards = frame.iloc[::-1]
        assert set(contrast.label_only(backwards, equal)[1].values()) == {"one-hot"}

    def test_neither_test_predictions_nor_test_labels_matter(self, frame: pd.DataFrame) -> None:
        spoilt = frame.assign(y_pred="HVHA", y_true=frame["y_true"].to_numpy()[::-1])
        assert contrast.label_only(spoilt, MIXED)[1] == contrast.label_only(frame, MIXED)[1]

    def test_one_control_is_enough(self, frame: pd.DataFrame) -> None:
        only = frame[frame["method"].isin(["jmml", "prototypes"])]
        assert set(contrast.label_only(only, MIXED)[1].values()) == {"prototypes"}

    def test_what_is_missing_is_named(self, frame: pd.DataFrame) -> None:
        def without(method: str, fold: int, seed: int) -> pd.DataFrame:
            here = (frame["method"] == method) & (frame["fold"] == fold) & (frame["seed"] == seed)
            return frame[~here]

        with pytest.raises(
            ProtocolError, match=r"'prototypes' has no evidence in fold 2, seed 1;.*to its end"
        ):
            contrast.label_only(without("prototypes", 2, 1), MIXED)
        scores = {key: value for key, value in MIXED.items() if key != ("class-means", 3, 0)}
        with pytest.raises(ProtocolError, match="'class-means' has no inner-fold UAR in fold 3, seed 0"):
            contrast.label_only(frame, scores)
        with pytest.raises(ProtocolError, match="'one-hot' has no inner-fold UAR in fold 0, seed 1"):
            contrast.label_only(frame, MIXED | {("one-hot", 0, 1): float("nan")})
        with pytest.raises(
            ProtocolError, match="no label-only control was run; expected one-hot, prototypes"
        ):
            contrast.label_only(frame[frame["method"] == "jmml"], MIXED)
        absent = frame[~((frame["method"].isin(label_only())) & (frame["fold"] == 1))]
        with pytest.raises(ProtocolError, match="'one-hot' has no evidence in fold 1"):
            contrast.label_only(absent, MIXED)


class TestTable:
    def test_rows_and_kinds_are_in_order(self, table: pd.DataFrame) -> None:
        assert table["method"].tolist() == [
            "raw", "jmml", "one-hot", "prototypes", "class-means", "noise", "label-only",
        ]  # fmt: skip
        assert table["kind"].tolist() == ["peer", "ours", *["control"] * 5]
        assert table["label"].tolist()[-1] == "best label-only control"
        assert table["reference"].unique().tolist() == ["label-only"]
        assert table.loc[table["primary"], "method"].tolist() == ["jmml"]

    def test_the_order_is_that_of_the_methods(self) -> None:
        assert (*METHODS, "label-only") == contrast.order()
        kinds = [contrast.kind_of(name) for name in contrast.order()]
        assert (kinds.count("peer"), kinds.count("ours"), kinds.count("control")) == (12, 1, 7)

    def test_differences_are_those_of_the_speakers(self, frame: pd.DataFrame, table: pd.DataFrame) -> None:
        rows, _ = contrast.label_only(frame, MIXED)
        own = evidence_io.per_speaker(pd.concat([frame, rows])).pivot(
            index="group", columns="method", values="uar"
        )
        by_method = table.set_index("method")
        for method in ("jmml", "raw", "one-hot"):
            d = (own[method] - own["label-only"]).to_numpy()
            assert by_method.loc[method, "p"] == statistics.paired_sign_flip(d)
            assert by_method.loc[method, "dz"] == pytest.approx(statistics.cohen_dz(d))
        family = by_method.drop("label-only")["p"]
        assert by_method["p_holm"].drop("label-only").tolist() == statistics.holm(family.to_numpy()).tolist()

    def test_a_copied_control_is_no_evidence(self, frame: pd.DataFrame) -> None:
        table = contrast.study_table(
            frame, val_uar=val_uar(dict.fromkeys(range(4), "one-hot")), bootstrap=200
        ).set_index("method")
        copied = table.loc["one-hot"]
        assert copied["diff"] == 0.0
        assert copied[["diff_low", "diff_high", "p", "p_holm", "dz"]].isna().all()
        assert copied["note"] == "the reference is a copy of it: no comparison"
        assert copied["uar"] == table.loc["label-only", "uar"]
        # jmml, raw, prototypes, class-means and noise remain: the smallest p is multiplied by five, not by six.
        assert table["p_holm"].min() == pytest.approx(5 * table["p"].min())

    def test_without_label_only_controls_raw_is_the_reference(self, frame: pd.DataFrame) -> None:
        some = frame[frame["method"].isin(["raw", "jmml", "noise"])]
        table = contrast.study_table(some, val_uar={}, bootstrap=200)
        assert table["reference"].unique().tolist() == ["raw"]
        found = contrast.primary(table)
        assert found["verdict"] == "JMML beats raw speech"
        alone = contrast.study_table(frame[frame["method"] == "jmml"], val_uar={}, bootstrap=200)
        found = contrast.primary(alone)
        assert (found["outcome"], found["reference"]) == ("missing", None)
        assert np.isnan(found["diff"])

    def test_a_claim_that_was_not_run(self, frame: pd.DataFrame) -> None:
        table = contrast.study_table(frame, val_uar=MIXED, claim="dccae", bootstrap=200)
        assert contrast.primary(table)["verdict"] == "the study lacks the claim"

    def test_unlike_samples_are_refused(self, frame: pd.DataFrame) -> None:
        short = frame.drop(frame.index[frame["method"] == "noise"][:1])
        with pytest.raises(ProtocolError, match="not evaluated on the same samples"):
            contrast.study_table(short, val_uar=MIXED, bootstrap=200)


class TestPrimary:
    def test_numbers_are_those_of_the_row(self, table: pd.DataFrame) -> None:
        row = table[table["method"] == "jmml"].iloc[0]
        found = contrast.primary(table)
        assert (found["diff"], found["low"], found["high"]) == (
            row["diff"],
            row["diff_low"],
            row["diff_high"],
        )
        assert (found["p"], found["p_holm"], found["dz"]) == (row["p"], row["p_holm"], row["dz"])
        assert found["diff"] == pytest.approx(found["uar"] - found["reference_uar"])
        assert (found["n_groups"], found["n_seeds"]) == (8, 2)

    @pytest.mark.parametrize(
        ("jmml", "outcome", "verdict"),
        [
            (2.2, "more", "EEG added more than labels do"),
            (0.85, "none", "no evidence that EEG added more than labels do"),
            (-0.6, "worse", "worse than bare labels"),
        ],
    )
    def test_verdict(self, jmml: float, outcome: str, verdict: str) -> None:
        frame = simulated.evidence({"one-hot": 0.9, "jmml": jmml, "raw": 0.3})
        found = contrast.primary(contrast.study_table(frame, val_uar=MIXED, bootstrap=500))
        assert (found["outcome"], found["verdict"]) == (outcome, verdict)

    @pytest.mark.parametrize(("sign", "column"), [(1, "diff_low"), (-1, "diff_high")])
    def test_interval_and_speakers_that_point_apart_show_nothing(
        self, table: pd.DataFrame, sign: int, column: str
    ) -> None:
        other = table.copy()
        claim = other["method"] == "jmml"
        other.loc[claim, ["p", "dz", "diff", "diff_low", "diff_high"]] = [
            0.01,
            sign * 2.0,
            sign * 0.2,
            0.0,
            0.0,
        ]
        other.loc[claim, column] = sign * 0.1
        decided = contrast.primary(other)["outcome"]
        assert decided == ("more" if sign > 0 else "worse")
        other.loc[claim, "dz"] *= -1
        assert contrast.primary(other)["outcome"] == "none"

    def test_a_speech_only_claim_says_nothing_about_eeg(self) -> None:
        frame = simulated.evidence({"one-hot": 0.3, "mlp": 2.5})
        found = contrast.primary(contrast.study_table(frame, val_uar=MIXED, claim="mlp", bootstrap=500))
        assert found["verdict"] == "supervised MLP beats the best label-only control"

    def test_few_speakers_decide_nothing_however_large_the_difference(self) -> None:
        frame = simulated.evidence({"one-hot": 0.0, "jmml": 6.0}, speakers=5, folds=2, per_class=8)
        found = contrast.primary(contrast.study_table(frame, val_uar=MIXED, bootstrap=500))
        assert found["low"] > 0
        assert found["p"] == 2 / 2**5
        assert (found["outcome"], found["verdict"]) == ("undecidable", "5 speakers are too few to decide")

    def test_interval_and_test_must_agree(self, table: pd.DataFrame) -> None:
        weak = table.copy()
        weak.loc[weak["primary"], ["diff_low", "p"]] = [0.01, 0.2]
        assert contrast.primary(weak)["outcome"] == "none"
        weak.loc[weak["primary"], ["diff_low", "p"]] = [-0.01, 0.001]
        assert contrast.primary(weak)["outcome"] == "none"
        weak.loc[weak["primary"], ["diff_low", "p"]] = [0.01, 0.05]
        assert contrast.primary(weak)["outcome"] == "more"

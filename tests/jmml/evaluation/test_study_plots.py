"""The figures of a study hold its numbers, keep their texts apart, and come out the same twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from sklearn.decomposition import PCA

from jmml.errors import DataError
from jmml.evaluation import contrast, plots
from jmml.evaluation.plots.paired import _spread
from jmml.evaluation.plots.projection import principal_plane
from tests.jmml.evaluation import simulated
from tests.jmml.evaluation.test_plots import history, texts

Draw = Callable[[Path], None]
CLASSES = ("HVHA", "LVLA")


def differences() -> pd.DataFrame:
    frame = simulated.evidence({"raw": 0.2, "jmml": 1.4, "one-hot": 0.8, "prototypes": 0.7, "noise": 0.2})
    val_uar = {(name, fold, seed): 0.5 + 0.1 * (name == "one-hot") for name in ("one-hot", "prototypes")
               for fold in range(4) for seed in range(2)}  # fmt: skip
    return contrast.study_table(frame, val_uar=val_uar, bootstrap=200)


def paired(change: float = 0.1) -> pd.DataFrame:
    groups = [f"s{i}" for i in range(6)]
    uar = np.array([0.3, 0.4, 0.42, 0.44, 0.6, 0.7])
    after = uar + change * np.array([1, 1, 1, -1, 0, 1])
    return pd.concat(
        [
            pd.DataFrame({"method": m, "group": groups, "uar": u})
            for m, u in (("one-hot", uar), ("jmml", after))
        ]
    )


def embedding(fold: int = 2, width: int = 4) -> plots.Embedding:
    rng = np.random.default_rng(0)
    labels, groups = np.repeat(["HVHA", "LVLA"], 12), np.tile(["anna", "ben", "carl"], 8)
    values = rng.standard_normal((24, width)) + 3.0 * (labels == "LVLA")[:, None]
    return plots.Embedding(values.astype(np.float32), labels.tolist(), groups.tolist(), fold)


def draw_forest(path: Path) -> None:
    plots.forest(differences(), path)


def draw_paired(path: Path) -> None:
    plots.paired_speakers(paired(), path, reference="one-hot", claim="jmml", chance=0.25)


def draw_panels(path: Path) -> None:
    frame = pd.DataFrame(history(3))
    plots.correlation_panels({"DCCA": frame, "JMML": frame, "raw speech": frame[["epoch"]]}, path)


def draw_embeddings(path: Path) -> None:
    plots.embedding_projection({"JMML": embedding(), "raw speech": embedding(width=1)}, path)


@pytest.mark.parametrize("draw", [draw_forest, draw_paired, draw_panels, draw_embeddings])
def test_writes_a_readable_image_twice_the_same(draw: Draw, tmp_path: Path) -> None:
    draw(tmp_path / "sub" / "a.png")
    draw(tmp_path / "b.png")
    assert (tmp_path / "sub" / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    image = matplotlib.image.imread(tmp_path / "b.png")
    assert min(image.shape[:2]) > 400
    assert image[..., :3].std() > 0.05


class TestForest:
    def test_holds_every_difference_and_marks_the_primary(self, drawn: list[Figure], tmp_path: Path) -> None:
        draw_forest(tmp_path / "f.png")
        (ax,) = drawn[0].axes
        table = differences()
        compared = table[table["diff_low"].notna()]
        bars = {tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2}  # type: ignore[arg-type]
        assert {(r.diff_low, r.diff_high) for r in compared.itertuples()} <= bars
        bold = [tick.get_text() for tick in ax.get_yticklabels() if tick.get_fontweight() == "bold"]
        assert bold == ["JMML"]
        assert [tick.get_text() for tick in ax.get_yticklabels()] == [
            "JMML", "raw speech", "one-hot labels", "random prototypes", "Gaussian noise",
        ]  # fmt: skip
        shown = texts(drawn[0])
        assert shown.count("is the reference in every fold") == 1
        assert {"Ours", "Peers", "Controls in place of EEG"} <= set(shown)
        assert any("best label-only control" in text for text in shown)
        assert {"p", "Holm p"} <= set(shown)
        jmml = table.set_index("label").loc["JMML"]
        assert jmml["p"] < jmml["p_holm"]
        assert {f"{jmml['p']:.3f}", f"{jmml['p_holm']:.3f}"} <= set(shown)

    def test_what_p_can_reach_and_how_it_is_corrected(self, drawn: list[Figure], tmp_path: Path) -> None:
        draw_forest(tmp_path / "f.png")
        shown = "\n".join(texts(drawn[0]))
        assert "cannot be below 0.008 with eight speakers" in shown
        assert "corrected for the 4 comparisons of the table; it cannot be below 0.031" in shown

    def test_three_speakers_have_a_test_and_no_interval(self, drawn: list[Figure], tmp_path: Path) -> None:
        frame = simulated.evidence({"raw": 0.2, "jmml": 1.4}, speakers=3, folds=3)
        table = contrast.study_table(frame, val_uar={}, bootstrap=200)
        plots.forest(table, tmp_path / "f.png")
        shown = texts(drawn[0])
        assert "difference" in shown
        assert any(text.startswith("There is no interval below four speakers.") for text in shown)
        assert "0.250" in shown
        assert not any("reference in every fold" in text for text in shown)
        bars = [line for line in drawn[0].axes[0].lines if line.get_linewidth() in (2, 3)]
        assert bars == []

    def test_no_text_covers_another(self, drawn: list[Figure], tmp_path: Path) -> None:
        draw_forest(tmp_path / "f.png")
        (ax,) = drawn[0].axes
        renderer = FigureCanvasAgg(drawn[0]).get_renderer()
        drawn[0].draw_without_rendering()
        written = [*ax.texts, *ax.get_yticklabels(), *ax.get_xticklabels(), ax.xaxis.label]
        boxes = [text.get_window_extent(renderer) for text in written]
        assert len(boxes) > 20
        overlaps = [(a, b) for i, a in enumerate(boxes) for b in boxes[i + 1 :] if a.overlaps(b)]
        assert overlaps == []

    def test_nothing_to_compare(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no difference to draw"):
            plots.forest(differences().assign(diff=np.nan), tmp_path / "f.png")


class TestPaired:
    def test_directions_are_counted_and_told_without_colour(
        self, drawn: list[Figure], tmp_path: Path
    ) -> None:
        draw_paired(tmp_path / "p.png")
        (ax,) = drawn[0].axes
        assert ax.get_title(loc="left") == "Higher for 4 of 6 speakers, lower for 1"
        joins = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_marker() == "None"]  # type: ignore[arg-type]
        styles = [line.get_linestyle() for line in joins][:6]
        assert [style == "-" for style in styles] == [True, True, True, False, False, True]
        assert styles[3] != styles[4]
        shown = "\n".join(texts(drawn[0]))
        assert "mean 0.477" in shown
        assert "mean 0.527" in shown
        assert {f"s{i}" for i in range(6)} <= set(texts(drawn[0]))
        assert "Dotted: equal." in shown
        moved = paired()
        moved.loc[(moved["group"] == "s4") & (moved["method"] == "jmml"), "uar"] = 0.7
        plots.paired_speakers(moved, tmp_path / "q.png", reference="one-hot", claim="jmml")
        assert "Dotted" not in "\n".join(texts(drawn[1]))

    def test_unlike_speakers_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="do not share all speakers"):
            plots.paired_speakers(paired()[:-1], tmp_path / "p.png", reference="one-hot", claim="jmml")

    def test_labels_are_apart_and_in_order(self) -> None:
        values = np.array([0.5, 0.1, 0.51, 0.52, 0.9, 0.1])
        placed = _spread(values, 0.05)
        assert np.diff(np.sort(placed)).min() >= 0.05 - 1e-12
        assert np.array_equal(np.argsort(placed, kind="stable"), np.argsort(values, kind="stable"))
        assert placed[4] == 0.9
        assert placed[[0, 2, 3]].mean() == pytest.approx(0.51)


class TestPanels:
    def test_one_panel_per_method_with_correlations(self, drawn: list[Figure], tmp_path: Path) -> None:
        draw_panels(tmp_path / "c.png")
        visible = [ax for ax in drawn[0].axes if ax.get_visible()]
        assert [ax.get_title(loc="left") for ax in visible] == ["DCCA", "JMML"]
        assert np.asarray(visible[1].lines[0].get_ydata()) == pytest.approx(0.5 + 0.04 * np.arange(10) + 0.01)

    def test_ends_where_most_runs_have_stopped_and_skips_gaps(
        self, drawn: list[Figure], tmp_path: Path
    ) -> None:
        records = pd.DataFrame(
            [
                {"epoch": e, "rho_train": 0.5, "rho_held_out": 0.4 if e in (1, 6) else np.nan}
                for last in (8, 8, 4, 20)
                for e in range(1, last + 1)
            ]
        )
        plots.correlation_panels({"JMML": records}, tmp_path / "c.png")
        train, held_out = drawn[0].axes[0].lines
        assert list(np.asarray(train.get_xdata())) == list(range(1, 9))
        assert list(np.asarray(held_out.get_xdata())) == [1, 6]

    def test_nothing_to_draw(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no correlations"):
            plots.correlation_panels({"raw speech": pd.DataFrame({"epoch": [1]})}, tmp_path / "c.png")


class TestProjection:
    def test_plane_equals_scikit_learn(self) -> None:
        X = np.random.default_rng(1).standard_normal((30, 5)) * [5, 3, 1, 1, 0.1]
        scores, share = principal_plane(X.astype(np.float64))
        pca = PCA(2).fit(X)
        np.testing.assert_allclose(np.abs(scores), np.abs(pca.transform(X)), atol=1e-9)
        assert share == pytest.approx(tuple(pca.explained_variance_ratio_))
        np.testing.assert_allclose(principal_plane(X[:, ::-1])[0], scores, atol=1e-9)

    def test_thin_and_constant_embeddings(self) -> None:
        scores, share = principal_plane(np.arange(5.0)[:, None])
        assert scores[:, 0] == pytest.approx([-2, -1, 0, 1, 2])
        assert not scores[:, 1].any()
        assert share == (1.0, 0.0)
        assert not principal_plane(np.ones((4, 3)))[0].any()

    def test_shows_classes_and_speakers_and_says_what_it_is(
        self, drawn: list[Figure], tmp_path: Path
    ) -> None:
        draw_embeddings(tmp_path / "e.png")
        by_class, _, by_speaker, _ = drawn[0].axes
        assert len(by_class.collections) == 2
        assert len(by_speaker.collections) == 3
        points = np.concatenate([np.asarray(c.get_offsets()) for c in by_class.collections])
        assert len(points) == 24
        shown = "\n".join(texts(drawn[0]))
        assert "PCA per method, fitted on the samples shown: the test speakers of outer fold 2" in shown
        assert {"HVHA", "LVLA", "anna", "ben", "carl"} <= set(texts(drawn[0]))

    def test_many_speakers_do_not_flood_the_legend(self, drawn: list[Figure], tmp_path: Path) -> None:
        many = embedding()._replace(groups=[f"s{i:02d}" for i in range(24)])
        plots.embedding_projection({"JMML": many}, tmp_path / "e.png")
        assert "... 10 more" in texts(drawn[0])

    def test_bad_input(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no embedding to draw"):
            plots.embedding_projection({}, tmp_path / "e.png")
        broken = embedding()._replace(values=np.full((24, 2), np.nan, dtype=np.float32))
        with pytest.raises(DataError, match="JMML: the embedding is not finite"):
            plots.embedding_projection({"JMML": broken}, tmp_path / "e.png")
        assert list(tmp_path.iterdir()) == []


def test_confusions_side_by_side(drawn: list[Figure], tmp_path: Path) -> None:
    first, second = np.array([[3, 1], [0, 4]]), np.array([[1, 3], [2, 2]])
    plots.confusion_matrices([("JMML", first), ("one-hot labels", second)], CLASSES, tmp_path / "c.png")
    left, right, bar = drawn[0].axes
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("JMML", "one-hot labels")
    assert [t.get_text() for t in left.texts] == ["75%", "3", "25%", "1", "0%", "0", "100%", "4"]
    assert [t.get_text() for t in right.texts][::2] == ["25%", "75%", "50%", "50%"]
    assert bar.get_ylabel() == "share of the true class"

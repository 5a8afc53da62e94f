"""Figures hold the numbers they were given, are complete images, and come out the same twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from jmml.errors import DataError
from jmml.evaluation import plots

Draw = Callable[[Path], None]
CLASSES = ("HVHA", "HVLA", "LVHA")


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def table(note: str = "") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "method": ["raw", "jmml"],
            "uar": [0.41, 0.52],
            "ci_low": [0.35, 0.46],
            "ci_high": [0.47, 0.58],
            "n_groups": 8,
            "n_seeds": [1, 3],
            "reference": "raw",
            "diff": [np.nan, 0.11],
            "p_holm": [np.nan, 0.0078],
            "note": note,
        }
    )


def speakers() -> pd.DataFrame:
    uar = np.random.default_rng(0).uniform(0.3, 0.7, 16)
    return pd.DataFrame({"method": np.repeat(["raw", "jmml"], 8), "group": "s", "uar": uar})


def history(runs: int = 1) -> list[dict[str, float]]:
    return [
        {"epoch": e, "rho_train": 0.5 + 0.04 * e + 0.01 * run, "rho_held_out": 0.4, "rho_permuted": 0.38}
        for run in range(runs)
        for e in range(10)
    ]


def compare(path: Path) -> None:
    plots.method_comparison(table(), speakers(), path, chance=0.25)


def confuse(path: Path) -> None:
    plots.confusion_matrix(np.array([[6, 2, 0], [1, 3, 0], [0, 0, 0]]), CLASSES, path, title="jmml")


def correlate(path: Path) -> None:
    plots.correlation_history(history(3), path)


@pytest.mark.parametrize("draw", [compare, confuse, correlate])
def test_writes_a_readable_image_twice_the_same(draw: Draw, tmp_path: Path) -> None:
    draw(tmp_path / "sub" / "a.png")
    draw(tmp_path / "b.png")
    assert (tmp_path / "sub" / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    image = matplotlib.image.imread(tmp_path / "b.png")
    assert min(image.shape[:2]) > 400
    assert image[..., :3].std() > 0.05


def test_comparison_shows_every_speaker_interval_and_chance(drawn: list[Figure], tmp_path: Path) -> None:
    compare(tmp_path / "m.png")
    (ax,) = drawn[0].axes
    dots = np.concatenate([c.get_offsets()[:, 0] for c in ax.collections])  # type: ignore[index]
    assert sorted(dots) == pytest.approx(sorted(speakers()["uar"]))
    segments = [tuple(line.get_xdata()) for line in ax.lines]  # type: ignore[arg-type]
    assert (0.35, 0.47) in segments
    assert (0.46, 0.58) in segments
    assert (0.25, 0.25) in segments
    shown = "\n".join(texts(drawn[0]))
    assert "0.520  [0.460, 0.580]\n+0.110 to raw, Holm p 0.008" in shown
    assert "0.410  [0.350, 0.470]\nreference" in shown
    assert "chance 0.25" in shown
    assert "8 speakers, mean of 1 or 3 seeds" in shown
    assert "UAR (unweighted average recall" in ax.get_xlabel()
    low, high = ax.get_xlim()
    assert low < min(dots)
    assert high > max(dots)


def test_comparison_repeats_the_notes(drawn: list[Figure], tmp_path: Path) -> None:
    flagged = table("only 4 speakers: the interval is rough; p cannot be below 0.125").assign(n_groups=4)
    plots.method_comparison(flagged, speakers(), tmp_path / "m.png", chance=0.25)
    shown = "\n".join(texts(drawn[0]))
    assert shown.count("only 4 speakers: the interval is rough.") == 1
    assert shown.count("cannot be below 0.125 with four speakers") == 1


def test_a_method_stands_on_the_line_of_its_bar(drawn: list[Figure], tmp_path: Path) -> None:
    compare(tmp_path / "m.png")
    (ax,) = drawn[0].axes
    bars = [line for line in ax.lines if line.get_linewidth() == 3]
    diamonds = [line for line in ax.lines if line.get_marker() == "D"]
    for place, bar, diamond in zip(ax.get_yticks(), bars, diamonds, strict=True):
        assert {*bar.get_ydata(), *diamond.get_ydata()} == {place}  # type: ignore[misc]
    assert all((c.get_offsets()[:, 1] % 1 > 0.15).all() for c in ax.collections)  # type: ignore[index]


def test_no_interval_is_drawn_or_named_where_there_is_none(drawn: list[Figure], tmp_path: Path) -> None:
    note = "2 speakers: no interval below four; p cannot be below 0.5"
    few = table(note).assign(n_groups=2, ci_low=np.nan, ci_high=np.nan)
    plots.method_comparison(few, speakers(), tmp_path / "m.png", chance=0.25)
    shown = "\n".join(texts(drawn[0]))
    assert not [line for line in drawn[0].axes[0].lines if line.get_linewidth() == 3]
    assert "Diamond: UAR over 2 speakers" in shown
    assert "Note: 2 speakers: no interval below four." in shown
    assert "[" not in shown


def test_comparison_without_reference_or_interval(drawn: list[Figure], tmp_path: Path) -> None:
    bare = table().assign(reference=None, diff=np.nan, p_holm=np.nan, ci_low=np.nan, ci_high=np.nan)
    plots.method_comparison(bare, speakers(), tmp_path / "m.png", chance=0.25)
    assert "0.520" in texts(drawn[0])
    assert not any("sign-flip" in text for text in texts(drawn[0]))


def test_confusion_shows_shares_and_counts(drawn: list[Figure], tmp_path: Path) -> None:
    confuse(tmp_path / "c.png")
    ax, bar = drawn[0].axes
    cells = {(round(t.get_position()[0]), round(t.get_position()[1]), t.get_text()) for t in ax.texts}
    assert {(0, 0, "75%"), (0, 0, "6"), (1, 0, "25%"), (1, 1, "75%"), (1, 1, "3"), (0, 1, "25%")} <= cells
    assert not any(y == 2 for _, y, _ in cells)  # no sample of the class, no share
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "HVHA\n(n = 8)", "HVLA\n(n = 4)", "LVHA\n(n = 0)",
    ]  # fmt: skip
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("recognised as", "true class")
    assert bar.get_ylabel() == "share of the true class"


def test_correlations_are_averaged_over_runs_and_labelled_apart(drawn: list[Figure], tmp_path: Path) -> None:
    correlate(tmp_path / "r.png")
    (ax,) = drawn[0].axes
    expected = 0.5 + 0.04 * np.arange(10) + 0.01
    assert np.asarray(ax.lines[0].get_ydata()) == pytest.approx(expected)
    assert len(ax.collections) == 3
    assert "mean and range of 3 runs" in texts(drawn[0])
    ends = {t.get_text(): t.xy[1] for t in ax.texts if hasattr(t, "xy")}
    assert ends["held-out pairs 0.40"] - ends["permuted pairs 0.38"] >= 0.06 - 1e-9
    assert ends["training pairs 0.87"] == pytest.approx(0.87)


def test_one_run_without_held_out_pairs(drawn: list[Figure], tmp_path: Path) -> None:
    records = [{**record, "rho_held_out": np.nan} for record in history()]
    plots.correlation_history(records, tmp_path / "r.png")
    (ax,) = drawn[0].axes
    assert len(ax.lines) == 2
    assert len(ax.collections) == 0


def test_nothing_to_draw_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no correlations"):
        plots.correlation_history([{"epoch": 0, "loss": 1.0}], tmp_path / "r.png")
    with pytest.raises(DataError, match="no method"):
        plots.method_comparison(table()[:0], speakers(), tmp_path / "m.png", chance=0.25)
    assert list(tmp_path.iterdir()) == []

"""The two worlds: equal in every modality alone, different in the pairs alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from jmml.config import MethodConfig, Stage2Config
from jmml.data.labels import SPACES, map_labels
from jmml.data.synthetic.worlds import CLASSES, EEG, METHOD, SPEECH, World, world_params, world_tables
from jmml.data.table import FeatureTable
from jmml.errors import ConfigError, ProtocolError
from jmml.models.pairing import pair
from jmml.task import load_task, make_split

WORLDS: tuple[World, World] = ("label", "trial")
LARGE = {"people": 20, "trials": 200}


def within_class(table: FeatureTable) -> np.ndarray:
    """Features without the mean of their class and person."""
    X = table.X.astype(np.float64)
    cells = table.index["group"] + "/" + table.index["label"]
    for cell in cells.unique():
        rows = (cells == cell).to_numpy()
        X[rows] -= X[rows].mean(axis=0)
    return X


def first_correlation(x: np.ndarray, e: np.ndarray) -> float:
    """Largest canonical correlation: the leading singular value of Q_x^T Q_e."""
    q_x, q_e = (np.linalg.qr(view - view.mean(axis=0))[0] for view in (x, e))
    return float(np.linalg.svd(q_x.T @ q_e, compute_uv=False)[0])


def test_speech_is_the_same_to_the_last_byte_in_both_worlds() -> None:
    (label, _), (trial, _) = (world_tables(world, seed=3) for world in WORLDS)
    assert label.digest == trial.digest
    assert label.X.tobytes() == trial.X.tobytes()
    assert label.corpus != trial.corpus


def test_eeg_has_the_same_class_means_and_covariances_in_both_worlds() -> None:
    few = replace(EEG, features=6)
    tables = [world_tables(world, people=50, trials=400, eeg=few)[1] for world in WORLDS]
    assert not np.array_equal(tables[0].X, tables[1].X)
    n = len(tables[0]) / 4
    for emotion in CLASSES:
        a, b = (table.X[(table.index["label"] == emotion).to_numpy()].astype(float) for table in tables)
        # Four standard errors of independent samples; the worlds share all draws but eps, and differ by less.
        spread = np.sqrt((a.var(axis=0) + b.var(axis=0)) / n)
        assert np.all(np.abs(a.mean(axis=0) - b.mean(axis=0)) < 4 * spread)
        variance = np.cov(a.T).diagonal()
        scale = np.sqrt(np.outer(variance, variance))
        assert np.all(np.abs(np.cov(a.T) - np.cov(b.T)) < 4 * np.sqrt(4 / n) * scale)


def test_only_the_pairs_of_world_trial_correlate_inside_a_class() -> None:
    rng = np.random.default_rng(0)
    found = {}
    for world in WORLDS:
        x, e = (within_class(table) for table in world_tables(world, **LARGE))
        chance = [first_correlation(x, e[rng.permutation(len(e))]) for _ in range(20)]
        found[world] = first_correlation(x, e), max(chance)
    assert found["label"][0] < 1.05 * found["label"][1]
    assert found["trial"][0] > 2 * found["trial"][1]


def test_the_correlation_inside_a_class_is_that_of_the_formulas() -> None:
    """corr(w.x, v.e | c) of the best directions: tau^2 / (1 + tau^2) of the state's variance, plus noise."""
    tau = 1.5
    channels = {
        "speech": replace(SPEECH, features=4, nuisance=0.0, person=0.0, affect=0.5),
        "eeg": replace(EEG, features=4, nuisance=0.0, person=0.0, affect=0.5),
    }
    s, e = world_tables("trial", people=50, trials=400, tau=tau, **channels)
    mixing = [
        np.linalg.lstsq(signs(table), table.X.astype(float), rcond=None)[0] * np.sqrt(1 + tau**2)
        for table in (s, e)
    ]
    within = tau**2 / (1 + tau**2)
    inverse_roots = []
    for A in mixing:
        values, vectors = np.linalg.eigh(within * A.T @ A + 0.5 * np.eye(4))
        inverse_roots.append(vectors / np.sqrt(values) @ vectors.T)
    cross = inverse_roots[0] @ (within * mixing[0].T @ mixing[1]) @ inverse_roots[1]
    expected = np.linalg.svd(cross, compute_uv=False)[0]
    assert first_correlation(within_class(s), within_class(e)) == pytest.approx(expected, abs=0.02)


def signs(table: FeatureTable) -> np.ndarray:
    return np.array([CLASSES[label] for label in table.index["label"]])


def test_features_have_the_shares_of_variance_that_were_asked_for() -> None:
    channel = replace(SPEECH, features=400, affect=0.2, nuisance=0.3, person=0.1)
    table, _ = world_tables("trial", people=60, trials=40, speech=channel)
    X = table.X.astype(np.float64)
    assert X.var(axis=0).mean() == pytest.approx(1.0, abs=0.05)
    between = X.reshape(60, 40, -1).mean(axis=1).var(axis=0).mean()
    assert between == pytest.approx(0.1 + 0.9 / 40, abs=0.03)


def test_without_spread_the_worlds_are_one() -> None:
    (_, label), (_, trial) = (world_tables(world, people=3, trials=8, tau=0.0) for world in WORLDS)
    assert label.digest == trial.digest


@pytest.mark.parametrize("world", WORLDS)
def test_recordings_are_parallel_balanced_and_alike_at_every_call(world: World) -> None:
    speech, eeg = world_tables(world, people=3, trials=8, seed=5)
    assert list(speech.index["recording"]) == list(eeg.index["recording"])
    assert list(speech.groups) == list(eeg.groups)
    assert (speech.index.groupby(["group", "label"]).size() == 2).all()
    again = world_tables(world, people=3, trials=8, seed=5)
    assert [table.digest for table in again] == [speech.digest, eeg.digest]
    other = world_tables(world, people=3, trials=8, seed=6)
    assert all(a.digest != b.digest for a, b in zip(again, other, strict=True))


@pytest.mark.parametrize("world", WORLDS)
def test_more_people_and_trials_leave_the_earlier_ones_as_they_were(world: World) -> None:
    small = world_tables(world, people=2, trials=4)
    for few, many in zip(small, world_tables(world, people=3, trials=8), strict=True):
        rows = many.index["id"].isin(few.index["id"]).to_numpy()
        # Matrix products of other shapes may round otherwise.
        np.testing.assert_allclose(many.X[rows], few.X, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("space", ["quadrants", "binary-arousal", "binary-valence", "discrete"])
def test_every_label_has_the_place_that_its_state_has(world: World, space: str) -> None:
    speech, _ = world_tables(world, people=2, trials=4)
    classes = map_labels(speech.index, adapter="table", space=space)
    assert set(classes) <= set(SPACES[space])
    if space == "quadrants":
        named = [f"{'H' if v > 0 else 'L'}V{'H' if a > 0 else 'L'}A" for v, a in signs(speech)]
        assert list(classes) == named


@pytest.mark.parametrize("world", WORLDS)
def test_the_task_is_parallel_and_its_people_are_left_out_together(world: World) -> None:
    task = load_task(world_params(world), *world_tables(world, people=4, trials=8))
    assert task.parallel
    assert task.classes == SPACES["quadrants"]
    split = make_split(task, groups_per_fold=2, seed=0)
    assert split.speech == split.eeg
    ids = task.speech.recordings, task.eeg.recordings  # type: ignore[union-attr]
    rows = pair("instance", task.speech.y, task.speech.y, rng=np.random.default_rng(0), pair_ids=ids)
    assert list(rows) == list(range(32))


def test_settings_are_the_defaults_with_the_documented_overrides() -> None:
    method = world_params("trial").method
    assert method.stage2.pairing == "instance"
    assert method.stage1.r == METHOD["stage1"]["r"]
    assert method.stage2.k == METHOD["stage2"]["k"] == len(CLASSES) - 1
    base = MethodConfig(stage2=Stage2Config(k=5))
    own = world_params("label", base, pairing="class").method
    assert own == base


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"world": "trail"}, "unknown world 'trail'; did you mean 'trial'?"),
        ({"people": 1}, "people: expected at least 2, got 1"),
        ({"trials": 30}, "trials: expected a multiple of 4, got 30"),
        ({"trials": 0}, "trials: expected a multiple of 4, got 0"),
        ({"seed": -1}, "seed: expected 0 or more, got -1"),
        ({"tau": float("nan")}, "tau: expected 0 or more, got nan"),
        ({"speech": replace(SPEECH, affect=0.7)}, "speech: affect 0.7, nuisance 0.4 and person 0.05"),
        ({"eeg": replace(EEG, affect=-0.1)}, "eeg: affect -0.1"),
        ({"eeg": replace(EEG, features=0)}, "eeg.features: expected at least 1, got 0"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        world_tables(**({"world": "trial"} | settings))  # type: ignore[arg-type]
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        world_tables("label", people=0, trials=3)
    assert len(caught.value.problems) == 2


def test_an_unknown_world_has_no_settings() -> None:
    with pytest.raises(ConfigError, match="unknown world"):
        world_params("both")  # type: ignore[arg-type]


def test_a_task_of_two_different_sets_of_people_is_refused() -> None:
    speech, _ = world_tables("trial", people=4, trials=8)
    _, eeg = world_tables("trial", people=5, trials=8)
    task = load_task(world_params("trial"), speech, eeg)
    with pytest.raises(ProtocolError, match="p05"):
        make_split(task, groups_per_fold=2, seed=0)

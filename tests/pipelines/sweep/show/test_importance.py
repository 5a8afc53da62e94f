"""Importances name the setting that matters, say how sure they are, and are silent where nothing can be told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pipelines.definitions.spaces import Configuration, Dimension
from pipelines.sweep.show import importance
from pipelines.sweep.show.importance import MIN_TRIALS, Importances, importances

SPACE = {
    "stage2.lr": Dimension.model_validate({"loguniform": [1e-4, 1e-1]}),
    "stage2.lam_x": Dimension.model_validate({"uniform": [0.0, 1.0]}),
    "stage2.imagined": Dimension.model_validate({"choice": [True, 1, 1.0, None]}),
}


def drawn(n: int, *, noise: float = 0.0, seed: int = 0) -> list[tuple[Configuration, float | None]]:
    """y = log10(lr) + 0.5 lam_x: variances over the space 9/12 and 0.25/12, so 97 % and 3 %."""
    rng = np.random.default_rng(seed)
    trials: list[tuple[Configuration, float | None]] = []
    for _ in range(n):
        configuration = {key: dimension.draw(rng) for key, dimension in SPACE.items()}
        lr, lam_x = configuration["stage2.lr"], configuration["stage2.lam_x"]
        assert isinstance(lr, float)
        assert isinstance(lam_x, float)
        trials.append((configuration, math.log10(lr) + 0.5 * lam_x + noise * rng.normal()))
    return trials


@pytest.fixture(scope="module")
def found() -> Importances:
    return importances(drawn(80), SPACE)


def test_main_effects_are_those_of_the_function(found: Importances) -> None:
    assert list(found.shares)[:2] == ["stage2.lr", "stage2.lam_x"]
    assert found.shares["stage2.lr"] == pytest.approx(9 / 9.25, abs=0.08)
    assert found.shares["stage2.lam_x"] == pytest.approx(0.25 / 9.25, abs=0.05)
    assert found.shares["stage2.imagined"] < 0.01
    assert found.together == pytest.approx(1 - sum(found.shares.values()))
    assert found.sound
    assert found.r2 > 0.9
    assert found.spread["stage2.lr"] < 0.05
    assert (found.trials, found.available, found.reason) == (80, 80, "")


def test_equal_trials_give_equal_importances() -> None:
    trials = drawn(30)
    assert importances(trials, SPACE) == importances(trials, SPACE)


def test_noise_is_called_noise() -> None:
    rng = np.random.default_rng(1)
    found = importances([(configuration, float(rng.normal())) for configuration, _ in drawn(60)], SPACE)
    assert found.shares
    assert found.r2 < 0.1
    assert not found.sound
    assert max(found.spread.values()) > 0.05


def test_many_trials_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "MAX_TRIALS", 40)
    found = importances(drawn(100, noise=0.1), SPACE)
    assert (found.trials, found.available) == (40, 100)
    assert next(iter(found.shares)) == "stage2.lr"


def test_trials_without_a_score_or_a_setting_do_not_count() -> None:
    trials = drawn(MIN_TRIALS + 2)
    unscored: list[tuple[Configuration, float | None]] = [
        (trials[0][0], None), (trials[1][0], math.nan), ({"stage2.lr": 0.01}, 0.3), ({}, 0.9),
    ]  # fmt: skip
    assert importances([*trials, *unscored], SPACE) == importances(trials, SPACE)


@pytest.mark.parametrize(
    ("trials", "reason"),
    [
        ([], "0 of the trials have a score; below 10"),
        (drawn(1), "1 of the trials has a score"),
        (drawn(MIN_TRIALS - 1), "9 of the trials have a score"),
        ([(configuration, 0.25) for configuration, _ in drawn(20)], "all trials have the same score"),
        ([(drawn(1)[0][0], i / 20) for i in range(20)], "all trials have the same settings"),
    ],
)
def test_what_cannot_be_told(trials: list[tuple[Configuration, float | None]], reason: str) -> None:
    found = importances(trials, SPACE)
    assert not found.shares
    assert reason in found.reason


def test_settings_that_did_not_vary_have_no_importance() -> None:
    trials: list[tuple[Configuration, float | None]] = [
        ({**configuration, "stage2.imagined": None}, score) for configuration, score in drawn(20)
    ]
    assert set(importances(trials, SPACE).shares) == {"stage2.lr", "stage2.lam_x"}


def test_values_beyond_a_changed_definition() -> None:
    narrow = {
        **SPACE,
        "stage2.lr": Dimension.model_validate({"loguniform": [1e-3, 1e-2]}),
        "stage2.imagined": None,
    }
    found = importances(drawn(40), narrow)
    assert next(iter(found.shares)) == "stage2.lr"

"""How much each setting of a sweep matters: the part of the score's variance that it explains by itself.

Functional ANOVA (Hutter, Hoos, Leyton-Brown, ICML 2014) over a random forest that predicts the score from the
settings: the variance of the forest over the whole space is split into main effects of single settings and what they
do together. The space counts evenly (in the logarithm, for log dimensions), wherever the search looked most.

    importance of s = Var_s( E[forest | s] ) / Var( forest )

A forest finds structure in noise as well. So two more figures belong to the result: how much of the score the forest
predicts for trials that it has not seen (cross-validated R^2), and the spread of each importance when it is computed
on random halves of the trials.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.definitions.spaces import Configuration, Dimension, Scalar

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

MIN_TRIALS = 10  # scored ones; below, a forest says nothing
MAX_TRIALS = 160  # the cost grows with the square; more trials are sampled evenly by score
TREES, HALVES, HALF_TREES, DEPTH, FOLDS = 32, 12, 12, 64, 5


@dataclass(frozen=True)
class Importances:
    """Importance of the settings of a sweep.

    Attributes
    ----------
    shares : part of the forest's variance by setting, highest first; what is missing to 1 is what settings do together.
    spread : by setting, its standard error from random halves of the trials.
    r2 : part of the score's variance that the forest predicts for trials it was not fitted to, at most 1; 0 or less:
        it predicts nothing, and the shares are noise.
    trials : how many it was computed from, of ``available`` with a score and every setting.
    reason : why it cannot be told; empty when it can.
    """

    shares: dict[str, float] = field(default_factory=dict)
    spread: dict[str, float] = field(default_factory=dict)
    r2: float = math.nan
    trials: int = 0
    available: int = 0
    reason: str = ""

    @property
    def together(self) -> float:
        """Part of the variance that no single setting explains."""
        return max(0.0, 1 - sum(self.shares.values()))

    @property
    def sound(self) -> bool:
        """Whether the forest predicts anything at all."""
        return bool(self.shares) and self.r2 > 0


def importances(
    trials: Sequence[tuple[Configuration, float | None]],
    space: Mapping[str, Dimension | None],
    *,
    seed: int = 0,
) -> Importances:
    """Importance of each setting of ``space`` for the score.

    Parameters
    ----------
    trials : configurations with their scores; those without a finite score or with a setting missing do not count.
    space : the dimensions; None where only the values that trials had are known. A setting that had one value alone
        has no importance.
    seed : of the forests and the halves; equal input gives equal output.
    """
    usable = [
        (configuration, float(score))
        for configuration, score in trials
        if score is not None and math.isfinite(score) and all(key in configuration for key in space)
    ]
    tried = {key: [configuration[key] for configuration, _ in usable] for key in space}
    columns = {
        key: _Column.of(dimension, tried[key])
        for key, dimension in space.items()
        if len(distinct(tried[key])) > 1
    }
    if len(usable) < MIN_TRIALS:
        return Importances(
            available=len(usable),
            reason=f"{len(usable)} of the trials {'has' if len(usable) == 1 else 'have'} a score; below {MIN_TRIALS} "
            "it cannot be told which setting matters",
        )
    scores = np.array([score for _, score in usable])
    if np.ptp(scores) <= 1e-12 * max(1.0, float(np.abs(scores).max())):
        return Importances(
            available=len(usable), reason="all trials have the same score; no setting mattered"
        )
    if not columns:
        return Importances(available=len(usable), reason="all trials have the same settings")
    order = np.argsort(scores, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(order) - 1, min(len(order), MAX_TRIALS)).round().astype(int))]
    chosen.sort()
    y = scores[chosen]
    X = {key: [column.encode(usable[i][0][key]) for i in chosen] for key, column in columns.items()}
    shares = _shares(columns, X, y, range(len(y)), trees=TREES, seed=seed)
    rng = np.random.default_rng(seed)
    halves = [
        _shares(columns, X, y, rng.permutation(len(y))[: len(y) // 2], trees=HALF_TREES, seed=seed + i)
        for i in range(1, HALVES + 1)
    ]
    # With half of the data left out, the variance between halves is that of the whole (delete-d jackknife, d = n / 2).
    spread = {key: float(np.std([half[key] for half in halves], ddof=1)) for key in columns}
    ranked = dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))
    return Importances(
        shares=ranked,
        spread={key: spread[key] for key in ranked},
        r2=_cross_validated_r2(columns, X, y, seed=seed),
        trials=len(y),
        available=len(usable),
    )


@dataclass(frozen=True)
class _Column:
    """A setting as Optuna knows it; categories go by their place, as Optuna takes True for 1."""

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    categories: tuple[Scalar, ...] = ()

    @classmethod
    def of(cls, dimension: Dimension | None, values: Sequence[Scalar]) -> _Column:
        """``dimension``, widened to ``values`` where a trial of another definition left it."""
        numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        if not numeric or dimension is None or dimension.kind == "choice":
            listed = dimension.values if dimension is not None and dimension.kind == "choice" else ()
            return cls(categories=distinct([*listed, *values]))
        numbers = [float(v) for v in (*dimension.bounds, *values) if v is not None]
        log = dimension.kind.startswith("log") and min(numbers) > 0
        return cls(min(numbers), max(numbers), log, dimension.kind in ("int", "logint"))

    def encode(self, value: Scalar) -> float:
        if self.categories:
            return float(place(self.categories, value))
        assert isinstance(value, int | float)
        return float(value)

    def distribution(self) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.categories:
            return CategoricalDistribution([str(i) for i in range(len(self.categories))])
        if self.whole and self.low.is_integer() and self.high.is_integer():
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)

    def parameter(self, encoded: float) -> str | int | float:
        if self.categories:
            return str(int(encoded))
        return int(encoded) if self.whole and encoded.is_integer() else encoded


def place(categories: Sequence[Scalar], value: Scalar) -> int:
    """Where ``value`` stands among ``categories``; True is not 1 and 1 not 1.0."""
    return next(i for i, other in enumerate(categories) if type(other) is type(value) and other == value)


def distinct(values: Sequence[Scalar]) -> tuple[Scalar, ...]:
    """Each value once, in order; numbers of one type ascending."""
    found = list({(type(value), value): value for value in values}.values())
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in found):
        found.sort(key=lambda v: (float(v or 0), str(type(v))))
    return tuple(found)


def _shares(
    columns: Mapping[str, _Column],
    X: Mapping[str, Sequence[float]],
    y: NDArray[np.float64],
    rows: Sequence[int] | NDArray[np.int64],
    *,
    trees: int,
    seed: int,
) -> dict[str, float]:
    """Main effects by setting, each between 0 and 1; zeros when the rows have one score alone."""
    from optuna.importance import FanovaImportanceEvaluator

    if np.ptp(y[rows]) == 0:
        return dict.fromkeys(columns, 0.0)
    evaluator = FanovaImportanceEvaluator(n_trees=trees, max_depth=DEPTH, seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = evaluator.evaluate(_study(columns, X, y, rows))
        except RuntimeError:  # no tree could split these scores by these settings
            found = {}
    return {key: float(np.clip(np.nan_to_num(found.get(key, 0.0)), 0, 1)) for key in columns}


def _study(
    columns: Mapping[str, _Column],
    X: Mapping[str, Sequence[float]],
    y: NDArray[np.float64],
    rows: Sequence[int] | NDArray[np.int64],
) -> Study:
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="maximize")
        distributions = {key: column.distribution() for key, column in columns.items()}
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params={key: column.parameter(X[key][i]) for key, column in columns.items()},
                    distributions=distributions,
                    value=float(y[i]),
                )
                for i in rows
            ]
        )
    finally:
        optuna.logging.set_verbosity(level)
    return study


def _cross_validated_r2(
    columns: Mapping[str, _Column], X: Mapping[str, Sequence[float]], y: NDArray[np.float64], *, seed: int
) -> float:
    """1 - sum of squared errors of held-out trials / that of their mean."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold

    parts = []
    for key, column in columns.items():
        values = np.array(X[key])
        if column.categories:
            parts.append((values[:, None] == np.arange(len(column.categories))).astype(np.float64))
        else:
            parts.append(np.log(values)[:, None] if column.log else values[:, None])
    features = np.hstack(parts)
    error = total = 0.0
    for train, test in KFold(min(FOLDS, len(y)), shuffle=True, random_state=seed).split(features):
        forest = RandomForestRegressor(TREES, random_state=seed, n_jobs=1).fit(features[train], y[train])
        error += float(np.sum((y[test] - forest.predict(features[test])) ** 2))
        total += float(np.sum((y[test] - y[train].mean()) ** 2))
    return 1 - error / total if total > 0 else 0.0

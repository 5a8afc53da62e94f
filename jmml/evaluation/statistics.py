"""Intervals and tests whose unit of inference is the speaker.

Utterances of one speaker are not independent, and neither are repeated trainings on the same data: seeds are
averaged first, then speakers are resampled (interval) or their differences sign-flipped (test). The results
speak of new speakers recorded alike; they do not include the spread over other training corpora.

Predictions enter as confusion counts, shape (speakers, seeds, classes, classes): counts of a resampled set
of speakers are a weighted sum of theirs, so thousands of resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from jmml.evaluation.metrics import uar_of

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[Any]

MIN_SPEAKERS = 4  # for an interval: with fewer Student's factor is 4.3 to 12.7, and everything is covered
FEW_SPEAKERS = 6
DRAWS = 20_000  # sign patterns, where there are too many to try them all
_EXACT_UP_TO = 2**16
_CHUNK = 2_000_000  # numbers held at once while resampling


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence bounds; ``note`` says why the bounds should be read with care."""

    estimate: float
    low: float
    high: float
    note: str = ""


def pooled_uar(counts: Counts) -> float:
    """UAR of the predictions of all speakers together, per seed, then averaged over seeds."""
    return float(uar_of(counts.sum(axis=0)).mean())


def speaker_uar(counts: Counts) -> Floats:
    """(speakers,) UAR of each speaker's own predictions, averaged over seeds."""
    own: Floats = uar_of(counts).mean(axis=1)
    return own


def cluster_bootstrap(
    counts: Counts,
    *,
    n: int = 2000,
    confidence: float = 0.95,
    rng: np.random.Generator,
    reference: Counts | None = None,
) -> Interval:
    """Interval of the pooled UAR, or of its difference to ``reference``, by resampling speakers.

    theta* = mean over seeds of UAR( sum_g w_g N_gs ),   w ~ Multinomial(G, 1/G), the same w for both methods.

    Each bound is the wider of two, both from the same resamples:

    - the expanded percentile (Hesterberg 2015, "What teachers should know about the bootstrap", The American
      Statistician 69(4)): the tail is taken at Phi( -sqrt(G / (G - 1)) t_{1 - alpha/2, G - 1} ) in place of
      alpha/2, for plain percentiles are too narrow by sqrt((G - 1) / G) and know no Student's t;
    - theta +- t_{1 - alpha/2, G - 1} sqrt(G / (G - 1)) sd(theta*), clipped to what is possible.

    The percentile follows skewness but cannot reach beyond the speakers at hand; t does the reverse. Measured
    over 20,000 simulated experiments each (recalls around 0.5 and 0.75, equal and unequal numbers of utterances;
    standard error 0.0016), the 95 % interval held the true UAR in 0.931 to 0.944 of those with 5 speakers and
    0.940 to 0.953 with 8 to 20, the true difference of two methods in 0.952 to 0.959 and 0.950 to 0.957. The
    percentile alone held them in 0.905 to 0.923 with 5 speakers and 0.933 to 0.951 with more; it is narrower by
    15 % with 5, 5 % with 8, 2 % with 20.

    Parameters
    ----------
    counts : (G, S, C, C) confusion counts by speaker and seed.
    n : number of resamples.
    reference : (G, S', C, C) counts of another method on the same speakers, in the same order.

    Returns
    -------
    Interval ; with fewer than four speakers the bounds are nan; with fewer than six the note says so.
    """
    groups = len(counts)
    estimate = pooled_uar(counts) - (0.0 if reference is None else pooled_uar(reference))
    if groups < MIN_SPEAKERS:
        people = "one speaker" if groups == 1 else f"{groups} speakers"
        return Interval(estimate, float("nan"), float("nan"), f"{people}: no interval below four")
    weights = rng.multinomial(groups, np.full(groups, 1 / groups), size=n)
    values = _resampled_uar(weights, counts)
    if reference is not None:
        values = values - _resampled_uar(weights, reference)
    reach = np.sqrt(groups / (groups - 1)) * stats.t.ppf(0.5 + confidence / 2, groups - 1)
    tail = float(stats.norm.cdf(-reach))
    percentile_low, percentile_high = np.quantile(values, [tail, 1 - tail])
    lowest = 0.0 if reference is None else -1.0
    low = min(percentile_low, max(lowest, estimate - reach * values.std()))
    high = max(percentile_high, min(1.0, estimate + reach * values.std()))
    note = f"only {groups} speakers: the interval is rough" if groups < FEW_SPEAKERS else ""
    return Interval(estimate, float(low), float(high), note)


def _resampled_uar(weights: npt.NDArray[np.int64], counts: Counts) -> Floats:
    """(n,) mean over seeds of the pooled UAR, for each row of speaker weights (n, G)."""
    shape = counts.shape[1:]
    flat = counts.reshape(len(counts), -1).astype(np.float64)
    step = max(1, _CHUNK // flat.shape[1])
    parts = [
        uar_of((weights[i : i + step] @ flat).reshape(-1, *shape)).mean(axis=1)
        for i in range(0, len(weights), step)
    ]
    return np.concatenate(parts)


def paired_sign_flip(
    differences: npt.ArrayLike, *, rng: np.random.Generator | None = None, draws: int = DRAWS
) -> float:
    """Two-sided p-value of the hypothesis that the differences are symmetric about zero.

    p = share of the 2^n sign patterns s for which |sum_i s_i d_i| >= |sum_i d_i|.

    Exact up to 16 differences. Beyond, by ``draws`` random patterns, with the observed one counted in
    (p = (1 + b) / (1 + draws)), so that p is never 0 and the test keeps its level.
    With n differences no p below 2 / 2^n can occur: five speakers cannot reach 0.05.

    Parameters
    ----------
    differences : (n,) one value per speaker, finite, seeds averaged.
    rng : needed beyond 16 differences; a fixed seed is used when none is given.

    Example
    -------
    >>> paired_sign_flip([0.1, 0.2, 0.1, 0.3, 0.1, 0.2])  # 2 of 64 patterns
    0.03125
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) == 0:
        return float("nan")
    observed = abs(d.sum())
    slack = 1e-12 * max(np.abs(d).sum(), 1.0)  # patterns that tie in exact arithmetic must count
    if 2 ** len(d) <= _EXACT_UP_TO:
        bits = np.arange(2 ** len(d))[:, None] >> np.arange(len(d)) & 1
        return float(np.mean(np.abs((1 - 2 * bits) @ d) >= observed - slack))
    source = rng or np.random.default_rng(0)
    signs = source.integers(0, 2, size=(draws, len(d)), dtype=np.int8)
    reached = np.abs((1 - 2 * signs) @ d) >= observed - slack
    return float((1 + reached.sum()) / (1 + draws))


def smallest_p(groups: int) -> float:
    """The smallest p that :func:`paired_sign_flip` can give for that many speakers: 2 / 2^n, or 1 / (1 + draws) where
    patterns are drawn.

    Example
    -------
    >>> smallest_p(9)
    0.00390625
    """
    return 2.0 ** (1 - groups) if 2**groups <= _EXACT_UP_TO else 1 / (1 + DRAWS)


def holm(p_values: Sequence[float] | Floats) -> Floats:
    """Holm's step-down adjustment: p~_(i) = max_{j <= i} min(1, (m - j + 1) p_(j)), in the order given.

    Rejecting where p~ <= alpha keeps the family-wise error below alpha under any dependence (Holm 1979,
    Scandinavian Journal of Statistics 6(2)). nan (no test made) stays nan and does not count in m.
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, factors * p[order]))
    return adjusted


def cohen_dz(differences: npt.ArrayLike) -> float:
    """Effect size of paired differences: their mean over their standard deviation (n - 1).

    0 when all are zero; nan when undefined (fewer than two, or all equal and not zero).
    """
    d = np.asarray(differences, dtype=np.float64)
    if len(d) < 2:
        return float("nan")
    spread = d.std(ddof=1)
    if spread <= 1e-12 * max(np.abs(d).max(), 1.0):
        return 0.0 if np.abs(d).max() <= 1e-12 else float("nan")
    return float(d.mean() / spread)

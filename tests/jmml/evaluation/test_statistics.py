"""Intervals cover, tests keep their level, adjustments equal the closed procedure."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jmml.evaluation import metrics, statistics

C = 4


def simulate(
    rng: np.random.Generator, groups: int, *, logit: float = 0.0, seeds: int = 2, m: int = 12
) -> np.ndarray:
    """Confusion counts of speakers whose recall varies: logit N(logit, 0.8^2), and 0.5 more per class."""
    z = logit + 0.8 * rng.standard_normal((groups, 1, 1)) + 0.5 * rng.standard_normal((groups, 1, C))
    right = rng.binomial(m, 1 / (1 + np.exp(-z)), size=(groups, seeds, C))
    counts = np.zeros((groups, seeds, C, C), dtype=np.int64)
    for c in range(C):
        counts[:, :, c, c], counts[:, :, c, (c + 1) % C] = right[:, :, c], m - right[:, :, c]
    return counts


def labels(counts: np.ndarray) -> tuple[list[str], list[str]]:
    """The predictions behind one confusion matrix."""
    cells = [(i, j) for i in range(C) for j in range(C) for _ in range(counts[i, j])]
    return [str(i) for i, _ in cells], [str(j) for _, j in cells]


class TestBootstrap:
    def test_estimate_is_the_pooled_uar_averaged_over_seeds(self) -> None:
        counts = simulate(np.random.default_rng(0), 8)
        by_seed = [metrics.uar(*labels(counts[:, seed].sum(axis=0))) for seed in range(2)]
        interval = statistics.cluster_bootstrap(counts, rng=np.random.default_rng(1))
        assert interval.estimate == pytest.approx(np.mean(by_seed))
        assert interval.low < interval.estimate < interval.high
        assert interval.note == ""

    def test_resamples_equal_explicit_concatenation(self) -> None:
        counts = simulate(np.random.default_rng(2), 5, m=3)
        weights = np.random.default_rng(3).multinomial(5, np.full(5, 0.2), size=20)
        fast = statistics._resampled_uar(weights, counts)
        for row, value in zip(weights, fast, strict=True):
            drawn = np.repeat(counts, row, axis=0)
            slow = [metrics.uar(*labels(drawn[:, seed].sum(axis=0))) for seed in range(2)]
            assert value == pytest.approx(np.mean(slow))

    def test_chunks_do_not_change_the_result(self, monkeypatch: pytest.MonkeyPatch) -> None:
        counts = simulate(np.random.default_rng(4), 6)
        whole = statistics.cluster_bootstrap(counts, n=500, rng=np.random.default_rng(0))
        monkeypatch.setattr(statistics, "_CHUNK", 100)
        assert statistics.cluster_bootstrap(counts, n=500, rng=np.random.default_rng(0)) == whole

    def test_matches_the_t_interval_of_a_mean(self) -> None:
        # Balanced speakers with one right-or-wrong class each: the pooled UAR is the mean over speakers, for
        # which Student's interval is the textbook answer.
        rng = np.random.default_rng(5)
        right = rng.binomial(200, 0.5 + 0.1 * rng.standard_normal(12).clip(-2, 2))
        counts = np.zeros((12, 1, 2, 2), dtype=np.int64)
        counts[:, 0, 0, 0], counts[:, 0, 0, 1] = right, 200 - right
        interval = statistics.cluster_bootstrap(counts, n=20_000, rng=rng)
        low, high = stats.t.interval(0.95, 11, loc=np.mean(right / 200), scale=stats.sem(right / 200))
        assert interval.high - interval.low == pytest.approx(high - low, rel=0.08)

    def test_difference_is_paired(self) -> None:
        counts = simulate(np.random.default_rng(6), 10)
        same = statistics.cluster_bootstrap(counts, rng=np.random.default_rng(0), reference=counts)
        assert (same.estimate, same.low, same.high) == (0, 0, 0)
        other = simulate(np.random.default_rng(7), 10)
        there = statistics.cluster_bootstrap(counts, rng=np.random.default_rng(0), reference=other)
        back = statistics.cluster_bootstrap(other, rng=np.random.default_rng(0), reference=counts)
        assert there.estimate == pytest.approx(statistics.pooled_uar(counts) - statistics.pooled_uar(other))
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low))

    def test_wider_with_confidence_and_narrower_with_speakers(self) -> None:
        def width(groups: int, confidence: float) -> float:
            counts = np.tile(simulate(np.random.default_rng(8), 8), (groups // 8, 1, 1, 1))
            interval = statistics.cluster_bootstrap(
                counts, confidence=confidence, rng=np.random.default_rng(0)
            )
            return interval.high - interval.low

        assert width(8, 0.8) < width(8, 0.95)
        assert width(32, 0.95) < 0.6 * width(8, 0.95)

    def test_few_speakers_are_flagged(self) -> None:
        counts = simulate(np.random.default_rng(9), 8)
        rng = np.random.default_rng(0)
        assert statistics.cluster_bootstrap(counts[:5], rng=rng).note.startswith("only 5 speakers")
        assert statistics.cluster_bootstrap(counts[:6], rng=rng).note == ""

    @pytest.mark.parametrize("groups", [1, 2, 3, 4])
    def test_there_is_no_interval_below_four_speakers(self, groups: int) -> None:
        counts, other = (simulate(np.random.default_rng(seed), 8)[:groups] for seed in (9, 10))
        for reference in (None, other):
            found = statistics.cluster_bootstrap(counts, rng=np.random.default_rng(0), reference=reference)
            base = 0.0 if reference is None else statistics.pooled_uar(reference)
            assert found.estimate == statistics.pooled_uar(counts) - base
            assert np.isfinite([found.low, found.high]).all() == (groups == 4)
            assert ("no interval below four" in found.note) == (groups < 4)

    def test_agrees_with_scipy_where_small_sample_corrections_vanish(self) -> None:
        counts = simulate(np.random.default_rng(10), 400, logit=0.5, m=4)

        def uar(speakers: np.ndarray, axis: int) -> np.ndarray:
            drawn = counts[speakers.astype(int)]  # (..., G, S, C, C)
            return metrics.uar_of(drawn.sum(axis=-4)).mean(axis=-1)

        theirs = stats.bootstrap(
            (np.arange(400),), uar, n_resamples=4000, batch=200, method="BCa", rng=np.random.default_rng(0)
        )
        ours = statistics.cluster_bootstrap(counts, n=4000, rng=np.random.default_rng(1))
        width = theirs.confidence_interval.high - theirs.confidence_interval.low
        assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.06 * width)
        assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.06 * width)

    def test_reaches_as_far_as_student_where_speakers_run_out(self) -> None:
        # Four speakers: no resample lies beyond the worst of them, the t interval does.
        counts = np.zeros((4, 1, 2, 2), dtype=np.int64)
        counts[:, 0, 0] = [[9, 11], [10, 10], [10, 10], [11, 9]]
        interval = statistics.cluster_bootstrap(counts, n=20_000, rng=np.random.default_rng(0))
        low, high = stats.t.interval(0.95, 3, loc=0.5, scale=stats.sem([0.45, 0.5, 0.5, 0.55]))
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.01)
        assert low < 0.45

    def test_bounds_stay_possible(self) -> None:
        counts = np.zeros((4, 1, 2, 2), dtype=np.int64)
        counts[:, 0, 0] = [[10, 0], [10, 0], [10, 0], [0, 10]]
        alone = statistics.cluster_bootstrap(counts, rng=np.random.default_rng(0))
        assert (alone.low, alone.high) == (0, 1)
        flipped = counts[..., ::-1].copy()
        paired = statistics.cluster_bootstrap(counts, rng=np.random.default_rng(0), reference=flipped)
        assert (paired.low, paired.high) == (-1, 1)


class TestSignFlip:
    @given(
        st.lists(st.floats(-1, 1, allow_subnormal=False).map(lambda x: round(x, 3)), min_size=2, max_size=9)
    )
    @settings(max_examples=60, deadline=None)
    def test_exact_against_scipy(self, differences: list[float]) -> None:
        d = np.array(differences)
        expected = stats.permutation_test(
            (d, np.zeros_like(d)),
            lambda x, y, axis: np.mean(x - y, axis=axis),
            permutation_type="samples",
            n_resamples=np.inf,
            vectorized=True,
        ).pvalue
        assert statistics.paired_sign_flip(d) == pytest.approx(expected)

    @given(st.lists(st.integers(-60, 60).filter(bool), min_size=4, max_size=10, unique_by=abs))
    @settings(max_examples=40, deadline=None)
    def test_on_signed_ranks_it_is_wilcoxon(self, differences: list[int]) -> None:
        d = np.array(differences)
        signed_ranks = np.sign(d) * stats.rankdata(np.abs(d))
        expected = stats.wilcoxon(d, method="exact").pvalue
        assert statistics.paired_sign_flip(signed_ranks) == pytest.approx(expected)

    def test_equal_differences_reduce_to_the_sign_test(self) -> None:
        d = np.array([1.0] * 9 + [-1.0] * 3)
        assert statistics.paired_sign_flip(d) == pytest.approx(stats.binomtest(9, 12).pvalue)

    def test_smallest_p(self) -> None:
        assert statistics.paired_sign_flip([0.1, 0.2, 0.3, 0.4, 0.5]) == 2 / 32
        assert statistics.paired_sign_flip(np.zeros(8)) == 1.0
        assert np.isnan(statistics.paired_sign_flip([]))

    def test_the_smallest_p_is_that_of_equal_signs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for n in (1, 2, 5, 9, 16):
            assert statistics.smallest_p(n) == statistics.paired_sign_flip(np.arange(1.0, n + 1))
        monkeypatch.setattr(statistics, "DRAWS", 999)
        assert statistics.smallest_p(40) == statistics.paired_sign_flip(np.full(40, 0.5), draws=999)

    def test_direction_and_scale_do_not_matter(self) -> None:
        d = np.random.default_rng(0).normal(0.3, 1, 12)
        p = statistics.paired_sign_flip(d)
        assert statistics.paired_sign_flip(-d) == p
        assert statistics.paired_sign_flip(1e-6 * d) == p

    def test_monte_carlo_agrees_with_exact(self, monkeypatch: pytest.MonkeyPatch) -> None:
        d = np.random.default_rng(1).normal(0.4, 1, 14)
        exact = statistics.paired_sign_flip(d)
        monkeypatch.setattr(statistics, "_EXACT_UP_TO", 1)
        drawn = statistics.paired_sign_flip(d, rng=np.random.default_rng(2))
        assert drawn == pytest.approx(exact, abs=5 * np.sqrt(exact * (1 - exact) / 20_000))

    def test_monte_carlo_is_never_zero_and_reproducible(self) -> None:
        d = np.full(40, 0.5)
        assert statistics.paired_sign_flip(d, draws=999) == 1 / 1000
        d = np.random.default_rng(3).normal(0.3, 1, 30)
        assert statistics.paired_sign_flip(d) == statistics.paired_sign_flip(d)

    def test_keeps_its_level_and_has_power(self) -> None:
        rng = np.random.default_rng(4)
        null = [statistics.paired_sign_flip(rng.standard_t(3, 8)) <= 0.05 for _ in range(1500)]
        # Attainable level of 8 differences: 12 of 256 patterns, 0.047; four standard errors are 0.022.
        assert 0.025 <= np.mean(null) <= 0.069
        shifted = [statistics.paired_sign_flip(rng.normal(1.2, 1, 8)) <= 0.05 for _ in range(300)]
        assert np.mean(shifted) > 0.7


class TestHolm:
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
    @settings(max_examples=100, deadline=None)
    def test_equals_the_closed_procedure(self, p: list[float]) -> None:
        # Holm is the closure of Bonferroni: a hypothesis's adjusted p is the largest Bonferroni p of all
        # intersections that contain it.
        subsets = [s for size in range(1, len(p) + 1) for s in combinations(range(len(p)), size)]
        expected = [
            max(min(1.0, len(s) * min(p[j] for j in s)) for s in subsets if i in s) for i in range(len(p))
        ]
        assert statistics.holm(p) == pytest.approx(expected)

    def test_by_hand(self) -> None:
        assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])

    def test_nan_is_not_part_of_the_family(self) -> None:
        adjusted = statistics.holm([np.nan, 0.01, 0.04])
        assert np.isnan(adjusted[0])
        assert adjusted[1:] == pytest.approx([0.02, 0.04])
        assert len(statistics.holm([])) == 0


def test_cohen_dz_is_t_over_root_n() -> None:
    d = np.random.default_rng(5).normal(0.4, 1, 15)
    assert statistics.cohen_dz(d) == pytest.approx(stats.ttest_1samp(d, 0).statistic / np.sqrt(15))
    assert statistics.cohen_dz(np.zeros(5)) == 0.0
    assert np.isnan(statistics.cohen_dz([0.1, 0.1, 0.1]))
    assert np.isnan(statistics.cohen_dz([0.1]))

"""Pairs respect classes or ids, use the EEG evenly, and are drawn reproducibly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from jmml.errors import ConfigError, ProtocolError
from jmml.models.pairing import pair, schedule


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(
    speech=st.lists(st.integers(1, 30), min_size=3, max_size=3),
    eeg=st.lists(st.integers(1, 30), min_size=3, max_size=3),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_class_pairing_stays_in_class_and_uses_eeg_evenly(
    speech: list[int], eeg: list[int], seed: int
) -> None:
    y_speech = rng(seed).permutation(np.repeat(list("abc"), speech))
    y_eeg = rng(seed + 1).permutation(np.repeat(list("abc"), eeg))
    index = pair("class", y_speech, y_eeg, rng=rng(seed))
    assert index.dtype == np.int64
    assert index.shape == y_speech.shape
    assert (y_eeg[index] == y_speech).all()
    uses = np.bincount(index, minlength=len(y_eeg))
    for label in "abc":
        of_class = uses[y_eeg == label]
        assert of_class.max() - of_class.min() <= 1


def test_partners_are_uniform_within_the_class() -> None:
    # Speech row 0 among 4 rows of its class, 4 EEG rows: each partner should come up a quarter of the time.
    source = rng(7)
    draws = [pair("class", [0, 0, 0, 0], [0, 0, 0, 0], rng=source) for _ in range(4000)]
    for row in range(4):
        observed = np.bincount([draw[row] for draw in draws], minlength=4)
        assert stats.chisquare(observed).pvalue > 1e-3


def test_remainder_falls_on_every_eeg_row() -> None:
    # One speech row, five EEG rows: over many draws none may be left out.
    source = rng(3)
    seen = {int(pair("class", ["x"], ["x"] * 5, rng=source)[0]) for _ in range(200)}
    assert seen == set(range(5))


def test_class_in_one_modality_only() -> None:
    with pytest.raises(ProtocolError, match=r"'calm' in speech, 'bored' in EEG.*same classes in both"):
        pair("class", ["sad", "calm"], ["sad", "bored"], rng=rng())


def test_instance_pairing_by_id() -> None:
    ids_speech, ids_eeg = ["t2", "t1", "t2"], ["t1", "t2", "t3"]
    index = pair("instance", [0, 1, 0], [1, 0, 0], rng=rng(), pair_ids=(ids_speech, ids_eeg))
    assert index.tolist() == [1, 0, 1]


def test_instance_pairing_draws_among_the_windows_of_a_trial() -> None:
    ids = (["t1"], ["t1", "t1", "t2", "t1"])
    source = rng(1)
    seen = {int(pair("instance", [0], [0] * 4, rng=source, pair_ids=ids)[0]) for _ in range(100)}
    assert seen == {0, 1, 3}


def test_instance_pairing_refuses_missing_partners_and_missing_ids() -> None:
    with pytest.raises(ProtocolError, match=r"no EEG sample with the id of speech sample 't8' and 1 more"):
        pair("instance", [0, 0, 0], [0], rng=rng(), pair_ids=(["t1", "t8", "t9"], ["t1"]))
    with pytest.raises(ProtocolError, match=r"ids of the trials.*pairing: class"):
        pair("instance", [0], [0], rng=rng())
    with pytest.raises(ProtocolError, match="number of ids"):
        pair("instance", [0, 0], [0], rng=rng(), pair_ids=(["t1"], ["t1"]))


def test_unknown_kind_lists_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'instance'.*class, class-frozen, instance"):
        pair("instanse", [0], [0], rng=rng())  # type: ignore[arg-type]


class TestSchedule:
    y_speech, y_eeg = np.repeat([0, 1], 20), np.repeat([1, 0], 15)

    def test_class_is_redrawn_and_frozen_is_not(self) -> None:
        redrawn = schedule("class", self.y_speech, self.y_eeg, seed=4)
        frozen = schedule("class-frozen", self.y_speech, self.y_eeg, seed=4)
        assert not np.array_equal(redrawn(0), redrawn(1))
        assert np.array_equal(frozen(0), frozen(9))

    def test_an_epoch_does_not_depend_on_the_epochs_before_it(self) -> None:
        full = schedule("class", self.y_speech, self.y_eeg, seed=4)
        before = [full(epoch) for epoch in range(4)]
        resumed = schedule("class", self.y_speech, self.y_eeg, seed=4)
        assert np.array_equal(resumed(3), before[3])
        assert not np.array_equal(schedule("class", self.y_speech, self.y_eeg, seed=5)(3), before[3])

    def test_a_caller_cannot_change_frozen_pairs(self) -> None:
        frozen = schedule("class-frozen", self.y_speech, self.y_eeg, seed=0)
        frozen(0)[:] = -1
        assert frozen(1).min() >= 0

    def test_bad_input_is_refused_at_once(self) -> None:
        with pytest.raises(ProtocolError, match="only one modality has"):
            schedule("class", [0], [1], seed=0)

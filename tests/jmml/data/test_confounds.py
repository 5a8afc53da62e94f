from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats.contingency import association

from jmml.data.confounds import FACTORS, confounds, cramers_v, without_false_hope
from jmml.data.splits import outer_folds
from jmml.errors import ProtocolError

LABELS = np.array(["anger", "calm", "fear", "joy"])
Rows = tuple[pd.DataFrame, np.ndarray]


def people(number: int = 12, each: int = 24, seed: int = 0) -> Rows:
    """Recordings of several people, labels drawn at random, and everything that may be known of them."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(number), each)
    frame = pd.DataFrame(
        {
            "group": [f"p{n:02d}" for n in who],
            "path": np.where(rng.random(number) < 0.5, "a.wav", "a.flac")[who],
            "sample_rate_hz": rng.choice([16000.0, 44100.0], number)[who],
            "duration_s": rng.gamma(4, 0.5, len(who)),
            "session": rng.choice(["a", "b"], len(who)),
            "device": rng.choice(["x", "y", "z"], len(who)),
            "order": np.tile(np.arange(each), number).astype(float),
        }
    )
    return frame, rng.choice(LABELS, len(who))


def found(rows: Rows) -> dict[str, bool]:
    return {one.factor: one.notable for one in confounds(*rows)}


def test_every_factor_is_known() -> None:
    assert list(found(people())) == list(FACTORS)


@pytest.mark.parametrize("number", [2, 4, 12, 40])
@pytest.mark.parametrize("each", [6, 24])
def test_labels_drawn_at_random_go_along_with_nothing(number: int, each: int) -> None:
    alarms = [name for seed in range(4) for name, told in found(people(number, each, seed)).items() if told]
    assert alarms == []


def planted(change: Callable[[pd.DataFrame, np.ndarray], object], column: str) -> Callable[[], Rows]:
    def make() -> Rows:
        frame, y = people()
        frame[column] = change(frame, y)
        return frame, y

    return make


def mostly(a: object, b: object) -> Callable[[pd.DataFrame, np.ndarray], np.ndarray]:
    """One value for two labels and another for the others, in four of five recordings."""
    return lambda frame, y: np.where(
        np.isin(y, LABELS[:2]) ^ (np.random.default_rng(1).random(len(y)) < 0.2), a, b
    )


@pytest.mark.parametrize(
    ("factor", "make"),
    [
        ("sample rate", planted(mostly(16000.0, 44100.0), "sample_rate_hz")),
        ("codec", planted(mostly("a.wav", "a.mp3"), "path")),
        ("session", planted(mostly("1", "2"), "session")),
        ("device", planted(mostly("near", "far"), "device")),
        ("duration", planted(lambda f, y: 1 + np.searchsorted(LABELS, y) + 0.3 * f["duration_s"], "duration_s")),
        ("position", planted(lambda f, y: f.assign(y=y).groupby("group")["y"].rank(method="first"), "order")),
    ],
)  # fmt: skip
def test_a_planted_confound_is_told_alone(factor: str, make: Callable[[], Rows]) -> None:
    told = {name for name, notable in found(make()).items() if notable}
    assert told - {"order"} == {factor}
    warning = next(one for one in confounds(*make()) if one.factor == factor).warning()
    assert warning.startswith(f"label by {factor}: V ")
    assert "\n" not in warning


def test_one_order_of_classes_for_everybody_is_told() -> None:
    frame, y = people()
    assert found((frame, np.tile(y[:24], 12)))["order"]


def test_a_person_for_each_emotion_is_told_in_plain_words() -> None:
    """URDU: 26 of 29 speakers carry one emotion."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"group": np.repeat([f"s{n}" for n in range(29)], 14)})
    y = np.concatenate([rng.choice(LABELS, 14) if n < 3 else np.repeat(LABELS[n % 4], 14) for n in range(29)])
    (one,) = confounds(frame, y)
    assert one.notable
    assert one.v > 0.85
    assert one.chance < 0.2
    assert one.warning().startswith("26 of 29 people have one label alone (label by person: V 0.9")


def test_what_differs_by_person_alone_is_no_confound_of_the_label() -> None:
    frame, y = people(number=3)
    frame["sample_rate_hz"] = frame["group"].map({"p00": 8000.0, "p01": 16000.0, "p02": 44100.0})
    y = np.where(frame["group"] == "p00", "anger", y)  # of one person alone
    assert not found((frame, y))["sample rate"]


def test_a_session_that_people_explain_is_no_confound() -> None:
    """People have emotions of their own and sessions of their own, which have nothing to do with each other."""
    rng = np.random.default_rng(0)
    frame, _ = people()
    who = frame["group"].str[1:].astype(int).to_numpy()
    frame["session"] = np.where(rng.random(len(who)) < 0.9, who % 2, 1 - who % 2).astype(str)
    y = np.where(rng.random(len(who)) < 0.9, LABELS[who % 2], LABELS[1 - who % 2])
    session = next(one for one in confounds(frame, y) if one.factor == "session")
    assert session.v > 0.5
    assert not session.notable


def test_rows_without_a_label_do_not_count() -> None:
    frame, y = people()
    frame["session"] = mostly("1", "2")(frame, y)
    some = y.astype(object)
    some[y == "joy"] = None
    assert found((frame, some))["session"]
    assert confounds(frame, np.full(len(y), None)) == []
    assert confounds(frame, np.full(len(y), "joy")) == []


def test_one_recording_of_each_of_many_people() -> None:
    frame, y = people(number=200, each=1)
    assert not found((frame, y))["person"]


@pytest.mark.parametrize(("r", "k"), [(2, 2), (3, 5), (12, 4)])
def test_v_without_its_correction_is_that_of_scipy(r: int, k: int) -> None:
    rng = np.random.default_rng(r)
    n = 4_000_000 // 100
    x = rng.integers(0, r, n)
    y = np.where(rng.random(n) < 0.4, x % k, rng.integers(0, k, n))
    table = pd.crosstab(x, y).to_numpy()
    assert cramers_v(x, y) == pytest.approx(association(table, method="cramer"), abs=5e-3)


def test_v_of_independent_codes_has_no_bias() -> None:
    rng = np.random.default_rng(0)
    drawn = [cramers_v(rng.integers(0, 12, 60), rng.integers(0, 4, 60)) for _ in range(200)]
    plain = [
        association(pd.crosstab(rng.integers(0, 12, 60), rng.integers(0, 4, 60)).to_numpy())
        for _ in range(50)
    ]
    assert np.median(drawn) < 0.08 < 0.3 < np.median(plain)


def test_no_advice_of_other_folds_where_people_have_one_class() -> None:
    groups = np.repeat([f"s{n}" for n in range(10)], 6)
    y = np.repeat(LABELS[np.arange(10) % 4], 6)
    with pytest.raises(ProtocolError, match=r"Raise protocol\.groups_per_fold") as caught:
        outer_folds(groups, y, groups_per_fold=2)
    told = without_false_hope(caught.value, groups, y)
    assert "10 of 10 people have one class alone" in str(told)
    assert "groups_per_fold" not in str(told)
    assert "merge the class" not in str(told)
    y = np.tile(LABELS, 15)
    assert without_false_hope(caught.value, groups, y) is caught.value

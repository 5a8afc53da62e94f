from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmml.config import LabelSpace
from jmml.data.corpora import ADAPTERS, get_corpus
from jmml.data.labels import EMOTIONS, LOW_AROUSAL, POSITIVE_VALENCE, SPACES, emotion_class, map_labels
from jmml.errors import LabelError

# Each emotion's quadrant, written out independently of the two sets of signs.
QUADRANT = {
    "anger": "LVHA",
    "fear": "LVHA",
    "happiness": "HVHA",
    "surprise": "HVHA",
    "neutral": "HVLA",
    "calm": "HVLA",
    "sadness": "LVLA",
    "disgust": "LVLA",
    "boredom": "LVLA",
}


def labelled(*labels: str | None) -> pd.DataFrame:
    return pd.DataFrame({"label": pd.Series(labels, dtype=object), "valence": np.nan, "arousal": np.nan})


def rated(*ratings: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame(ratings, columns=["valence", "arousal"], dtype=float).assign(label=None)


def test_spaces_are_those_of_the_settings() -> None:
    assert set(SPACES) == set(LabelSpace.__args__)
    assert set(EMOTIONS) >= LOW_AROUSAL | POSITIVE_VALENCE
    assert set(QUADRANT) == set(EMOTIONS)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_every_emotion_has_its_place_in_every_space(emotion: str) -> None:
    quadrant = QUADRANT[emotion]
    assert emotion_class(emotion, "quadrants") == quadrant
    assert emotion_class(emotion, "binary-arousal") == ("high" if quadrant[2] == "H" else "low")
    assert emotion_class(emotion, "binary-valence") == ("positive" if quadrant[0] == "H" else "negative")
    assert emotion_class(emotion, "discrete") == emotion


@pytest.mark.parametrize("adapter", sorted(ADAPTERS))
@pytest.mark.parametrize("space", sorted(SPACES))
def test_native_labels_of_every_corpus_map_completely(adapter: str, space: str) -> None:
    native = get_corpus(adapter).native_labels
    mapped = map_labels(labelled(*native), adapter, space)
    assert set(mapped) <= set(SPACES[space])
    if space == "discrete":
        assert list(mapped) == list(native.values())


@pytest.mark.parametrize(
    ("adapter", "label", "emotion"),
    [
        ("nemo", "surprised", "surprise"),
        ("emodb", "W", "anger"),
        ("emodb", "L", "boredom"),
        ("emodb", "A", "fear"),
        ("ravdess", "02", "calm"),
        ("ravdess", "08", "surprise"),
        ("table", "boredom", "boredom"),
    ],
)
def test_native_labels(adapter: str, label: str, emotion: str) -> None:
    assert list(map_labels(labelled(label), adapter, "discrete")) == [emotion]


def test_a_table_may_name_the_classes_themselves() -> None:
    assert list(map_labels(labelled("LVHA", "HVLA"), "table", "quadrants")) == ["LVHA", "HVLA"]


def test_overrides_come_first() -> None:
    frame = labelled("neutral", "surprised", "bored")
    mapped = map_labels(frame, "nemo", "quadrants", {"neutral": "LVLA", "bored": "LVLA"})
    assert list(mapped) == ["LVLA", "HVHA", "LVLA"]


def test_unmapped_labels_are_listed_with_their_counts() -> None:
    frame = labelled("anger", "bored", "bored", "confused", None)
    with pytest.raises(LabelError) as caught:
        map_labels(frame, "nemo", "quadrants", where="mine")
    message = str(caught.value)
    assert message.startswith("mine: 4 of 5 rows have no place in label space 'quadrants': 'bored' (2)")
    for part in ("'confused' (1)", "no label, no rating (1)", "HVHA, HVLA, LVHA, LVLA", "unmapped: drop"):
        assert part in message
    assert "\n" not in message


def test_unmapped_labels_are_dropped_only_by_setting() -> None:
    frame = labelled("anger", "bored", None, "fear")
    assert list(map_labels(frame, "nemo", "discrete", unmapped="drop")) == ["anger", None, None, "fear"]


@pytest.mark.parametrize("unmapped", ["error", "drop"])
def test_no_row_left_is_an_error(unmapped: str) -> None:
    with pytest.raises(LabelError, match="2 of 2 rows") as caught:
        map_labels(labelled("x", "y"), "nemo", "discrete", unmapped=unmapped)  # type: ignore[arg-type]
    assert "unmapped: drop" not in str(caught.value)


def test_many_unknown_labels_stay_one_short_line() -> None:
    with pytest.raises(LabelError, match="and 92 more labels") as caught:
        map_labels(labelled(*(f"label{i}" for i in range(100))), "table", "discrete")
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"neutral": "LVLAA"},
            "label 'neutral' is mapped to 'LVLAA', not a class of 'quadrants'; did you mean 'LVLA'",
        ),
        ({"suprised": "HVHA"}, "no label 'suprised' to map; did you mean 'surprised'"),
    ],
)
def test_overrides_are_checked(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        map_labels(labelled("neutral"), "nemo", "quadrants", overrides)


def test_an_override_for_a_label_that_this_subset_lacks_is_fine() -> None:
    assert list(map_labels(labelled("anger"), "nemo", "quadrants", {"surprised": "LVHA"})) == ["LVHA"]


def test_unknown_space_lists_the_valid_ones() -> None:
    with pytest.raises(LabelError, match="did you mean 'quadrants'"):
        map_labels(labelled("anger"), "nemo", "quadrant")


def test_ratings() -> None:
    frame = rated((8, 8), (8, 2), (2, 8), (2, 2))
    assert list(map_labels(frame, "deap", "quadrants")) == ["HVHA", "HVLA", "LVHA", "LVLA"]
    assert list(map_labels(frame, "deap", "binary-arousal")) == ["high", "low", "high", "low"]
    assert list(map_labels(frame, "deap", "binary-valence")) == [
        "positive",
        "positive",
        "negative",
        "negative",
    ]


def test_ratings_on_the_threshold_have_no_place() -> None:
    frame = rated((5, 8), (2, 5), (2, 2))
    with pytest.raises(LabelError, match=r"2 of 3 rows .*rating 5\.0 \(2\)"):
        map_labels(frame, "deap", "quadrants")
    assert list(map_labels(frame, "deap", "quadrants", unmapped="drop")) == [None, None, "LVLA"]
    # Only the dimensions of the space count.
    assert list(map_labels(frame, "deap", "binary-arousal", unmapped="drop")) == ["high", None, "low"]
    assert list(map_labels(frame, "deap", "quadrants", rating_threshold=4.5)) == ["HVHA", "LVHA", "LVLA"]


def test_ratings_have_no_place_among_discrete_emotions() -> None:
    with pytest.raises(LabelError, match=r"ratings without a label \(2\)"):
        map_labels(rated((8, 8), (2, 2)), "deap", "discrete")


def test_a_label_counts_more_than_ratings() -> None:
    frame = rated((8, 8), (8, 8)).assign(label=["sadness", None])
    assert list(map_labels(frame, "table", "quadrants")) == ["LVLA", "HVHA"]


@given(
    st.lists(st.tuples(st.floats(1, 9), st.floats(1, 9)), min_size=1),
    st.floats(2, 8),
)
def test_quadrants_are_the_product_of_the_binary_spaces(
    ratings: list[tuple[float, float]], threshold: float
) -> None:
    ratings = [(v, a) for v, a in ratings if threshold not in (v, a)] or [(9.0, 1.0)]
    frame = rated(*ratings)
    quadrants = map_labels(frame, "deap", "quadrants", rating_threshold=threshold)
    arousal = map_labels(frame, "deap", "binary-arousal", rating_threshold=threshold)
    valence = map_labels(frame, "deap", "binary-valence", rating_threshold=threshold)
    for quadrant, a, v in zip(quadrants, arousal, valence, strict=True):
        assert quadrant == f"{'H' if v == 'positive' else 'L'}V{'H' if a == 'high' else 'L'}A"


@pytest.mark.parametrize("ratings", [(7.0, np.nan), (np.nan, 7.0), (np.nan, np.nan)])
def test_a_quadrant_needs_both_ratings(ratings: tuple[float, float]) -> None:
    found = map_labels(rated(ratings, (7.0, 7.0)), "deap", "quadrants", unmapped="drop", rating_threshold=5.0)
    assert list(found) == [None, "HVHA"]
    with pytest.raises(LabelError, match=r"1 of 2 rows .*no label, no rating"):
        map_labels(rated(ratings, (7.0, 7.0)), "deap", "quadrants", rating_threshold=5.0)


@pytest.mark.parametrize(("space", "found"), [("binary-valence", "positive"), ("binary-arousal", None)])
def test_one_rating_is_enough_where_one_is_asked(space: str, found: str | None) -> None:
    mapped = map_labels(
        rated((7.0, np.nan), (7.0, 7.0)), "deap", space, unmapped="drop", rating_threshold=5.0
    )
    assert mapped[0] == found

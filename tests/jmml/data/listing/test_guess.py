"""What names of files and columns of tables seem to say."""

from __future__ import annotations

from itertools import product

import pandas as pd
import pytest

from jmml.data.listing.guess import emotion_of, guess_columns, guess_naming
from jmml.data.listing.naming import naming_of

EMOTIONS = ("anger", "joy", "fear")
# how names are made of person, emotion and number, and what is to be found
FORMS = [
    ("{p:02d}_{e}_{n}.wav", "{person:d}_{label:a}_{text:d}.wav"),
    ("{p:02d}-{n:03d}-{e}.flac", "{person:d}-{text:d}-{label:a}.flac"),
    ("speaker{p}/{e}{n:02d}.wav", "{person}/{label:a}{text:d}.wav"),
    ("clips/{e}/F_{p:02d}_S_{n}.wav", "clips/{label:a}/F_{person:d}_S_{text:d}.wav"),
    ("sub-{p:02d}/session{s}/{n}_{e}.wav", "{person}/{session}/{text:d}_{label:a}.wav"),
    ("take {n} ({e}) {p:02d}.wav", "take {text:d} ({label:a}) {person:d}.wav"),
]


def names(form: str) -> list[str]:
    return [form.format(p=p, e=e, n=n, s=1 + n % 2) for p, e, n in product((1, 2, 3, 4), EMOTIONS, (1, 2, 3))]


@pytest.mark.parametrize(("form", "pattern"), FORMS)
def test_a_pattern_covers_the_names_it_was_guessed_from(form: str, pattern: str) -> None:
    guess = guess_naming(names(form))
    assert guess.pattern == pattern
    assert (guess.fitting, guess.other) == (36, ())
    assert naming_of(pattern).covers(names(form))
    assert set(guess.values["label"]) == set(EMOTIONS)


def test_letters_and_number_of_a_speaker_are_one_name() -> None:
    paths = [
        f"{sex}_{p:02d}_{n}_{e}.wav"
        for sex, p, n, e in product("FM", (1, 2), (1, 2, 3), EMOTIONS)
    ]  # fmt: skip
    assert set(guess_naming(paths).values["person"]) == {"F_01", "F_02", "M_01", "M_02"}


def test_what_says_the_emotion_again_is_neither_person_nor_text() -> None:
    paths = [f"{e}/{e[0]}{p:02d}_{n}.wav" for e, p, n in product(EMOTIONS, (1, 2, 3), (1, 2, 3))]
    values = guess_naming(paths).values
    assert set(values["person"]) == {"01", "02", "03"}
    assert set(values["text"]) == {"1", "2", "3"}


def test_names_of_another_form_are_listed() -> None:
    guess = guess_naming([*names(FORMS[0][0]), "readme copy.wav"])
    assert (guess.fitting, guess.other) == (36, ("readme copy.wav",))


@pytest.mark.parametrize(
    "paths",
    [[], ["a.wav"], [f"{i}.wav" for i in range(9)], ["x1.wav", "2y.wav", "a b.wav"], ["{a}.wav", "{b}.wav"]],
)
def test_nothing_is_made_up(paths: list[str]) -> None:
    guess = guess_naming(paths)
    assert not {"person", "label"} <= set(guess.values)


@pytest.mark.parametrize(
    ("word", "emotion"),
    [
        ("Angry", "anger"), ("05Angry", "anger"), ("FEA", "fear"), ("gio", "happiness"), ("Trauer", "sadness"),
        ("ps", "surprise"), ("a", None), ("tri", "sadness"), ("xyz", None), ("", None), ("di", None),
    ],
)  # fmt: skip
def test_words_for_emotions(word: str, emotion: str | None) -> None:
    assert emotion_of(word) == emotion


def table(**columns: list[str]) -> pd.DataFrame:
    rows = [*product((1, 2, 3), EMOTIONS, (1, 2))]
    known = {"clip": [f"c{i}.wav" for i in range(len(rows))]}
    return pd.DataFrame(known | {name: [row[int(at[0])] for row in rows] for name, at in columns.items()})


def find(value: str) -> str | None:
    return value if value.startswith("c") else None


def test_columns_are_known_by_their_names_and_else_by_what_stands_in_them() -> None:
    assert guess_columns(table(Who=["0"], Feeling=["1"]), find) == {
        "path": "clip",
        "label": "Feeling",
        "person": "Who",
    }
    strange = table(Speaker=["0"], Emotion=["1"]).rename(columns={"clip": "Where"})
    assert guess_columns(strange, find) == {"person": "Speaker", "label": "Emotion", "path": "Where"}


def test_a_table_that_names_no_recording_is_about_something_else() -> None:
    assert guess_columns(table(Who=["0"], Feeling=["1"]), lambda value: None) == {}

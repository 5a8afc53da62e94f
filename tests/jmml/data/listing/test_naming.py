from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmml.data.listing.naming import naming_of
from jmml.errors import DataError


@pytest.mark.parametrize(
    ("pattern", "path", "fields"),
    [
        ("{speaker}_{text}_{label}.wav", "a/b/s1_t2_joy.wav", {"person": "s1", "text": "t2", "label": "joy"}),
        ("{speaker:2}{text:3}{emotion:1}{}.wav", "03a01Fa.wav", {"person": "03", "text": "a01", "label": "F"}),
        ("{spk}_{emo:a}{sentence:d}.wav", "DC_sa07.wav", {"person": "DC", "label": "sa", "text": "07"}),
        ("{subject}/{session}/*_{label}.edf", "x/p1/day2/run-3_calm.edf",
         {"person": "p1", "session": "day2", "label": "calm"}),
        ("*-{actor}.wav", "03-01-01-12.wav", {"person": "12"}),
        ("{person}.(x)+{label}.wav", "a.(x)+b.wav", {"person": "a", "label": "b"}),
    ],
)  # fmt: skip
def test_fields_of_a_name(pattern, path, fields) -> None:
    assert naming_of(pattern).fields(path) == fields


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("{person}_{label}.wav", "ab.wav"),
        ("{person}_{label}.wav", "a_b.flac"),
        ("{person}_{label}.wav", "a_b.wav.txt"),
        ("{person:d}_{label}.wav", "a1_b.wav"),
        ("{person:2}_{label}.wav", "abc_b.wav"),
        ("{person}/{label}.wav", "joy.wav"),
    ],
)
def test_other_names_are_told_apart(pattern, path) -> None:
    naming = naming_of(pattern)
    assert naming.fields(path) is None
    assert not naming.covers([path])


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("{speker}_{label}.wav", r"unknown field 'speker'; did you mean 'speaker'|unknown field 'speker'"),
        ("{speaker}_{subject}.wav", "the field 'person' stands twice"),
        ("{speaker:x}_{label}.wav", "unknown shape ':x'"),
        ("{speaker:0}_{label}.wav", "unknown shape ':0'"),
        ("{speaker_{label}.wav", "braces do not match"),
        ("speaker}.wav", "braces do not match"),
        ("*.wav", "names no field"),
    ],
)
def test_a_pattern_that_cannot_be_meant(pattern, said) -> None:
    with pytest.raises(DataError, match=said) as caught:
        naming_of(pattern)
    assert pattern in str(caught.value)


words = st.text("abcXYZ059.-+()[]$^ ", min_size=1, max_size=8)


@given(person=words, text=words, label=words)
def test_what_was_put_together_comes_apart(person: str, text: str, label: str) -> None:
    found = naming_of("{person}_{text}_{label}.wav").fields(f"{person}_{text}_{label}.wav")
    assert found == {"person": person, "text": text, "label": label}

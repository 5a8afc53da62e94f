from __future__ import annotations

import pytest

from jmml.data.listing.columns import FIELDS, field_of, guess, part_of
from jmml.errors import DataError


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_name_means_one_field(field: str) -> None:
    for name in FIELDS[field]:
        assert field_of(name) == field_of(name.upper()) == field


def test_blanks_hyphens_and_underscores_do_not_matter() -> None:
    assert field_of("Speaker ID") == field_of("speaker_id") == field_of("SPEAKER-id") == "person"
    assert field_of("age") is None
    assert (part_of("Dev"), part_of("TESTING"), part_of("joy")) == ("valid", "test", None)


def test_what_a_person_names_comes_first() -> None:
    assert guess(["file", "emotion", "emo2"]) == {"path": "file", "label": "emotion"}
    assert guess(["file", "emotion", "emo2"], {"label": "emo2"})["label"] == "emo2"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"lable": "emotion"}, "unknown field 'lable'; did you mean 'label'"),
        ({"label": "emotoin"}, "no column 'emotoin'"),
    ],
)
def test_what_is_not_there(wanted, said) -> None:
    with pytest.raises(DataError, match=said):
        guess(["file", "emotion"], wanted)

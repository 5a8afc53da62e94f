from __future__ import annotations

from jmml.data.manifest import Manifest
from jmml.data.names import alike, note
from tests.jmml.data.test_manifest import row

COMPOSED, DECOMPOSED = "Jos\u00e9", "Jose\u0301"


def test_one_person_in_two_forms_of_unicode_is_one() -> None:
    manifest = Manifest.from_rows(
        "lab",
        [
            row(0, group=COMPOSED, label="zł\u00f3\u015b\u0107"),
            row(1, group=DECOMPOSED, label="zło\u0301s\u0301c\u0301"),
        ],
    )
    assert set(manifest.frame["group"]) == {COMPOSED}
    assert manifest.frame["label"].nunique() == 1
    assert manifest.notes == []


def test_names_that_differ_in_case_or_blanks_are_told_and_kept() -> None:
    manifest = Manifest.from_rows(
        "lab", [row(0, group="Ann B"), row(1, group="ann b"), row(2, group="annb"), row(3, group="Bob")]
    )
    assert manifest.frame["group"].nunique() == 4
    assert manifest.notes == [
        "people whose names differ in case or blanks only: 'Ann B' and 'ann b' and 'annb'"
    ]


def test_other_names_are_other_people() -> None:
    assert alike(["1", "01", "s1", "s_1", "s11", "ą", "a"]) == []
    assert note("people", ["a", "b"]) == []

"""An object that saw an evaluated person is found; the certificate survives storage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jmml.errors import ProtocolError
from jmml.evaluation.leakage import Certificate, Entry, assert_disjoint

names = st.sets(st.sampled_from("abcdefgh"), min_size=1)


def certificate() -> Certificate:
    made = Certificate()
    made.add("scaler", "speech", np.array(["a", "b", "a"], dtype=object))
    made.add("encoder", "eeg", ["s1", "s2"])
    return made


@given(fitted=names, evaluated=names)
def test_check_raises_exactly_on_overlap(fitted: set[str], evaluated: set[str]) -> None:
    made = Certificate()
    made.add("scaler", "speech", fitted)
    if fitted & evaluated:
        with pytest.raises(ProtocolError, match="'scaler' was fitted on groups that are evaluated"):
            made.check({"speech": evaluated})
    else:
        made.check({"speech": evaluated})


def test_repeats_are_dropped_and_every_object_is_checked() -> None:
    made = certificate()
    assert made.entries[0] == Entry("scaler", "speech", ("a", "b"))
    made.check({"speech": ["c"], "eeg": ["s3"]})
    with pytest.raises(ProtocolError, match=r"eeg: 'encoder' .*\(s2\)"):
        made.check({"speech": ["c"], "eeg": ["s2", "s3"]})


def test_modalities_share_people_only_in_parallel_corpora() -> None:
    made = certificate()
    made.check({"speech": ["s1"]})
    with pytest.raises(ProtocolError, match=r"eeg: 'encoder' .*\(s1\)"):
        made.check({"speech": ["s1"]}, parallel=True)


def test_an_empty_certificate_certifies_nothing() -> None:
    with pytest.raises(ProtocolError, match="nothing is certified"):
        Certificate().check({"speech": ["a"]})
    speech_only = Certificate()
    speech_only.add("scaler", "speech", ["a"])
    with pytest.raises(ProtocolError, match="eeg: nothing is certified"):
        speech_only.check({"speech": ["b"], "eeg": ["s1"]})
    with pytest.raises(ProtocolError, match="'pls' was fitted on no known group"):
        speech_only.add("pls", "speech", [])


def test_label_free_use_is_recorded_and_allowed() -> None:
    made = certificate()
    assert not made.transductive
    made.add("per-group normalisation", "speech", ["a", "b", "c"], role="label-free")
    made.check({"speech": ["c"]})
    assert made.transductive


def test_extend_prefixes_names_and_keeps_the_check() -> None:
    outer = Certificate()
    outer.extend(certificate(), prefix="inner 0/")
    assert [entry.name for entry in outer.entries] == ["inner 0/scaler", "inner 0/encoder"]
    with pytest.raises(ProtocolError, match="'inner 0/scaler'"):
        outer.check({"speech": ["b"]})


def test_json_round_trip() -> None:
    made = certificate()
    made.add("z-score", "speech", ["c"], role="label-free")
    assert Certificate.from_json(made.to_json()) == made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"entries": [{"name": "x"}]}',
        '{"entries": [{"name": "x", "modality": "video", "groups": ["a"], "role": "fit"}]}',
        '{"entries": [{"name": "x", "modality": "speech", "groups": [], "role": "fit"}]}',
        '{"entries": [{"name": "x", "modality": "speech", "groups": ["a"], "role": "none"}]}',
    ],
)
def test_what_is_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError, match="certificate"):
        Certificate.from_json(text)


def test_assert_disjoint() -> None:
    assert_disjoint(["a", "b"], ["c"])
    with pytest.raises(ProtocolError, match="fold 2: groups b, c are in the training and in the test part"):
        assert_disjoint(["a", "b", "c"], ["c", "b"], where="fold 2")


def test_other_samples_of_equal_number_are_told_apart() -> None:
    made = Certificate()
    made.add("pls", "speech", ["a"], ids=["1", "2", "3"])
    made.check_rows("speech", ["3", "2", "1"], ["pls"])
    for other in (["1", "2", "4"], ["1", "2"], ["1", "2", "3", "3"]):
        with pytest.raises(ProtocolError, match="'pls' was fitted on 3 samples that are not those"):
            made.check_rows("speech", other, ["pls"])
    made.check_rows("eeg", ["9"], ["pls"])


def test_an_entry_without_samples_proves_nothing_about_them() -> None:
    made = Certificate()
    made.add("pls", "speech", ["a"])
    with pytest.raises(ProtocolError, match="0 samples that are not those"):
        made.check_rows("speech", ["1"], ["pls"])


def test_completeness_is_by_object_and_modality() -> None:
    made = certificate()
    made.check_complete([("scaler", "speech"), ("encoder", "eeg")])
    with pytest.raises(ProtocolError, match=r"no entry for 'scaler' \(eeg\), 'pls' \(speech\)"):
        made.check_complete([("scaler", "eeg"), ("encoder", "eeg"), ("pls", "speech")])

"""A task whose parts must share more than no person: its folds keep to it, and a split that does not is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from jmml.cell import run_cell
from jmml.data.splits import Split
from jmml.errors import ProtocolError
from jmml.experiment import run_fold
from jmml.task import TaskData, evaluated_part, make_inner_split, make_split, make_task, training_part
from tests.jmml.tasks import gaussian_table, small_method

CONFIG = small_method()


def task_of(*disjoint: str, parallel: bool = False, **told: object) -> TaskData:
    """Four speakers and four subjects; each of four classes is spoken in two texts, eight times each."""
    speech, eeg = (gaussian_table(modality, groups=4, per_class=16) for modality in ("speech", "eeg"))
    n = len(speech)
    columns: Mapping[str, object] = {"text": [f"t{i % 2}" for i in range(n)], **told}
    speech = replace(speech, index=speech.index.assign(**columns))
    if parallel:
        eeg = replace(eeg, index=speech.index[[*eeg.index]].assign(id=[f"{name} eeg" for name in speech.ids]))
    return make_task(speech, eeg, disjoint=["person", *disjoint])


def shared(task: TaskData, split: Split, fold: int, key: str) -> set[object]:
    parts = training_part(task, split, fold), evaluated_part(task, split, fold)
    return set.intersection(*(set(part.speech.keys[key]) for part in parts))


def test_a_cell_is_fitted_selected_and_audited_on_disjoint_texts() -> None:
    task = task_of("text")
    split = make_split(task, groups_per_fold=2)
    assert len(split) == 4
    result = run_cell(task, split, 1, "jmml", [CONFIG], seed=0, inner_folds=2, audited=True)
    assert result.metrics["audited"] == 1
    assert result.certificate.shares["text"] == {"share": 0.0, "with_label": 0.0, "unknown": 0.0}
    training = training_part(task, split, 1)
    inner = make_inner_split(training, n_folds=2, seed=0)
    assert all(fold.aside == () for fold in inner.speech)  # one text is left: selection is by people alone
    everything = task_of()
    assert make_split(everything, groups_per_fold=2).digest != split.digest


def test_inner_folds_are_disjoint_too() -> None:
    task = task_of("text", text=[f"t{i % 4}" for i in range(256)])
    split = make_split(task, groups_per_fold=1)
    training = training_part(task, split, 0)
    inner = make_inner_split(training, n_folds=2, seed=0)
    assert all(not shared(training, inner, fold, "text") for fold in range(2))


def test_what_each_row_says_counts_where_a_recording_has_several_texts() -> None:
    """A recording of two sentences may not teach what its other sentence is tested on."""
    speech = gaussian_table("speech", groups=4, per_class=16)
    n = len(speech)
    pairs = [name for name in speech.ids[::2] for _ in range(2)]
    told = speech.index.assign(text=[f"t{i % 2}" for i in range(n)], recording=pairs)
    task = make_task(replace(speech, index=told), disjoint=["person", "text"])
    with pytest.raises(ProtocolError, match=r"parts of recording '.*' would be on several sides"):
        make_split(task, groups_per_fold=2)


@pytest.mark.parametrize("nothing", [None, np.nan])
def test_one_modality_says_what_the_other_does_not(nothing: object) -> None:
    task = task_of("text", parallel=True)
    assert task.eeg is not None
    eeg = replace(task.eeg, keys={**task.eeg.keys, "text": np.full(len(task.eeg), nothing, dtype=object)})
    assert make_split(replace(task, eeg=eeg), groups_per_fold=2) == make_split(task, groups_per_fold=2)


def test_both_modalities_of_a_parallel_corpus_leave_the_same_recordings_out() -> None:
    task = task_of("text", parallel=True)
    assert task.parallel
    split = make_split(task, groups_per_fold=2)
    assert split.speech == split.eeg
    assert task.eeg is not None
    for fold in range(len(split)):
        training, test = training_part(task, split, fold), evaluated_part(task, split, fold)
        assert training.eeg is not None
        assert test.eeg is not None
        assert set(training.eeg.recordings) == set(training.speech.recordings)
        assert not set(training.eeg.recordings) & set(test.speech.recordings)


def test_what_is_shared_by_design_is_certified() -> None:
    task = task_of()
    result = run_fold(task, make_split(task), 0, "raw", CONFIG)
    assert result.certificate.shares["text"] == {"share": 1.0, "with_label": 1.0, "unknown": 0.0}


@pytest.mark.parametrize("key", ["text", "session", "recording", "device"])
def test_a_planted_leak_of_each_key_is_refused(key: str) -> None:
    column = "source" if key == "recording" else key
    told = {column: [f"v{i % 2}" for i in range(256)]}
    honest = task_of(**told)
    leaky = make_split(honest, groups_per_fold=2)  # people alone are apart
    run_fold(honest, leaky, 0, "raw", CONFIG)
    with pytest.raises(ProtocolError, match=f"{key} values v0, v1 are in the training and in the test part"):
        run_fold(task_of(key, **told), leaky, 0, "raw", CONFIG)


def test_equal_bytes_under_two_names_are_refused_whatever_the_protocol() -> None:
    content = np.array([f"{i:064x}" for i in range(256)], dtype=object)
    content[-1] = content[0]
    task = task_of(content=content)
    run_fold(task, make_split(task), 0, "raw", CONFIG)  # few features are equal by chance
    task.context["speech_extractor"] = "of recordings"
    with pytest.raises(ProtocolError, match=r"content values 0{64} are in the training and in the test part"):
        for fold in range(2):
            run_fold(task, make_split(task), fold, "raw", CONFIG)


def test_a_corpus_that_does_not_say_it_cannot_be_disjoint_by_it() -> None:
    with pytest.raises(ProtocolError, match="nothing tells the session of 256 of 256 samples"):
        make_split(task_of("session"))


def test_renamed_people_are_in_the_same_folds() -> None:
    task = task_of()
    called = {name: f"{number} {name}" for number, name in enumerate(sorted(set(task.speech.groups))[::-1])}
    renamed = replace(
        task, speech=replace(task.speech, groups=np.array([called[name] for name in task.speech.groups]))
    )
    first, again = (make_split(one, groups_per_fold=2) for one in (task, renamed))
    assert [fold.test for fold in again.speech] == [
        tuple(sorted(called[name] for name in fold.test)) for fold in first.speech
    ]

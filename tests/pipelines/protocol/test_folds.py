"""Folds of a project: drawn, disjoint by more than people, or those of published lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from jmml.data.manifest import Manifest, ManifestRow
from jmml.data.splits import Split
from jmml.data.table import FeatureTable
from jmml.errors import ProtocolError
from jmml.evaluation.shares import shares
from jmml.task import TaskData, evaluated_part, training_part
from pipelines.protocol.folds import read_split
from pipelines.protocol.own import audit_own
from pipelines.stages.split import split
from pipelines.workspace.project import Project
from pipelines.workspace.task import read_task
from tests.pipelines.stages.conftest import make_project

GROUPS = 4
Parts = dict[str, tuple[TaskData, TaskData]]


def project_of(root: Path, **protocol: object) -> Project:
    """Four speakers who say two texts each in four classes; manifest and features."""
    project = make_project(root, groups=GROUPS, protocol={"seeds": [0], **protocol})
    path = project.features_path("lab-speech")
    table = FeatureTable.load(path)
    texts = [f"t{n % 2}" for n in range(len(table))]
    replace(table, index=table.index.assign(text=texts)).save(path)
    rows = [
        ManifestRow(
            id=one.id, path=f"{one.id}.wav", item=0, modality="speech", label=one.label, valence=np.nan,
            arousal=np.nan, group=one.group, duration_s=1.0, sample_rate_hz=8000.0, content_hash=f"{n:064x}", text=text,
        )
        for n, (one, text) in enumerate(zip(table.index.itertuples(), texts, strict=True))
    ]  # fmt: skip
    Manifest.from_rows("lab-speech", rows).save(project.manifest_path("lab-speech"))
    return project


def listed(project: Project, rows: Sequence[str], header: str = "file,fold,part") -> Project:
    (project.root / "lists.csv").write_text("\n".join([header, *rows]) + "\n")
    settings = yaml.safe_load(project.params_path.read_text())
    settings["protocol"]["folds"] = "lists.csv"
    project.params_path.write_text(yaml.safe_dump(settings))
    return Project(project.root)


def by_person(project: Project, tested: Sequence[str], *, fold: int = 1) -> list[str]:
    index = FeatureTable.load(project.features_path("lab-speech")).index
    return [f"{one.id}.wav,{fold},{'test' if one.group in tested else 'train'}" for one in index.itertuples()]


def drawn(project: Project) -> tuple[TaskData, Split]:
    split(project)
    task = read_task(project)
    return task, read_split(project, task)


def test_parts_share_neither_people_nor_texts_where_the_protocol_says_so(tmp_path: Path) -> None:
    task, folds = drawn(project_of(tmp_path, disjoint=["person", "text"]))
    assert len(folds) == 4  # two folds of people, each with either text
    for number in range(len(folds)):
        training, test = training_part(task, folds, number), evaluated_part(task, folds, number)
        for a, b in (
            (training.speech.groups, test.speech.groups),
            (training.speech.keys["text"], test.speech.keys["text"]),
        ):
            assert set(a) & set(b) == set()
    assert {one.share for one in shares(task, folds)} == {0.0}


def test_what_is_shared_is_said(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    line = split(project)
    assert line.endswith(
        "100 % of the test samples have a text that is trained on too, 100 % with the same label"
    )


def test_published_lists_are_the_folds(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    rows = [*by_person(project, ["s00"]), *by_person(project, ["s01", "s02"], fold=2)]
    task, folds = drawn(listed(project, rows))
    assert [fold.test for fold in folds.speech] == [("s00",), ("s01", "s02")]
    assert all(fold.aside == () for fold in folds.speech)
    assert len(folds.eeg) == 2  # people of the EEG are others, and drawn
    assert len(evaluated_part(task, folds, 0).speech) == 16


def test_what_a_fold_does_not_name_is_in_neither_part(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    rows = by_person(project, ["s00"])
    gone = [rows[1], rows[-1]]
    rows = [row for row in rows if row not in gone and not row.startswith("s01")]
    rows = [row for row in rows if "s02" not in row]  # a whole speaker
    task, folds = drawn(listed(project, rows))
    (fold,) = folds.speech
    assert "s02" not in (*fold.train, *fold.test)
    assert len(fold.aside) == 2
    seen = {*training_part(task, folds, 0).speech.ids, *evaluated_part(task, folds, 0).speech.ids}
    assert seen == {row.split(".wav")[0] for row in rows}


def test_validation_parts_are_trained_on(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    rows = [row.replace("train", "valid") if "s03" in row else row for row in by_person(project, ["s00"])]
    _, folds = drawn(listed(project, rows))
    assert folds.speech[0].train == ("s01", "s02", "s03")


def test_lists_of_people_alone(tmp_path: Path) -> None:
    rows = ["s00,1,test", "s01,1,train", "s02,1,train", "s03,1,train"]
    _, folds = drawn(listed(project_of(tmp_path), rows, "speaker,fold,part"))
    assert [(fold.test, fold.train) for fold in folds.speech] == [(("s00",), ("s01", "s02", "s03"))]


def test_the_split_of_another_project_can_be_named(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    _, first = drawn(project)
    (tmp_path / "kept.json").write_bytes(project.split_path.read_bytes())
    settings = yaml.safe_load(project.params_path.read_text())
    settings["protocol"]["folds"] = "kept.json"
    project.params_path.write_text(yaml.safe_dump(settings))
    assert drawn(Project(tmp_path))[1] == first


@pytest.mark.parametrize(
    ("protocol", "change", "message"),
    [
        ({}, ("s00_0", "train"), r"leak: fold 1: 1 of 1 person of the test part is in the training part too"),
        ({"disjoint": ["person", "text"]}, None, r"leak: fold 1: 2 of 2 texts of the test part are in"),
    ],
)
def test_lists_that_leak_are_refused(tmp_path: Path, protocol, change, message: str) -> None:
    project = project_of(tmp_path, **protocol)
    rows = by_person(project, ["s00"])
    if change is not None:
        rows[0] = rows[0].replace("test", change[1])
    with pytest.raises(ProtocolError, match=message) as caught:
        split(listed(project, rows))
    assert "`jmml protocol audit lists.csv --corpus lab-speech`" in str(caught.value)


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        (lambda row: False, "holds no rows"),
        (lambda row: "s00" not in row, "fold 1 has no test part"),
    ],
)
def test_lists_that_carry_no_fold_are_refused(tmp_path: Path, keep, message: str) -> None:
    project = project_of(tmp_path)
    rows = [row for row in by_person(project, ["s00"]) if keep(row)]
    with pytest.raises(ProtocolError, match=message):
        split(listed(project, rows))


def test_lists_that_changed_since_the_split_are_noticed(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    project = listed(project, by_person(project, ["s00"]))
    task, _ = drawn(project)
    listed(project, by_person(project, ["s01"]))
    with pytest.raises(ProtocolError, match=r"the split is not that of lists\.csv any more"):
        read_split(project, task)


def test_lists_are_of_the_corpus_of_the_project(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    with pytest.raises(ProtocolError, match="no file of the lists is in corpus 'lab-speech'"):
        split(listed(project, ["x.wav,1,train", "y.wav,1,test"]))


def test_the_folds_of_a_project_are_audited_by_its_own_protocol(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    drawn(project)
    found = audit_own(project)
    assert found.passed
    assert found.table()[0] == ["fold", "tested", "people shared", "texts shared"]
    assert "100.0% of the test samples have a text that is trained on" in " ".join(found.lines())
    strict = audit_own(project, ["person", "text"])
    assert [(one.key, one.shared) for one in strict.leaks] == [("text", 2), ("text", 2)]
    with pytest.raises(ProtocolError, match="nothing tells the session of the samples of 'lab-speech'"):
        audit_own(project, ["session"])


def test_eeg_of_a_parallel_corpus_that_a_list_does_not_name_is_in_neither_part(tmp_path: Path) -> None:
    project = project_of(tmp_path)
    speech = FeatureTable.load(project.features_path("lab-speech"))
    path = project.features_path("lab-eeg")
    eeg = FeatureTable.load(path)
    told = eeg.index.assign(group=speech.groups, recording=speech.ids)
    told.loc[3, "recording"] = "recorded without speech"
    replace(eeg, index=told).save(path)
    task, folds = drawn(listed(project, by_person(project, ["s00"])))
    assert task.parallel
    assert folds.speech == folds.eeg
    assert folds.eeg[0].aside == ("recorded without speech",)

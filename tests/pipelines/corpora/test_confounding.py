"""People who carry one emotion each: told by add, show, split and results, and not claimed of without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from jmml.errors import ProtocolError
from pipelines.corpora.add import add
from pipelines.corpora.confounding import of_corpora, refuse
from pipelines.corpora.describe import show
from pipelines.corpora.describing import Description
from pipelines.stages.ingest import ingest
from pipelines.workspace.project import Project
from tests.pipelines.corpora.conftest import write_ravdess

TOLD = "6 of 8 people have one label alone"


@pytest.fixture
def urdu(tmp_path: Path) -> Path:
    """Eight speakers, of whom six carry one emotion."""
    rng = np.random.default_rng(0)
    for person in range(8):
        for number in range(4):
            label = ("angry", "calm", "happy", "sad")[(number if person < 2 else person) % 4]
            file = tmp_path / "urdu" / f"s{person}_{number}_{label}.wav"
            file.parent.mkdir(exist_ok=True)
            soundfile.write(file, rng.uniform(-0.1, 0.1, 2400), 8000)
    return tmp_path / "urdu"


def test_it_is_told_wherever_data_are(project: Project, urdu: Path) -> None:
    described = Description(pattern="{speaker}_{text}_{label}.wav")
    result = add(project, "urdu", urdu, description=described, use=True)
    assert [line for line in result.lines() if line.startswith(f"warning: {TOLD}")]
    assert result.as_dict()["confounds"][0] | {"v": 0, "chance": 0, "leading": []} == {
        "factor": "person", "values": 8, "v": 0, "chance": 0, "alone": 6, "leading": [], "notable": True,
    }  # fmt: skip
    fresh = Project(project.root)
    for _ in range(2):  # from the recordings, and from the manifest
        lines = show(fresh, "urdu").lines()
        assert [line for line in lines if line.startswith("warning") and TOLD in line]
        assert [
            line
            for line in lines
            if line.startswith("label by person") and "8 values, 6 with one label" in line
        ]
        ingest(fresh, "urdu")
    (line,) = of_corpora(fresh, ("urdu", None, "unknown"))
    assert line.startswith(f"urdu: {TOLD}")


def test_a_claim_is_refused_unless_it_is_accepted() -> None:
    with pytest.raises(ProtocolError, match=r"study x: nothing can be claimed .*: a: b\..*--accept-confound"):
        refuse(["a: b"], accepted=False, where="study x")
    refuse(["a: b"], accepted=True, where="study x")
    refuse([], accepted=False, where="study x")


def test_a_balanced_corpus_is_no_matter(project: Project, tmp_path: Path) -> None:
    result = add(project, "mine", write_ravdess(tmp_path / "more", actors=4))
    assert result.warnings == ()
    assert show(Project(project.root), "mine").warnings == ()

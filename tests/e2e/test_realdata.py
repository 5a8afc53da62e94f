"""Real speech from its folder to a promoted model: the README's "Your own corpora", on a small part of nEMO."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.e2e.workspace import Workspace

REALDATA = os.environ.get("JMML_REALDATA")
SENTENCES = range(1, 4)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(REALDATA is None, reason="JMML_REALDATA does not name a folder with nemo_dev"),
]


@pytest.fixture(scope="module")
def nemo_part(tmp_path_factory) -> Path:
    """Six speakers, six emotions, three sentences of nEMO in its native layout."""
    source = Path(REALDATA or "") / "nemo_dev"
    target = tmp_path_factory.mktemp("corpora") / "nEMO"
    (target / "samples").mkdir(parents=True)
    table = pd.read_csv(source / "data.tsv", sep="\t")
    number = table["file_id"].str.extract(r"_(\d+)\.wav$")[0].astype(int)
    part = table[number.isin(SENTENCES)]
    part.to_csv(target / "data.tsv", sep="\t", index=False)
    for name in part["file_id"]:
        shutil.copyfile(source / "samples" / name, target / "samples" / name)
    return target


def test_from_recordings_to_a_promoted_model(reproduced: Workspace, nemo_part: Path) -> None:
    workspace = reproduced
    workspace.edit(method={"stage1": {"epochs": 15}, "stage2": {"epochs": 20}})
    assert workspace.jmml("data", "add", "nemo", str(nemo_part), "--use")["groups"] == 6
    workspace.run("dvc", "repro")
    scores = {row["method"]: row["uar"] for row in workspace.jmml("results")["methods"]}
    assert set(scores) == {"raw", "jec-ssl", "jmml", "one-hot"}
    # Six speakers, four quadrants: above chance, and far below the 0.78 that a leak between speakers gives.
    assert all(0.25 < uar < 0.75 for uar in scores.values()), scores

    carried = ("-s", "stage1.r=int(4,7)", "-s", "stage2.k=int(2,3)")
    swept = workspace.jmml("sweep", "run", "quick", "-s", "trials=2", *carried)
    assert swept["trials"]["finished"] + swept["trials"]["stopped"] == 2
    version = workspace.jmml("model", "register")["version"]
    assert workspace.jmml("model", "promote")["version"] == version

    speaker = swept["held_out"]["speech"][0]
    recording = sorted((workspace.root / "data/raw/nemo/samples").glob(f"{speaker}_anger_*.wav"))[0]
    answer = workspace.jmml("predict", str(recording))
    (prediction,) = answer["predictions"]
    assert sum(prediction["probabilities"].values()) == pytest.approx(1)
    assert answer["label_space"] == "quadrants"

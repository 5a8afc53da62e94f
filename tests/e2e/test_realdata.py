"""Real speech from its folder to a promoted model: the README's "Your own corpora", on a small part of nEMO."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.e2e.workspace import Workspace

REALDATA = os.environ.get("JMML_REALDATA")
SENTENCES = range(1, 7)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(REALDATA is None, reason="JMML_REALDATA does not name a folder with nemo_dev"),
]


@pytest.fixture(scope="module")
def nemo_part(tmp_path_factory) -> Path:
    """Six speakers, six emotions, six sentences of nEMO in its native layout."""
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


def test_from_recordings_to_a_promoted_model(workspace: Workspace, nemo_part: Path) -> None:
    workspace.edit(synthetic={"subjects": 6, "trials": 12, "trial_s": 8.0}, method={"stage2": {"k": 4}})
    added = json.loads(workspace.run("jmml", "data", "add", "nemo", str(nemo_part), "--use", "--json"))
    assert added["groups"] == 6
    workspace.run("dvc", "repro")
    comparison = json.loads(workspace.run("jmml", "results", "--json"))
    scores = {row["method"]: row["uar"] for row in comparison["methods"]}
    assert set(scores) == {"raw", "jec-ssl", "jmml", "one-hot"}
    # Six speakers, four quadrants: above chance, and far below the 0.78 that a leak between speakers gives.
    assert all(0.25 < uar < 0.75 for uar in scores.values()), scores

    swept = json.loads(
        workspace.run("jmml", "sweep", "run", "quick", "-s", "trials=8", "-s", "stage2.k=int(2,6)", "--json")
    )
    assert swept["trials"]["finished"] + swept["trials"]["stopped"] == 8
    version = json.loads(workspace.run("jmml", "model", "register", "--json"))["version"]
    assert json.loads(workspace.run("jmml", "model", "promote", "--json"))["version"] == version

    speaker = swept["held_out"]["speech"][0]
    recording = sorted((workspace.root / "data/raw/nemo/samples").glob(f"{speaker}_anger_*.wav"))[0]
    answer = json.loads(workspace.run("jmml", "predict", str(recording), "--json"))
    (prediction,) = answer["predictions"]
    assert sum(prediction["probabilities"].values()) == pytest.approx(1)
    assert answer["label_space"] == "quadrants"

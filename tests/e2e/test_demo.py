"""What `make demo` runs, on its own settings (one seed): from nothing to a champion that predicts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jmml.config import SyntheticConfig
from tests.e2e.workspace import make_workspace

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_the_demo_from_nothing_to_a_prediction(tmp_path: Path) -> None:
    defaults = SyntheticConfig().model_dump()
    workspace = make_workspace(
        tmp_path / "demo project",
        synthetic=defaults,
        protocol={"inner_folds": 3},
        method={"stage2": {"k": 6}},
    )
    shown = workspace.run("bash", "pipelines/demo.sh")
    for words in ("one-hot control", "Primary contrast", "is the challenger", "is the champion", "What next"):
        assert words in shown
    assert (workspace.root / "out/fresh.wav").stat().st_size > 1000

    scores = {
        row["method"]: row["uar"] for row in json.loads(workspace.run("jmml", "results", "--json"))["methods"]
    }
    assert set(scores) == {"raw", "jec-ssl", "jmml", "one-hot"}
    # The synthetic task is neither trivial nor hopeless; chance is 0.25.
    assert all(0.4 < uar < 0.9 for uar in scores.values()), scores

    versions = json.loads(workspace.run("jmml", "model", "list", "--json"))
    assert [version["aliases"] for version in versions] == [["champion"]]
    again = workspace.run("dvc", "repro")
    assert "Running stage" not in again

"""What `make demo` runs: from nothing to a champion that predicts."""

from __future__ import annotations

from pathlib import Path

import pytest

from jmml.config import SyntheticConfig
from tests.e2e.workspace import Workspace, make_workspace

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def demonstrate(workspace: Workspace) -> dict[str, float]:
    """Run the demo and look at what it leaves; UAR by method."""
    shown = workspace.run("bash", "pipelines/demo.sh")
    for words in ("one-hot control", "Primary contrast", "is the challenger", "is the champion", "What next"):
        assert words in shown
    assert (workspace.root / "out/fresh.wav").stat().st_size > 1000
    (version,) = workspace.jmml("model", "list")
    assert version["aliases"] == ["champion"]
    assert workspace.changed() == set()
    return {row["method"]: row["uar"] for row in workspace.jmml("results")["methods"]}


def test_the_demo_ends_in_a_prediction(first_run: tuple[Workspace, str], tmp_path: Path) -> None:
    workspace = first_run[0].copy(tmp_path / "demo project")
    script = workspace.root / "pipelines/demo.sh"
    # What the small corpora carry.
    smaller = "-s trials=3 -s 'stage1.r=int(3,6)' -s 'stage2.k=choice(2)'"
    whole = script.read_text()
    script.write_text(whole.replace("jmml sweep run demo", f"jmml sweep run demo {smaller}"))
    workspace.commit()
    assert set(demonstrate(workspace)) == {"raw", "jec-ssl", "jmml", "one-hot"}


@pytest.mark.long
def test_the_demo_from_nothing_on_its_own_corpora(tmp_path: Path) -> None:
    workspace = make_workspace(
        tmp_path / "demo project",
        synthetic=SyntheticConfig().model_dump(),
        protocol={"inner_folds": 3},
        method={"stage1": {"epochs": 30}, "stage2": {"k": 6, "epochs": 40}},
    )
    scores = demonstrate(workspace)
    # The synthetic task is neither trivial nor hopeless; chance is 0.25.
    assert all(0.4 < uar < 0.9 for uar in scores.values()), scores

"""What the README shows in Python runs as it is written."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np

import jmml
from tests.jmml.tasks import small_method

ROOT = Path(__file__).parents[2]


def example(part: str, *, page: str = "README.md") -> str:
    """The one Python example of a page that has ``part`` in it."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.S)
    (block,) = [block for block in blocks if part in block]
    return str(block)


def test_the_notebook_runs_as_shown() -> None:
    block = example("world_tables")
    names: dict[str, Any] = {"small": small_method()}
    for shown, tiny in (("people=8", "people=4, trials=16"), ("fold, method)", "fold, method, small)")):
        assert shown in block
        block = block.replace(shown, tiny)  # as it is shown, but for its size
    exec(block, names)
    assert names["table"]["method"].tolist() == ["jmml", "one-hot"]
    assert names["table"]["n_groups"].tolist() == [4, 4]


def test_every_stable_name_is_described() -> None:
    text = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    table = text[text.index("## Stable names") :]
    missing = [name for name in jmml.__all__ if not re.search(rf"`{name}\b", table)]
    assert not missing
    signatures = re.findall(r"^\| `(\w+)\((.*?)\)`", table, flags=re.MULTILINE)
    assert len(signatures) > 5
    for name, written in signatures:
        known = inspect.signature(getattr(jmml, name)).parameters
        given = [part.split("=")[0].strip() for part in written.split(",")]
        assert set(given) - {"*", "..."} <= set(known), name


def test_the_estimators_are_used_as_shown(tmp_path, monkeypatch) -> None:
    block = example("EDCCCAE.load")
    rng = np.random.default_rng(0)
    shapes = {"X_speech": (160, 20), "X_eeg": (120, 16), "X_new": (5, 20)}
    names = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    names |= {"y_speech": np.arange(160) % 4, "y_eeg": np.arange(120) % 4}
    monkeypatch.chdir(tmp_path)
    exec(block, names)
    assert names["z"].shape == (5, 6)
    u_new = names["speech"].transform(names["X_new"])
    assert jmml.EDCCCAE.load("stage2").transform(X_speech=u_new).tobytes() == names["z"].tobytes()

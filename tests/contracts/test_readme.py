"""What the README shows in Python runs as it is written."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

README = Path(__file__).parents[2] / "README.md"


def test_the_estimators_are_used_as_shown(tmp_path, monkeypatch) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    (block,) = [block for block in blocks if "jmml.models" in block]
    rng = np.random.default_rng(0)
    shapes = {"X_speech": (160, 20), "X_eeg": (120, 16), "X_new": (5, 20)}
    names = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    names |= {"y_speech": np.arange(160) % 4, "y_eeg": np.arange(120) % 4}
    monkeypatch.chdir(tmp_path)
    exec(block, names)
    assert names["z"].shape == (5, 6)
    from jmml.models import EDCCCAE

    u_new = names["speech"].transform(names["X_new"])
    assert EDCCCAE.load("stage2").transform(X_speech=u_new).tobytes() == names["z"].tobytes()

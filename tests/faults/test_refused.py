"""What `resume` refuses: a sweep that someone else drives, and changed settings, data or code, which it shows."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml

from pipelines.stages.split import split
from tests.faults.same import assert_same
from tests.faults.sweeps import ROOT, make_project
from tests.jmml.tasks import gaussian_table

pytestmark = pytest.mark.slow
CHANGED = "changed since the sweep began"


def test_changes_are_shown_and_only_one_may_drive(sweep, expected, on_ray: bool, tmp_path: Path):
    project = make_project(tmp_path / "own")
    one = sweep("tpe", project=project)
    driver = one.run()
    one.after(driver, "end", 2)
    driver.kill()
    driver.leaves_nothing()
    before = one.events()

    code = tmp_path / "code"
    for package in ("jmml", "pipelines", "cli"):
        shutil.copytree(ROOT / package, code / package, ignore=shutil.ignore_patterns("__pycache__"))
    changed = code / "jmml" / "search.py"
    changed.write_text(changed.read_text().replace("CONFIDENCE = 0.95", "CONFIDENCE = 0.9"))
    refused = {
        "seed: 3 -> 5": one.resume("-s", "seed=5"),
        "code: ": one.resume(fresh=on_ray, PYTHONPATH=str(code)),
    }
    for text, child in refused.items():
        assert child.wait() == 3, str(child)
        assert f"{CHANGED}: {text}" in str(child)
        assert "--accept-changes" in str(child)

    features, lock = project.features_path("lab-speech"), project.root / "dvc.lock"
    kept = {path: path.read_bytes() for path in (features, lock, project.split_path)}
    gaussian_table("speech", seed=1).save(features)
    split(project)
    records = yaml.safe_load(kept[lock])
    for out in records["stages"]["featurize"]["outs"]:
        out["md5"] = hashlib.md5((project.root / out["path"]).read_bytes()).hexdigest()
    lock.write_text(yaml.safe_dump(records))
    child = one.resume()
    assert child.wait() == 3, str(child)
    assert f"{CHANGED}: task" in str(child)
    assert one.events() == before
    for path, content in kept.items():
        path.write_bytes(content)

    both = [one.resume(), one.resume()]
    codes = sorted(child.wait() for child in both)
    assert codes == [0, 9], "\n".join(map(str, both))
    loser = next(child for child in both if child.process.returncode)
    loser.fails(9, "is being driven by ", "(process ")
    assert_same(one, expected("tpe"))

"""What DVC compares instead of modules: a small file per stage, written by the stage ``code``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from jmml.fingerprint import forget
from jmml.plugins import _sources
from pipelines.stages.code import FIGURES, STAGES, code, fingerprints
from pipelines.workspace.project import CORPORA_PIPELINE, Project
from tests.jmml.plugins.packages import ADAPTER, install

PIPELINE = {
    name: stage
    for file in ("dvc.yaml", CORPORA_PIPELINE)
    for name, stage in yaml.safe_load((Path(__file__).parents[3] / file).read_text())["stages"].items()
    if name != "no-eeg"
}


PARAMS = """\
corpora:
  lab: {adapter: files, modality: speech, path: data/raw/lab}
task: {speech: lab, eeg: null}
protocol: {folds: lists.csv}
"""


def definition(stage: str) -> dict[str, list[object]]:
    found: dict[str, list[object]] = PIPELINE[stage].get("do", PIPELINE[stage])
    return found


def test_a_file_per_stage_with_code_and_libraries(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").write_text(PARAMS)
    project = Project(tmp_path)
    code(project)
    first = {path.name: path.read_text() for path in project.code_dir.iterdir()}
    assert set(first) == {f"{name}.json" for name in (*STAGES, FIGURES)}
    assert len({json.loads(text)["code"] for text in first.values()}) == len(first)
    assert json.loads(first["train.json"])["libraries"].keys() >= {"numpy", "scipy", "scikit-learn", "torch"}
    assert json.loads(first["featurize.json"])["libraries"].keys() >= {"numpy", "soxr", "mne", "soundfile"}
    code(project)
    assert {path.name: path.read_text() for path in project.code_dir.iterdir()} == first


def test_every_stage_depends_on_its_own_file_and_on_no_module() -> None:
    assert set(PIPELINE) - {"code"} == set(STAGES)
    assert PIPELINE["code"]["always_changed"]
    for stage in STAGES:
        wanted = [f"data/code/{name}.json" for name in ([stage, FIGURES] if stage == "evaluate" else [stage])]
        files = [next(iter(entry)) for entry in definition(stage)["params"] if isinstance(entry, dict)]
        assert files == wanted
        assert not [path for path in definition(stage).get("deps", []) if str(path).endswith(".py")]
        assert not [
            path for path in definition(stage).get("deps", []) if str(path).startswith(("jmml", "pipelines"))
        ]


@pytest.mark.parametrize(
    ("module", "stages"),
    [
        ("jmml.data.synthetic.eeg", {"synthesize"}),
        ("jmml.data.corpora.eeg.seed", {"ingest", "featurize", "split"}),
        ("jmml.data.corpora.speech.nemo", {"ingest", "featurize", "split"}),
        ("jmml.data.features.eeg", {"featurize"}),
        ("jmml.data.labels", {"split"}),
        ("jmml.data.splits", {"split", "train", "evaluate"}),
        ("jmml.models.jec_ssl", {"train", "evaluate"}),
        ("pipelines.protocol.folds", {"split"}),
        ("pipelines.corpora.scan", {"ingest", "featurize", "split"}),
        ("jmml.evaluation.metrics", {"train", "evaluate"}),
        ("jmml.evaluation.plots.forest", {FIGURES}),
        ("jmml.printable", set()),
        ("pipelines.reporting.progress", set()),
        ("pipelines.stages._main", set()),
        ("pipelines.stages.summary", {"train", "evaluate"}),
        ("cli.app", set()),
    ],
)
def test_a_module_concerns_the_stages_that_it_computes_for(module: str, stages: set[str]) -> None:
    assert {name for name, one in fingerprints().items() if module in one.modules} == stages


def test_the_published_lists_that_draw_the_split_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "params.yaml").write_text(PARAMS)
    found = []
    for text in (None, "a", "b"):
        if text:
            (tmp_path / "lists.csv").write_text(text)
        code(Project(tmp_path))
        found.append(json.loads((tmp_path / "data/code/split.json").read_text()))
    assert found[0]["folds"] is None
    assert len({one["folds"] for one in found}) == 3
    assert "folds" not in json.loads((tmp_path / "data/code/train.json").read_text())


def test_what_an_installed_package_adds_is_part_of_the_stages_that_read_corpora(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = install(
        tmp_path / "site-packages",
        "calls-lib",
        {"callslib/__init__.py": "", "callslib/adapter.py": ADAPTER.format(name="their-calls")},
        "[jmml.corpora]\ntheir-calls = callslib.adapter\nbroken = callslib.not_there\n",
    )
    monkeypatch.syspath_prepend(str(site))
    try:
        _renew()
        stages = {name for name, one in fingerprints().items() if "callslib.adapter" in one.modules}
    finally:
        monkeypatch.undo()
        _renew()
    assert stages == {"ingest", "featurize", "split"}


def _renew() -> None:
    _sources._installed.cache_clear()
    forget()

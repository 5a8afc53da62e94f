"""The page of a corpus: what it says, and that nothing from outside runs in it."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from jmml.config import SyntheticConfig
from jmml.data.synthetic import write_synthetic_eeg
from jmml.errors import ConfigError, CorpusError, DataError
from pipelines.corpora.add import add
from pipelines.corpora.describing import Description
from pipelines.corpora.report.page import write_report
from pipelines.stages.ingest import ingest
from pipelines.workspace.project import Project

EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Elements and text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        assert not [name for name, _ in attrs if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def speech(root: Path) -> Path:
    """Four people, two labels at two rates, one clipped, one silent."""
    rng = np.random.default_rng(0)
    root.mkdir()
    for number in range(16):
        label, rate = (("joy", 16000), ("calm", 22050))[number % 2]
        x = rng.uniform(-0.3, 0.3, rate // 3)
        if number == 5:
            x = np.clip(x, -0.1, 0.1)
        if number == 7:
            x = 0 * x
        soundfile.write(root / f"p{number % 8 // 2}_{number:02d}_{label}.wav", x, rate)
    return root


def test_a_page_of_speech(project: Project, tmp_path: Path) -> None:
    described = Description(pattern="{speaker}_{text}_{label}.wav")
    add(project, "ours", speech(tmp_path / "ours"), description=described, skip_bad=True)
    fresh = Project(project.root)
    path = write_report(fresh, "ours")
    assert path == fresh.root / "data/reports/ours.html"
    assert (path.parent / ".gitignore").read_text() == "*\n"
    page = Page(path)
    assert "15 samples of 4 people" in page.text
    assert "Label by sample rate: V 1.00" in page.text
    assert re.search(r"clipping in 1 p2_05_calm [\d.]+ % of its samples", page.text)
    assert "p3_07_calm.wav" in page.text.partition("Left out, and why")[2]
    assert page.tags.count("image") >= 7  # spectrograms
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in page.sources)
    assert path.read_bytes() == write_report(fresh, "ours", tmp_path / "again.html").read_bytes()


def test_nothing_from_outside_is_code(project: Project, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(24, 2)), columns=["f0", f"loud{EVIL}"])
    frame.insert(0, "id", [f"{EVIL}{n}" for n in range(24)])
    frame.insert(1, "group", [f"p{n // 6}{EVIL}\"'&" for n in range(24)])
    frame.insert(2, "label", ["joy", f"calm{EVIL}"] * 12)
    frame.to_csv(tmp_path / "t.csv", index=False)
    add(project, "lab", tmp_path / "t.csv", modality="speech")
    page = Page(write_report(Project(project.root), "lab"))
    assert "script" not in page.tags
    assert page.tags.count("style") == 1
    assert f"loud{EVIL}" in page.text
    assert "A table of features holds no recordings." in page.text


def test_a_page_of_eeg(project: Project, tmp_path: Path) -> None:
    write_synthetic_eeg(tmp_path / "eeg", SyntheticConfig(subjects=2, trials=4, trial_s=4.0))
    add(project, "brains", tmp_path / "eeg", adapter="deap")
    page = Page(write_report(Project(project.root), "brains"))
    assert "Power spectra" in page.text
    assert "Power over the head" in page.text
    assert page.tags.count("img") == 1
    assert "theta" not in page.text  # it is in the picture
    assert "None: no line noise" in page.text


def test_recordings_that_are_not_here(project: Project, tmp_path: Path) -> None:
    add(
        project,
        "ours",
        speech(tmp_path / "ours"),
        description=Description(pattern="{speaker}_{text}_{label}.wav"),
        skip_bad=True,
    )
    fresh = Project(project.root)
    ingest(fresh, "ours")
    shutil.rmtree(fresh.corpus_dir("ours"))
    page = Page(write_report(fresh, "ours"))
    assert "The recordings are not here: `dvc pull` fetches them." in page.text
    assert "15 samples of 4 people" in page.text


def test_no_such_corpus_and_no_such_folder(project: Project, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, CorpusError), match=r"unknown corpus 'odl'.*'old'"):
        write_report(project, "odl")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"the report cannot be written: .*--output"):
        write_report(project, "old", tmp_path / "file" / "x.html")

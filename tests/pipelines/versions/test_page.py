from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jmml.config import CorpusConfig
from jmml.data.manifest import Manifest
from pipelines.versions import page as pages
from pipelines.versions.diff import CorpusDifference, Difference, diff
from pipelines.versions.difference import Row
from pipelines.versions.page import write_page
from pipelines.versions.reading import Side
from pipelines.workspace.project import Project
from tests.pipelines.versions.conftest import NAME, wav

CLIP = re.compile(r'src="data:audio/flac;base64,([^"]+)"')


def test_the_differences_are_read_and_heard(project: Project, tmp_path: Path) -> None:
    found = diff(project, "v1", "v2")
    place = tmp_path / "diff.html"
    assert write_page(project, found, place) == str(place)
    text = place.read_text()
    for said in ("v1 to v2", "12 recordings before, 9 after", "03-01-06-01-01-01-01", "the same recording"):
        assert said in text
    clips = CLIP.findall(text)
    assert len(clips) == 1 + 4 + 2 + 1  # added, removed, replaced on both sides, relabelled once
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(clips[0])))
    added, _ = soundfile.read(wav(project.raw_dir / NAME, 8, 1))
    assert rate == 8000
    np.testing.assert_allclose(heard, added, atol=2**-15)
    assert "media-src data:" in text
    assert "script-src" not in text
    assert "<script" not in text


def test_what_corpora_say_is_escaped(project: Project, tmp_path: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    side = Side("x", tmp_path, Manifest.from_rows("x", []))
    entry = CorpusConfig(adapter="deap", modality="eeg", path="x")
    row = Row(evil, ("removed",), {"id": evil, "group": "<b>", "label": '"><script>'}, None)
    one = CorpusDifference(f"<i>{NAME}", entry, side, side, [row])
    write_page(project, Difference("<u>a", "b", [one]), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    for bad in ("<img src=x", "<b>", '"><script>', "<i>", "<u>"):
        assert bad not in text
    assert "EEG is not heard" in text


def test_there_is_a_limit(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "CLIPS", 3)
    monkeypatch.setattr(pages, "LONGEST_S", 0.1)
    write_page(project, diff(project, "v1", "v2"), tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    clips = CLIP.findall(text)
    assert len(clips) == 3
    assert len(soundfile.read(io.BytesIO(base64.b64decode(clips[0])))[0]) == 800
    assert "the first 0.1 s" in text
    assert "5 recordings beyond the first 3 are not in the page" in text

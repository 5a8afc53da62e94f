from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from jmml.config import CorpusConfig, load_params
from jmml.errors import ConfigError
from pipelines.workspace.settings_file import with_corpus

TEXT = """\
# the head of the file
corpora:
  # the first corpus
  talk:
    adapter: ravdess      # by file names
    modality: speech
    path: data/raw/talk   # under DVC

# what is recognised
task:
  speech: talk            # in use
  eeg: null
  label_space: quadrants
"""
TASK = "task: {speech: talk, eeg: null}\n"
ENTRY = CorpusConfig(adapter="nemo", modality="speech", path="data/raw/nemo")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "params.yaml"
    file.write_text(TEXT)
    return file


def test_adds_lines_below_the_last_corpus_and_changes_no_other(path: Path) -> None:
    new = with_corpus(path, "nemo", ENTRY)
    added = "  nemo:\n    adapter: nemo\n    modality: speech\n    path: data/raw/nemo\n"
    before, after = TEXT.split("\n# what is recognised")
    assert new == before + added + "\n# what is recognised" + after
    assert path.read_text() == TEXT


def test_use_replaces_one_word(path: Path) -> None:
    new = with_corpus(path, "nemo", ENTRY, use=True)
    assert "  speech: nemo            # in use\n" in new
    path.write_text(new)
    assert load_params(path).task.speech == "nemo"


def test_use_for_eeg_replaces_null(path: Path) -> None:
    entry = CorpusConfig(adapter="deap", modality="eeg", path="data/raw/deap", labels={"a b": "HVHA"})
    path.write_text(with_corpus(path, "deap", entry, use=True))
    params = load_params(path)
    assert (params.task.speech, params.task.eeg) == ("talk", "deap")
    assert params.corpora["deap"] == entry


TASK = "task: {speech: talk, eeg: null}\n"
BLOCK = "  talk:\n    adapter: ravdess\n    modality: speech\n    path: p"


@pytest.mark.parametrize(
    "text",
    [
        f"{TASK}corpora:\n  talk: {{adapter: ravdess, modality: speech, path: p}}\n",
        f"{TASK}corpora:\n{BLOCK}",
        f"corpora:\n{BLOCK}\n    labels: {{a: HVHA}}\n{TASK}".replace("    ", "       "),
        f"corpora:\n{BLOCK}\n    labels:\n      a: HVHA\n{TASK}",
    ],
    ids=["flow entry", "no newline at the end", "deeper indent", "nested last value"],
)
def test_other_ways_to_write_the_file(path: Path, text: str) -> None:
    path.write_text(text)
    before = yaml.safe_load(text)
    after = yaml.safe_load(with_corpus(path, "nemo", ENTRY))
    assert after["corpora"].pop("nemo") == {"adapter": "nemo", "modality": "speech", "path": "data/raw/nemo"}
    assert after == before


def test_corpora_in_braces_are_left_to_the_user(path: Path) -> None:
    path.write_text(
        "corpora: {talk: {adapter: ravdess, modality: speech, path: p}}\ntask: {speech: talk, eeg: null}\n"
    )
    with pytest.raises(ConfigError, match="add it by hand"):
        with_corpus(path, "nemo", ENTRY)


def test_a_file_that_is_invalid_already_is_not_edited(path: Path) -> None:
    path.write_text(TEXT.replace("quadrants", "quadrant"))
    with pytest.raises(ConfigError, match="label_space"):
        with_corpus(path, "nemo", ENTRY)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("<<: {corpora: {talk: {adapter: ravdess, modality: speech, path: a}}}\n" + TASK, "corpora"),
        (TEXT.partition("task:")[0] + f"<<: {{{TASK.strip()}}}\n", "task"),
        (TEXT.partition("task:")[0] + "task: {<<: {speech: talk}, eeg: null}\n", "speech"),
    ],
    ids=["corpora", "task", "speech"],
)
def test_sections_that_come_from_elsewhere_are_named(path: Path, text: str, key: str) -> None:
    path.write_text(text)
    load_params(path)
    with pytest.raises(ConfigError, match=rf"{key}: comes from elsewhere \(`<<`\)"):
        with_corpus(path, "nemo", ENTRY, use=True)

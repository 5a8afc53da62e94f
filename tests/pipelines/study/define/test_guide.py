"""docs/studies.md stays true: its example is loaded as any definition is, and it names every key there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jmml.config import MethodConfig
from pipelines.study.define import reading
from pipelines.study.define.model import StudyDefinition, StudyTask, Tuning
from pipelines.study.define.reading import READY_MADE, load_definition
from pipelines.study.publish import record, summary
from pipelines.workspace.project import Project

ROOT = Path(reading.__file__).parents[3]
TEXT = (ROOT / reading.GUIDE).read_text(encoding="utf-8")


@pytest.fixture
def example(tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.S)
    path = tmp_path / "my_study.yaml"
    path.write_text(block)
    return path


def test_the_example_is_a_valid_definition(example):
    loaded = load_definition(example, base=Project(ROOT).params.method)
    assert loaded.claim == "jmml"
    assert loaded.tuning.trials == 3
    assert {name for name, task in loaded.tasks.items() if task.world} == {"trial"}
    corpora = Project(ROOT).params.corpora
    assert {task.speech for task in loaded.tasks.values()} - {None} <= set(corpora)
    # Every key of a definition is there, and every kind of task.
    assert loaded.model_fields_set == set(StudyDefinition.model_fields)
    assert set().union(*(task.model_fields_set for task in loaded.tasks.values())) == set(
        StudyTask.model_fields
    )
    assert loaded.tuning.model_fields_set == set(Tuning.model_fields)


def test_every_key_is_explained():
    rows = [line for line in TEXT.splitlines() if line.startswith("| `")]
    for model in (StudyDefinition, StudyTask, Tuning):
        for key in model.model_fields:
            assert any(f"`{key}`" in row.split("|")[1] for row in rows), key


def test_defaults_are_those_of_the_code():
    fresh = {
        name: field.get_default(call_default_factory=True)
        for name, field in StudyDefinition.model_fields.items()
    }
    assert fresh["seeds"] == list(range(5))
    assert "| `seeds` | 0 to 4 |" in TEXT
    assert f"| `claim` | `{fresh['claim']}` |" in TEXT
    assert f"| `audit` | `{fresh['audit']}` |" in TEXT
    assert f"| `bootstrap`, `confidence` | {fresh['bootstrap']}, {fresh['confidence']} |" in TEXT
    assert f"| `trials`, `seed` | {Tuning().trials}, {Tuning().seed} |" in TEXT


def test_every_override_it_shows_works(example):
    shown = [text for text in re.findall(r"`-s\s+([^`]+)`", TEXT) if text != "KEY=VALUE"]
    assert len(shown) == 7
    for text in shown:
        loaded = load_definition(example, overrides=[text], base=MethodConfig())
        assert loaded != load_definition(example), text


def test_it_names_every_file_and_the_ready_made():
    for name in (
        *(
            summary.FILE,
            summary.REPORT,
            record.DEFINITION,
            record.CERTIFICATE,
            f"{record.EVIDENCE}/<task>.parquet",
        ),
        *("table.csv", "table.md", "table.tex", "per_speaker.csv", "figures/", ".jmml/cells"),
        *READY_MADE,
    ):
        assert f"`{name}`" in TEXT, name
    assert "`pipelines/study/definitions`" in TEXT


def test_it_is_short_and_fits_the_page():
    lines = TEXT.splitlines()
    assert 80 <= len(lines) <= 120
    assert max(map(len, lines)) <= 120

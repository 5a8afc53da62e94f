"""The list of faults to plant is about the code as it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants import NOT_ASKED, Mutant, Reach, mutants

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: f"{mutant.number}-{mutant.file}")
def test_a_fault_can_be_planted_and_is_python(mutant: Mutant, tmp_path: Path) -> None:
    planted = tmp_path / mutant.file
    planted.parent.mkdir(parents=True)
    planted.write_text((ROOT / mutant.file).read_text())
    mutant.apply(tmp_path)
    if planted.suffix == ".py":
        ast.parse(planted.read_text())


def test_this_file_which_fails_for_every_fault_does_not_find_any(tmp_path: Path) -> None:
    files = {
        "jmml/plugins/__init__.py": "from jmml.plugins import _workers\n",
        "jmml/plugins/_workers.py": "",
        "tests/conftest.py": "from jmml.plugins import use_project\n",
        "tests/jmml/test_other.py": "",
        NOT_ASKED: "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert (ROOT / NOT_ASKED).samefile(__file__)
    assert Reach(tmp_path).tests("jmml/plugins/_workers.py", 2) == [[tmp_path / "tests/jmml/test_other.py"]]

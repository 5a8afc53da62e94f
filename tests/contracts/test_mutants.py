"""The list of faults to plant is about the code as it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: f"{mutant.number}-{mutant.file}")
def test_a_fault_can_be_planted_and_is_python(mutant: Mutant, tmp_path: Path) -> None:
    planted = tmp_path / mutant.file
    planted.parent.mkdir(parents=True)
    planted.write_text((ROOT / mutant.file).read_text())
    mutant.apply(tmp_path)
    if planted.suffix == ".py":
        ast.parse(planted.read_text())

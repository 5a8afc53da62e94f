"""The laws of CONTRIBUTING.md: layers point one way, and each platform library has one home."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = {"jmml": set(), "pipelines": {"jmml"}, "cli": {"jmml", "pipelines"}}
HOMES = {
    "ray": (
        "pipelines/compute/",
        "pipelines/sweep/decide/",
        "pipelines/sweep/execute/",
        "pipelines/study/run/",
    ),
    "mlflow": (
        "pipelines/tracking/tracker.py",
        "pipelines/tracking/store_errors.py",
        "pipelines/registry/promotion.py",
        "pipelines/tracking/serving.py",
    ),
    "dvc": ("pipelines/workspace/lineage.py", "pipelines/corpora/datasets.py", "pipelines/stages/"),
    "typer": ("cli/",),
}
HEAVY = {
    "torch",
    "ray",
    "mlflow",
    "librosa",
    "mne",
    "sklearn",
    "scipy",
    "pandas",
    "numpy",
    "dvc",
    "matplotlib",
}


def imports(source: str, *, top_level_only: bool = False) -> set[str]:
    """Dotted names of the modules that Python source imports."""
    tree = ast.parse(source)
    nodes = tree.body if top_level_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def modules() -> list[Path]:
    return sorted(path for layer in LAYERS for path in (ROOT / layer).rglob("*.py"))


def root_of(name: str) -> str:
    return name.split(".")[0]


def violations(path: str, source: str) -> list[str]:
    """Every broken law of one module, as text."""
    layer = path.split("/")[0]
    broken = []
    for name in sorted(imports(source)):
        top = root_of(name)
        if top in LAYERS and top != layer and top not in LAYERS[layer]:
            broken.append(f"{path} imports {name}: layers point cli -> pipelines -> jmml")
        if top in HOMES and not path.startswith(HOMES[top]):
            broken.append(f"{path} imports {name}: only {', '.join(HOMES[top])} may")
        for room, other in (("jmml/data/", "jmml.models"), ("jmml/models/", "jmml.data")):
            if path.startswith(room) and (name == other or name.startswith(other + ".")):
                broken.append(f"{path} imports {name}: data and models do not know each other")
    return broken


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_module_keeps_the_laws(path: Path) -> None:
    assert violations(str(path.relative_to(ROOT)), path.read_text()) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("jmml/x.py", "import pipelines.workspace.project"),
        ("pipelines/x.py", "from cli import app"),
        ("jmml/x.py", "def f():\n    import ray"),
        ("pipelines/registry/predict.py", "from mlflow import pyfunc"),
        ("pipelines/sweep/x.py", "import dvc.api"),
        ("pipelines/x.py", "import typer"),
        ("jmml/data/x.py", "from jmml.models import jec_ssl"),
        ("jmml/models/x.py", "from jmml.data.splits import Fold"),
    ],
)
def test_a_broken_law_is_seen(path: str, source: str) -> None:
    assert violations(path, source)


@pytest.mark.parametrize("path", sorted((ROOT / "cli").glob("*.py")), ids=lambda p: p.name)
def test_command_line_imports_nothing_heavy_at_start(path: Path) -> None:
    start = {root_of(name) for name in imports(path.read_text(), top_level_only=True)}
    assert not start & (HEAVY | {"pipelines"})

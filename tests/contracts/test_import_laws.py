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
        "pipelines/sweep/execute/",
        "pipelines/study/run/",
    ),
    "mlflow": (
        "pipelines/tracking/tracker.py",
        "pipelines/tracking/store_errors.py",
        "pipelines/registry/promotion.py",
        "pipelines/tracking/serving.py",
    ),
    "dvc": ("pipelines/workspace/lineage.py", "pipelines/corpora/dvc_record.py", "pipelines/stages/"),
    "typer": ("cli/",),
}
# The rooms of `pipelines/`, from the ground up: a room uses its own floor and those below.
FLOORS = (
    {"workspace", "definitions", "reporting"},
    {"corpora", "tracking", "compute", "cache", "registry", "stages"},
    {"study", "sweep"},
)
# The rooms of a sweep: a room uses those before it. Nothing that is computed depends on how it is shown.
SWEEP = ("definition", "record", "sync", "decide", "execute", "show", "runner")
# What does not keep to that yet; an entry that is not needed any more has to go.
AGAINST_THE_WAY: set[tuple[str, str]] = set()
CIRCLES: set[tuple[str, ...]] = set()
MOST_MODULES = 16  # in one folder
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


@pytest.mark.parametrize("path", sorted((ROOT / "cli").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_command_line_imports_nothing_heavy_at_start(path: Path) -> None:
    start = {root_of(name) for name in imports(path.read_text(), top_level_only=True)}
    assert not start & (HEAVY | {"pipelines"})


# Rooms ---------------------------------------------------------------------------------------------------------


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows() -> dict[str, set[str]]:
    """For each module of `pipelines`, those of `pipelines` that it imports, wherever in it."""
    known = {dotted(path): path for path in modules() if path.is_relative_to(ROOT / "pipelines")}
    found = {}
    for name, path in known.items():
        used = imports(path.read_text()) & known.keys()
        # `from package import module` uses the module, not what the package's __init__ holds.
        found[name] = {other for other in used if not any(o.startswith(f"{other}.") for o in used)} - {name}
    return found


def circles(graph: dict[str, set[str]]) -> set[tuple[str, ...]]:
    """Sets of modules each of which reaches each other one."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        waiting = [*graph[start]]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += graph.get(name, ())
        reached[start] = seen
    return {
        tuple(sorted(other for other in reached[name] if name in reached.get(other, ())))
        for name in graph
        if name in reached[name]
    }


def test_circles_are_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}) == {("a", "b", "c")}


def test_rooms_point_one_way() -> None:
    floor_of = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    against = set()
    for name, used in arrows().items():
        for other in used:
            room, below = (text.split(".")[1] for text in (name, other))
            upwards = floor_of[below] > floor_of[room]
            beside = room != below and {room, below} == FLOORS[-1]
            if upwards or beside:
                against.add((room, below))
    assert against == AGAINST_THE_WAY


def test_rooms_of_a_sweep_point_one_way() -> None:
    steps = {
        (name.split(".")[2], other.split(".")[2])
        for name, used in arrows().items()
        for other in used
        if name.startswith("pipelines.sweep.") and other.startswith("pipelines.sweep.")
    }
    assert {room for step in steps for room in step} == set(SWEEP)
    assert {step for step in steps if SWEEP.index(step[0]) < SWEEP.index(step[1])} == set()


def test_there_are_no_other_circles_of_files() -> None:
    assert {
        tuple(name.removeprefix("pipelines.") for name in circle) for circle in circles(arrows())
    } == CIRCLES


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in modules()}), ids=lambda p: str(p.relative_to(ROOT))
)
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    if folder != ROOT / "jmml" / "models":  # one file per method
        assert len(list(folder.glob("*.py"))) <= MOST_MODULES

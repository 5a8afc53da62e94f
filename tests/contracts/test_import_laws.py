"""The laws of CONTRIBUTING.md: layers and rooms point one way, and each platform library has a home."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.contracts.sources import LAYERS, ROOT, imports, modules, root_of, shown

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
    {"corpora", "versions", "protocol", "tracking", "compute", "cache", "registry", "stages"},
    {"study", "sweep"},
)
# The rooms of a sweep and of a study: a room uses those before it. Nothing that is computed depends on how it is shown;
# a journal holds definitions, which are read into their type as it is read.
INSIDE = {
    "sweep": ("definition", "record", "sync", "decide", "execute", "show", "runner"),
    "study": ("define", "publish", "run"),
}
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


def violations(path: str, source: str) -> list[str]:
    """Every broken law of one module, as text."""
    layer = path.split("/")[0]
    broken = []
    for name in sorted(imports(source, where=path)):
        top = root_of(name)
        if top in LAYERS and top != layer and top not in LAYERS[layer]:
            broken.append(f"{path} imports {name}: layers point cli -> pipelines -> jmml")
        if top in HOMES and not path.startswith(HOMES[top]):
            broken.append(f"{path} imports {name}: only {', '.join(HOMES[top])} may")
        for room, other in (("jmml/data/", "jmml.models"), ("jmml/models/", "jmml.data")):
            if path.startswith(room) and (name == other or name.startswith(other + ".")):
                broken.append(f"{path} imports {name}: data and models do not know each other")
    return broken


def heavy_at_start(path: str, source: str) -> set[str]:
    """What the import of a module of the command line imports and should not."""
    start = {root_of(name) for name in imports(source, where=path, top_level_only=True)}
    return start & (HEAVY | {"pipelines"})


@pytest.mark.parametrize("path", modules(), ids=shown)
def test_module_keeps_the_laws(path: Path) -> None:
    assert violations(shown(path), path.read_text()) == []


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
        ("jmml/data/x.py", "from ..models import jec_ssl"),
        ("jmml/data/x.py", "from .. import models"),
        ("jmml/data/corpora/__init__.py", "from ...models.jec_ssl import JECSSL"),
        ("jmml/data/x.py", "from jmml import JECSSL"),
        ("jmml/data/x.py", "from .. import JECSSL"),
        ("jmml/data/x.py", "import jmml\n\ndef f():\n    return jmml.JECSSL()"),
        ("jmml/models/x.py", "from jmml import load_corpus"),
        ("pipelines/x.py", "import importlib\nimportlib.import_module('mlflow')"),
        ("pipelines/x.py", "from importlib import import_module as load\nload('ray.tune')"),
        ("pipelines/x.py", "from importlib import import_module\nimport_module(name='typer')"),
        ("jmml/x.py", "def f():\n    return __import__('ray')"),
        ("jmml/data/x.py", "from importlib import import_module\nimport_module('..models', __package__)"),
        ("jmml/data/x.py", "from importlib import import_module\nimport_module('.models', package='jmml')"),
    ],
)
def test_a_broken_law_is_seen(path: str, source: str) -> None:
    assert violations(path, source)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("jmml/data/x.py", "from . import splits\nfrom ..config import Params\nfrom jmml import Split"),
        ("jmml/data/corpora/x.py", "from .models import one"),
        ("jmml/x.py", "from .models import jec_ssl"),
        ("pipelines/x.py", "from importlib import import_module\nimport_module(f'{__name__}.ray')"),
        ("pipelines/tracking/tracker.py", "import importlib\nimportlib.import_module('mlflow')"),
    ],
)
def test_what_keeps_the_laws_is_left_alone(path: str, source: str) -> None:
    assert violations(path, source) == []


@pytest.mark.parametrize("path", sorted((ROOT / "cli").rglob("*.py")), ids=shown)
def test_command_line_imports_nothing_heavy_at_start(path: Path) -> None:
    assert not heavy_at_start(shown(path), path.read_text())


@pytest.mark.parametrize(
    ("source", "heavy"),
    [
        ("import torch", {"torch"}),
        ("from pipelines import study", {"pipelines"}),
        ("import importlib\nray = importlib.import_module('ray')", {"ray"}),
        ("def f():\n    import torch\n    __import__('ray')", set()),
    ],
)
def test_what_is_heavy_at_start_is_seen(source: str, heavy: set[str]) -> None:
    assert heavy_at_start("cli/x.py", source) == heavy


# Rooms ---------------------------------------------------------------------------------------------------------


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def arrows(layer: str = "pipelines") -> dict[str, set[str]]:
    """For each module of a layer, those of the layer that it imports, wherever in it."""
    known = {dotted(path): path for path in modules() if path.is_relative_to(ROOT / layer)}
    found = {}
    for name, path in known.items():
        used = imports(path.read_text(), where=shown(path)) & known.keys()
        # `from package import module` uses the module, not what the package's __init__ holds.
        found[name] = {other for other in used if not any(o.startswith(f"{other}.") for o in used)} - {name}
    return found


def backwards(graph: dict[str, set[str]], package: str, rooms: tuple[str, ...]) -> set[tuple[str, str]]:
    """Arrows from a room of ``package`` to one that comes after it; an unknown room is one of them."""
    steps = {
        (name.split(".")[2], other.split(".")[2])
        for name, used in graph.items()
        for other in used
        if name.startswith(f"{package}.") and other.startswith(f"{package}.")
    }
    order = {room: number for number, room in enumerate(rooms)}
    last = len(rooms)
    return {(room, other) for room, other in steps if order.get(room, -1) < order.get(other, last)}


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
    assert against == set()


@pytest.mark.parametrize("package", INSIDE)
def test_rooms_inside_point_one_way(package: str) -> None:
    assert backwards(arrows(), f"pipelines.{package}", INSIDE[package]) == set()


@pytest.mark.parametrize(
    ("name", "other", "step"),
    [
        ("pipelines.sweep.execute.x", "pipelines.sweep.show.table", ("execute", "show")),
        ("pipelines.sweep.definition.x", "pipelines.sweep.record.state", ("definition", "record")),
        ("pipelines.study.define.x", "pipelines.study.publish.results", ("define", "publish")),
        ("pipelines.study.publish.x", "pipelines.study.run.runner", ("publish", "run")),
        ("pipelines.study.publish.x", "pipelines.study.attic.x", ("publish", "attic")),
    ],
)
def test_an_arrow_backwards_is_seen(name: str, other: str, step: tuple[str, str]) -> None:
    package = name.split(".")[1]
    assert backwards({name: {other}}, f"pipelines.{package}", INSIDE[package]) == {step}


@pytest.mark.parametrize("layer", LAYERS)
def test_there_is_no_circle_of_files(layer: str) -> None:
    assert circles(arrows(layer)) == set()


def test_there_is_no_circle_of_rooms() -> None:
    rooms: dict[str, set[str]] = {}
    for name, used in arrows().items():
        if name != "pipelines":
            room = name.split(".")[1]
            rooms.setdefault(room, set()).update({other.split(".")[1] for other in used} - {room})
    assert circles(rooms) == set()


@pytest.mark.parametrize("folder", sorted({path.parent for path in modules()}), ids=shown)
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    one_each = (
        ROOT / "jmml" / "models",
        ROOT / "jmml" / "data" / "corpora" / "speech",
    )  # a file per method, a file per corpus
    if folder not in one_each:
        assert len(list(folder.glob("*.py"))) <= MOST_MODULES

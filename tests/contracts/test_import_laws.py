"""The laws of CONTRIBUTING.md: layers point one way; each platform library has a home, its private parts one file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
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


# Private interfaces --------------------------------------------------------------------------------------------

# The modules of each library that its documentation names and we use. All others are its own affair ...
PUBLIC = {
    "ray": {
        "ray",
        "ray.exceptions",
        "ray.job_config",
        "ray.tune",
        "ray.tune.experiment",
        "ray.tune.schedulers",
        "ray.tune.search",
    },
    "mlflow": {
        "mlflow",
        "mlflow.artifacts",
        "mlflow.entities",
        "mlflow.entities.model_registry",
        "mlflow.exceptions",
        "mlflow.models",
        "mlflow.pyfunc",
        "mlflow.types",
    },
    "dvc": {"dvc", "dvc.api", "dvc.exceptions"},
    "dvc_data": set(),
    "dvc_objects": set(),
    "scmrepo": set(),
    "joblib": {"joblib"},
}
# ... and used in one file each, which says what public way was tried and has a contract test beside its own tests.
PRIVATE_HOMES = {
    "pipelines/compute/private_ray.py": {"ray"},
    "pipelines/tracking/private_mlflow.py": {"mlflow"},
    "pipelines/corpora/dvc_record.py": {"dvc", "dvc_data", "scmrepo"},
}


@cache
def is_module(name: str) -> bool:
    """Whether a library has a module of this dotted name, found out without importing it."""
    top, *parts = name.split(".")
    spec = find_spec(top)
    folders = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    return any(
        base.is_dir() or any(base.parent.glob(f"{base.name}.*"))
        for base in (folder.joinpath(*parts) for folder in folders)
    )


def is_private(name: str) -> bool:
    """Whether a dotted name that begins with a library's leads to something private."""
    parts = name.split(".")
    if root_of(name) not in PUBLIC:
        return False
    if any(part.startswith("_") and not part.endswith("__") for part in parts):
        return True
    prefixes = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
    return any(is_module(prefix) and prefix not in PUBLIC[root_of(name)] for prefix in prefixes)


def names_used(source: str) -> Iterator[str]:
    """Dotted names of libraries: imported, reached through attributes of what was imported, or written as text."""
    tree = ast.parse(source)
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound[alias.asname or root_of(alias.name)] = (
                    alias.name if alias.asname else root_of(alias.name)
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            bound |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    yield from imports(source)
    for node in ast.walk(tree):
        parts: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if parts and isinstance(inner, ast.Name) and inner.id in bound:
            yield ".".join([bound[inner.id], *reversed(parts)])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split(".")
            file = len(words) == 2 and not words[1].startswith("_")  # every project has a dvc.lock
            if words[0] not in PUBLIC or file or not all(word.isidentifier() for word in words):
                continue
            if is_module(node.value) or any(word.startswith("_") for word in words):  # else it is a run's tag
                yield node.value


def private_names(path: str, source: str) -> set[str]:
    """The private names that a module uses and may not."""
    if not re.search(rf"\b({'|'.join(PUBLIC)})\b", source):
        return set()  # most modules; reading their syntax takes seconds
    allowed = PRIVATE_HOMES.get(path, set())
    return {name for name in names_used(source) if is_private(name) and root_of(name) not in allowed}


def test_private_interfaces_are_used_in_one_file_each() -> None:
    found = {}
    for path in modules():
        name = path.relative_to(ROOT).as_posix()
        if names := private_names(name, path.read_text()):
            found[name] = names
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "from ray._private import worker",
        "from ray._raylet import Config",
        "from ray.core.generated import gcs_pb2",
        "from ray import core",
        "def f():\n    import ray.dashboard.utils",
        "import ray\nray.worker._global_node",
        "import ray\nray._private.worker.global_worker",
        "from ray import tune as t\nt.execution.tune_controller",
        "import mlflow\nmlflow.store.db.utils._logger",
        "from mlflow.utils import requirements_utils",
        "import logging\nlogging.getLogger('mlflow.store.db.utils')",
        "from dvc.repo import Repo",
        "from dvc_data.hashfile.tree import Tree",
        "from scmrepo.exceptions import SCMError",
        "import joblib\njoblib.externals.loky",
    ],
)
def test_a_private_interface_is_seen(source: str) -> None:
    assert private_names("pipelines/x.py", source)
    elsewhere = "dvc_record" if "ray" in source else "private_ray"
    (home,) = (path for path in PRIVATE_HOMES if elsewhere in path)
    assert private_names(home, source)


def test_a_public_interface_is_none() -> None:
    source = "import ray, mlflow\nfrom ray import tune\nray.init\ntune.Tuner\nmlflow.MlflowClient.__doc__\n"
    assert private_names("pipelines/x.py", f"{source}'mlflow.data.context', 'dvc.lock'") == set()


@pytest.mark.parametrize(("path", "libraries"), PRIVATE_HOMES.items(), ids=PRIVATE_HOMES)
def test_a_file_of_private_interfaces_has_a_contract_and_a_bound(path: str, libraries: set[str]) -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for library in libraries & {"ray", "mlflow", "dvc"}:
        assert re.search(rf'"{library}(\[[\w,]+\])?>=[\d.]+,<[\d.]+"', text), f"{library} has no upper bound"
    home = ROOT / path
    assert (ROOT / "tests" / home.relative_to(ROOT).parent / f"test_{home.name}").is_file()


# Rooms ---------------------------------------------------------------------------------------------------------


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows(layer: str = "pipelines") -> dict[str, set[str]]:
    """For each module of a layer, those of the layer that it imports, wherever in it."""
    known = {dotted(path): path for path in modules() if path.is_relative_to(ROOT / layer)}
    found = {}
    for name, path in known.items():
        used = imports(path.read_text()) & known.keys()
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


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in modules()}), ids=lambda p: str(p.relative_to(ROOT))
)
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    if folder != ROOT / "jmml" / "models":  # one file per method
        assert len(list(folder.glob("*.py"))) <= MOST_MODULES

"""The private parts of Ray, MLflow and DVC are used in one file each: see CONTRIBUTING.md, Dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.contracts.sources import (
    ROOT,
    is_hidden,
    modules,
    names_used,
    privates_of_others,
    root_of,
    shown,
    texts,
)

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
    if any(map(is_hidden, parts)):
        return True
    prefixes = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
    return any(is_module(prefix) and prefix not in PUBLIC[root_of(name)] for prefix in prefixes)


def libraries_named(source: str) -> Iterator[str]:
    """Dotted names of libraries that stand in a source as text, for instance those of loggers."""
    for text in texts(source):
        words = text.split(".")
        file = len(words) == 2 and not words[1].startswith("_")  # every project has a dvc.lock
        if words[0] not in PUBLIC or file or not all(word.isidentifier() for word in words):
            continue
        if is_module(text) or any(word.startswith("_") for word in words):  # else it is a run's tag
            yield text


def private_names(path: str, source: str) -> set[str]:
    """The private names that a module uses and may not."""
    if not re.search(rf"\b({'|'.join(PUBLIC)})\b", source):
        return set()  # most modules; reading their syntax takes seconds
    allowed = PRIVATE_HOMES.get(path, set())
    used = {*names_used(source), *libraries_named(source)}
    return {name for name in used if is_private(name) and root_of(name) not in allowed}


def test_private_interfaces_are_used_in_one_file_each() -> None:
    found = {}
    for path in modules():
        if names := private_names(shown(path), path.read_text()):
            found[shown(path)] = names
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
        "import ray\ngetattr(ray, '_private')",
        "import ray\ngetattr(getattr(ray, '_private'), 'worker')",
        "import importlib\nimportlib.import_module('ray._private')",
        "import importlib\nimportlib.import_module('ray')._private",
        "ray = __import__('ray')\nray._private",
        "from mlflow import MlflowClient\nMlflowClient()._tracking_client",
        "import mlflow\nclient = mlflow.MlflowClient('x')\nclient._tracking_client.store",
        "from mlflow import MlflowClient\ngetattr(MlflowClient(), '_tracking_client', None)",
    ],
)
def test_a_private_interface_is_seen(source: str) -> None:
    assert private_names("pipelines/x.py", source)
    elsewhere = "dvc_record" if "ray" in source else "private_ray"
    (home,) = (path for path in PRIVATE_HOMES if elsewhere in path)
    assert private_names(home, source)


@pytest.mark.parametrize(
    "path",
    [path for path in modules() if shown(path).split("/")[0] != "jmml" and shown(path) not in PRIVATE_HOMES],
    ids=shown,
)
def test_nothing_private_of_an_object_that_a_library_made_is_used(path: Path) -> None:
    """Whoever made it: what an object's class is, cannot be read in the source. Ray, MLflow and DVC are not in jmml."""
    assert privates_of_others(path.read_text()) == set()


@pytest.mark.parametrize(
    "source",
    [
        "def f(client):\n    return client._tracking_client",
        "class A:\n    def f(self):\n        return self._client._tracking_client.store",
        "def f(actor):\n    return getattr(actor, '_ray_actor_id')",
        "def f(actor):\n    return hasattr(actor, '_actor_id')",
        "def f(tuner):\n    setattr(tuner, '_local_tuner', None)",
        "def f(client):\n    client._tracking_client = None",
        "def f(clients):\n    return clients[0]()._tracking_client",
    ],
)
def test_something_private_of_an_object_is_seen(source: str) -> None:
    assert privates_of_others(source)


def test_what_is_private_of_an_object_of_ones_own_is_none() -> None:
    source = (
        "import os\nclass A:\n    _kept = 1\n    def __init__(self):\n        self._own = 2\n"
        "    def __eq__(self, other):\n        return self._own == other._own and other._kept and self._inherited\n"
        "    def f(self):\n        super()._g()\n        getattr(self, '_on')\n        os._exit(1)\n"
    )
    assert privates_of_others(source) == set()


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

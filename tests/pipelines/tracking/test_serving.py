from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import Model

import jmml
from jmml.errors import ModelError
from pipelines.tracking import serving
from tests import forked
from tests.pipelines.tracked import CLASSES, fitted, save_model

CHECKOUT = Path(jmml.__file__).parents[1]
SPEECH = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
EEG = np.random.default_rng(2).normal(size=(7, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The served form of a tiny JMML model that knows speech, EEG and both."""
    folder = tmp_path_factory.mktemp("served")
    weights = save_model(folder / "weights", "jmml")
    serving.save(folder / "model", weights, input_example={"speech": SPEECH[:2]}, model=Model())
    return folder / "model"


LOAD = """
import importlib.util, json, os, pathlib, sys

checkout, model, output = map(pathlib.Path, sys.argv[1:])
for name in [name for name in sys.modules if name.partition(".")[0] in ("cli", "jmml", "pipelines", "tests")]:
    del sys.modules[name]  # of a process that was forked
# An editable install of this checkout would hide a missing file: take it off every search path.
sys.meta_path[:] = [
    f for f in sys.meta_path if "editable" not in getattr(f, "__module__", type(f).__module__)
]
sys.path[:] = [p for p in sys.path if pathlib.Path(p or ".").resolve() != checkout]
# Nor may one that was forked look where models that its parent loaded keep theirs.
sys.path[:] = [p for p in sys.path if not pathlib.Path(p or ".", "jmml").is_dir()]
assert importlib.util.find_spec("jmml") is None, "this checkout can still be seen"

import mlflow.pyfunc
import numpy as np

loaded = mlflow.pyfunc.load_model(str(model))
inputs = np.load(output / "inputs.npz")
tables = {
    "speech": loaded.predict({"speech": inputs["speech"]}),
    "eeg": loaded.unwrap_python_model().predict_features(eeg=inputs["eeg"]),
    "both": loaded.unwrap_python_model().predict_features(speech=inputs["speech"], eeg=inputs["eeg"]),
}
for name, table in tables.items():
    table.to_json(output / f"{name}.json", orient="split", double_precision=15)
import jmml
loaded = [m for name, m in sys.modules.items() if name.split(".")[0] == "jmml"]
places = [str(pathlib.Path(m.__file__).resolve()) for m in loaded]
(output / "report.json").write_text(json.dumps({"places": places, "cwd": os.getcwd()}))
"""


@pytest.mark.parametrize("fresh", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_process_that_never_saw_this_code_predicts_the_same(
    served: Path, tmp_path: Path, fresh: bool
) -> None:
    """Forked, it has the libraries and forgets this code."""
    np.savez(tmp_path / "inputs.npz", speech=SPEECH, eeg=EEG)
    arguments = [str(CHECKOUT), str(served), str(tmp_path)]
    env = {"PATH": "/usr/bin:/bin", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "HOME": str(tmp_path)}
    out = tmp_path / "out"
    if fresh:
        with out.open("w") as said:
            command = [sys.executable, "-I", "-c", LOAD, *arguments]
            code = subprocess.run(command, cwd=tmp_path, env=env, stdout=said, stderr=said).returncode
    else:
        code = forked.script(LOAD, arguments, cwd=tmp_path, env=env, out=out, err=out).wait()
    assert code == 0, out.read_text()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["cwd"] == str(tmp_path)
    assert len(report["places"]) > 3
    assert all(place.startswith(str(served.resolve() / "code" / "jmml")) for place in report["places"])
    model = fitted("jmml")
    views = {
        "speech": {"X_speech": SPEECH.astype(float)},
        "eeg": {"X_eeg": EEG.astype(float)},
        "both": {"X_speech": SPEECH.astype(float), "X_eeg": EEG.astype(float)},
    }
    for name, arrays in views.items():
        table = json.loads((tmp_path / f"{name}.json").read_text())
        proba = model.predict_proba(**arrays)
        assert table["columns"] == ["emotion", *CLASSES]
        assert [row[0] for row in table["data"]] == [CLASSES[i] for i in proba.argmax(axis=1)]
        np.testing.assert_allclose([row[1:] for row in table["data"]], proba, rtol=0, atol=1e-14)


def test_a_model_that_needs_enrolment_says_so(tmp_path: Path) -> None:
    weights = save_model(tmp_path / "weights")
    path = weights / "recogniser.json"
    card = json.loads(path.read_text())
    card["context"]["normalisation"] = "per-group"
    path.write_text(json.dumps(card))
    serving.save(tmp_path / "model", weights, input_example={"speech": SPEECH}, model=Model())
    loaded = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    with pytest.raises(
        ModelError, match=r"must be normalised by the speaker's enrolment.*`jmml predict --enrol`"
    ) as caught:
        loaded.predict({"speech": SPEECH})
    assert "\n" not in str(caught.value)
    table = loaded.unwrap_python_model().predict_features(speech=SPEECH)
    expected = fitted().predict_proba(X_speech=SPEECH.astype(float))
    np.testing.assert_array_equal(table[list(CLASSES)], expected)


def test_the_signature_names_tensors_in_and_a_table_out(served: Path) -> None:
    info = mlflow.models.get_model_info(str(served))
    (speech,) = info.signature.inputs.inputs
    assert (speech.name, speech.type, speech.shape) == ("speech", np.dtype(np.float32), (-1, 5))
    assert info.signature.outputs.input_names() == ["emotion", *CLASSES]
    assert info.metadata["method"] == "jmml"


def test_the_input_example_is_kept_and_predicts(served: Path) -> None:
    loaded = mlflow.pyfunc.load_model(str(served))
    np.testing.assert_array_equal(loaded.input_example["speech"], SPEECH[:2])
    assert loaded.input_example["speech"].dtype == np.float32
    table = loaded.predict(loaded.input_example)
    assert len(table) == 2
    np.testing.assert_allclose(table[list(CLASSES)].sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 300])
def test_any_number_of_rows_is_taken(served: Path, rows: int) -> None:
    table = mlflow.pyfunc.load_model(str(served)).predict({"speech": np.zeros((rows, 5), np.float32)})
    assert len(table) == rows


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"speech": np.zeros((2, 6), np.float32)}, r"\(2, 6\) does not match expected shape \(-1, 5\)"),
        ({"speech": np.zeros((2, 5), np.int64)}, "dtype of input int64"),
        ({"eeg": np.zeros((2, 4), np.float32)}, r"missing inputs \['speech'\]"),
    ],
)
def test_input_of_another_form_is_refused(served: Path, wrong: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(MlflowException, match=message):
        mlflow.pyfunc.load_model(str(served)).predict(wrong)


def test_nothing_in_the_folder_is_a_pickle_or_a_platform_module(tmp_path: Path) -> None:
    weights, folder = save_model(tmp_path / "weights", "jmml"), tmp_path / "model"
    serving.save(folder, weights, input_example={"speech": SPEECH}, model=Model())
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".py", ".json", ".yaml", ".txt", ".safetensors", ".skops", ""}
    packages = {path.parts[1] for path in files if path.parts[0] == "code"}
    assert packages == {"jmml"}
    assert not any("pycache" in str(path) for path in files)


def executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below one, but for those that only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from executed(child)


def test_the_requirements_cover_every_import_of_the_served_code() -> None:
    distributions = {"pydantic_core": "pydantic", "sklearn": "scikit-learn", "yaml": "pyyaml"}
    seen: set[str] = set()
    outside: set[str] = set()
    waiting = ["jmml.recogniser", "pipelines.tracking.serving"]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        path = CHECKOUT.joinpath(*module.split("."))
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if not file.is_file():  # a name imported from a module, not a module
            continue
        for node in executed(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
            for name in names:
                if name.split(".")[0] == "jmml":
                    waiting += [".".join(name.split(".")[:i]) for i in range(1, name.count(".") + 2)]
                else:
                    outside.add(name.split(".")[0])
    needed = {
        distributions.get(name, name) for name in outside - set(sys.stdlib_module_names) - {"__future__"}
    }
    assert "jmml.models.edcc_cae" in seen
    assert needed <= set(serving.REQUIREMENTS)


def test_requirements_are_pinned_to_what_trained_the_model(served: Path) -> None:
    lines = (served / "requirements.txt").read_text().split()
    assert {line.split("==")[0] for line in lines} >= set(serving.REQUIREMENTS)
    assert f"torch=={version('torch')}" in lines


def test_the_weights_are_found_in_a_model_and_in_themselves(served: Path, tmp_path: Path) -> None:
    weights = serving.weights_folder(served)
    assert weights == served / "artifacts" / "recogniser"
    assert serving.weights_folder(weights) == weights
    assert serving.weights_folder(tmp_path) is None

"""Saved models come back to the same bits; foreign types do not load."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from jmml.config import ClassifierConfig
from jmml.errors import ModelError, UnsafeFileError
from jmml.models.classifier import make_classifier
from jmml.models.edcc_cae import EDCCCAE
from jmml.models.jec_ssl import JECSSL
from jmml.models.persistence import TRUSTED, load_classifier, load_state, save_classifier, save_state
from jmml.plugins import CLASSIFIERS

ARRAYS = {
    "weight": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3),
    "mean": np.array([1e-300, np.pi]),
    "column": np.arange(12, dtype=np.float64).reshape(3, 4)[:, 1],  # not contiguous
}
META = {"params": {"k": 3, "lr": 0.1}, "classes": ["calm", "fear"], "history": [{"loss": 1 / 3}]}


def features(n: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.array(["anger", "calm", "fear"])[np.arange(n) % 3]
    return rng.normal(size=(n, 10)) + (np.arange(n) % 3)[:, None], y


def test_arrays_and_description_return_exactly(tmp_path: Path) -> None:
    save_state(tmp_path / "model", "stage", ARRAYS, META)
    arrays, meta = load_state(tmp_path / "model", "stage")
    assert meta == META
    assert set(arrays) == set(ARRAYS)
    for name, value in ARRAYS.items():
        assert arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(arrays[name], value)
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["stage.json", "stage.safetensors"]


def test_halves_of_two_models_are_told_apart(tmp_path: Path) -> None:
    save_state(tmp_path, "a", ARRAYS, META)
    save_state(tmp_path, "b", {"weight": ARRAYS["weight"] + 1}, META)
    (tmp_path / "b.safetensors").replace(tmp_path / "a.safetensors")
    with pytest.raises(ModelError, match=r"a\.safetensors: does not hold the arrays"):
        load_state(tmp_path, "a")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "m.safetensors").unlink(), r"m\.safetensors: no such model file"),
        (lambda folder: (folder / "m.json").unlink(), r"m\.json: no such model file"),
        (lambda folder: (folder / "m.json").write_text("{"), r"m\.json: is not a model description"),
        (lambda folder: (folder / "m.json").write_text("[]"), "is not a model description"),
        (lambda folder: (folder / "m.safetensors").write_bytes(b"\x80\x04N."), "does not hold the arrays"),
    ],
)
def test_missing_and_damaged_states_are_named(tmp_path: Path, spoil, said: str) -> None:  # type: ignore[no-untyped-def]
    save_state(tmp_path, "m", ARRAYS, META)
    spoil(tmp_path)
    with pytest.raises(ModelError, match=said):
        load_state(tmp_path, "m")


def test_what_json_cannot_hold_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_state(tmp_path, "m", ARRAYS, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", CLASSIFIERS.names())
def test_every_classifier_returns_and_names_trusted_types_alone(name: str, tmp_path: Path) -> None:
    X, y = features()
    fitted = make_classifier(ClassifierConfig(name=name), seed=1).fit(X, y)
    path = tmp_path / "classifier.skops"
    save_classifier(path, fitted)
    assert set(skops.io.get_untrusted_types(file=path)) <= set(TRUSTED)
    np.testing.assert_array_equal(load_classifier(path).predict_proba(X), fitted.predict_proba(X))


def shout(X: np.ndarray) -> np.ndarray:
    raise AssertionError("this must never run")


def test_a_classifier_with_a_function_of_its_own_is_neither_saved_nor_loaded(tmp_path: Path) -> None:
    evil = Pipeline([("shout", FunctionTransformer(shout)), ("classifier", LogisticRegression())])
    path = tmp_path / "classifier.skops"
    with pytest.raises(UnsafeFileError, match=r"test_persistence\.shout"):
        save_classifier(path, evil)
    assert not path.exists()
    skops.io.dump(evil, path)
    with pytest.raises(UnsafeFileError, match=r"classifier\.skops: names types that are not trusted.*shout"):
        load_classifier(path)


@pytest.mark.parametrize("target", [("os", "system"), ("builtins", "eval"), ("subprocess", "Popen")])
def test_a_tampered_type_is_refused(target: tuple[str, str], tmp_path: Path) -> None:
    """The schema of a sound file is edited so that the scaler becomes something else."""
    X, y = features()
    sound, tampered = tmp_path / "sound.skops", tmp_path / "tampered.skops"
    save_classifier(sound, make_classifier(ClassifierConfig()).fit(X, y))
    with ZipFile(sound) as old, ZipFile(tampered, "w") as new:
        for item in old.namelist():
            content = old.read(item)
            if item == "schema.json":
                text = content.decode()
                assert '"StandardScaler"' in text
                module = json.loads(text)["content"]["content"]["steps"]["content"][0]["content"][1][
                    "__module__"
                ]
                text = text.replace('"StandardScaler"', json.dumps(target[1]), 1)
                text = text.replace(json.dumps(module), json.dumps(target[0]), 1)
                content = text.encode()
            new.writestr(item, content)
    assert ".".join(target) in skops.io.get_untrusted_types(file=tampered)
    with pytest.raises(UnsafeFileError, match=target[1]):
        load_classifier(tampered)


def test_damaged_missing_and_foreign_classifier_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "classifier.skops"
    with pytest.raises(ModelError, match="no such model file"):
        load_classifier(path)
    path.write_bytes(b"not a zip file")
    with pytest.raises(ModelError, match="is not a readable skops file"):
        load_classifier(path)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="is not a readable skops file"):
        load_classifier(path)
    with ZipFile(path, "w") as empty:
        empty.writestr("other.txt", "no schema")
    with pytest.raises(ModelError, match="is not a readable skops file"):
        load_classifier(path)
    skops.io.dump(LogisticRegression(), path)
    with pytest.raises(ModelError, match="holds a LogisticRegression"):
        load_classifier(path)


def test_a_chain_of_loaded_parts_predicts_the_same_bits(tmp_path: Path) -> None:
    """A process that never trained does so in ``tests/pipelines/tracking/test_serving.py``."""
    X, y = features()
    stage1 = JECSSL(p=4, r=4, hidden=8, epochs=2).fit(X, y)
    u = stage1.transform(X)
    stage2 = EDCCCAE(k=2, hidden=8, epochs=2).fit(
        u, u[::-1], y, y[::-1], pairs=lambda epoch: np.arange(90)[::-1]
    )
    z = np.concatenate([stage2.transform(u), stage2.imagine(u)], axis=1)
    head = make_classifier(ClassifierConfig()).fit(z, y)
    save_state(tmp_path, "stage1", *stage1.state())
    save_state(tmp_path, "stage2", *stage2.state())
    save_classifier(tmp_path / "head.skops", head)
    first = JECSSL.from_state(*load_state(tmp_path, "stage1"))
    second = EDCCCAE.from_state(*load_state(tmp_path, "stage2"))
    v = first.transform(X)
    codes = np.concatenate([second.transform(v), second.imagine(v)], axis=1)
    np.testing.assert_array_equal(
        load_classifier(tmp_path / "head.skops").predict_proba(codes), head.predict_proba(z)
    )
    np.testing.assert_array_equal(first.predict_proba(X), stage1.predict_proba(X))

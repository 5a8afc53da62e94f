"""The served form of a fitted model: an MLflow pyfunc that carries its own code and loads no pickle.

MLflow copies this file into the logged model and runs it when the model is loaded ("models from code"),
beside a copy of the ``jmml`` package. Loading needs the listed requirements and nothing of this checkout:

    model = mlflow.pyfunc.load_model("models:/jmml@champion")
    model.predict({"speech": X})        X float32 (n, D); table with `emotion` and one column per class

MLflow's signatures know no optional tensors, so EEG takes a second way, without the signature's checks:

    model.unwrap_python_model().predict_features(eeg=X_eeg)                     EEG alone
    model.unwrap_python_model().predict_features(speech=X, eeg=X_eeg)           both, row by row
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature, set_model
from mlflow.pyfunc import PythonModel, save_model  # type: ignore[attr-defined]
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

WEIGHTS = "recogniser"  # name of the artifact that holds what EmotionRecogniser.save wrote
EMOTION = "emotion"

# What `import jmml.recogniser` needs at inference, pinned to the versions that trained the model.
REQUIREMENTS = (
    "mlflow",
    "numpy",
    "pandas",
    "pydantic",
    "pyyaml",
    "safetensors",
    "scikit-learn",
    "scipy",
    "skops",
    "torch",
)


with warnings.catch_warnings(record=True):
    # MLflow asks for a type hint, which it would read as a schema; the signature below is the schema. It puts
    # the request in front of all filters, so only recording keeps it off the terminal.
    class SpeechEmotionModel(PythonModel):
        """Probabilities of the emotion classes from speech features, EEG features or both."""

        def load_context(self, context: Any) -> None:
            from jmml.recogniser import EmotionRecogniser

            self.recogniser = EmotionRecogniser.load(Path(context.artifacts[WEIGHTS]))

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            """Table of n rows, ``emotion`` and one probability per class, from ``{"speech": (n, D)}``.

            Refused when training normalised every speaker: a request does not say whose features it holds.
            """
            if self.recogniser.context.get("normalisation") == "per-group":
                from jmml.errors import ModelError

                raise ModelError(
                    "features must be normalised by the speaker's enrolment recordings",
                    where="a model trained with normalisation 'per-group'",
                    fix="use `jmml predict --enrol`, or predict_features on features that are already "
                    "normalised",
                )
            return self.predict_features(speech=np.asarray(model_input["speech"]))

        def predict_features(
            self, speech: np.ndarray | None = None, eeg: np.ndarray | None = None
        ) -> pd.DataFrame:
            """The same table from speech (n, D), EEG (n, D_e) or both row by row."""
            arrays = [None if x is None else np.asarray(x, dtype=np.float64) for x in (speech, eeg)]
            proba = self.recogniser.predict_proba(X_speech=arrays[0], X_eeg=arrays[1])
            table = pd.DataFrame(proba, columns=list(self.recogniser.classes))
            table.insert(0, EMOTION, [self.recogniser.classes[i] for i in proba.argmax(axis=1)])
            return table


def signature(classes: list[str], n_features: int) -> ModelSignature:
    """Input ``speech`` float32 (-1, D); output ``emotion`` and one double per class."""
    columns: list[ColSpec | TensorSpec] = [ColSpec(DataType.string, EMOTION)]
    columns += [ColSpec(DataType.double, name) for name in classes]
    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, n_features), "speech")]),
        outputs=Schema(columns),
    )


def save(folder: Path, model_dir: Path, *, input_example: Mapping[str, np.ndarray], model: Model) -> None:
    """Write the served form of the recogniser in ``model_dir`` to the new folder ``folder``.

    Parameters
    ----------
    input_example : at least ``{"speech": array (n, D)}``; a few rows, kept as float32.
    model : MLflow's description to complete; it holds the run and model identifiers.
    """
    import jmml

    card = json.loads((model_dir / "recogniser.json").read_text(encoding="utf-8"))
    speech = np.asarray(input_example["speech"], dtype=np.float32)
    with tempfile.TemporaryDirectory() as temporary:
        weights = Path(temporary) / WEIGHTS  # MLflow keeps the folder's own name
        shutil.copytree(model_dir, weights)
        save_model(
            path=str(folder),
            python_model=str(Path(__file__)),
            artifacts={WEIGHTS: str(weights)},
            code_paths=[str(Path(jmml.__file__).parent)],
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
            signature=signature(card["classes"], speech.shape[1]),
            input_example={"speech": speech},
            metadata={"method": card["method"], "classes": card["classes"], **_origin(card)},
            mlflow_model=model,
        )


def weights_folder(folder: Path) -> Path | None:
    """Where the recogniser lies in ``folder``: itself, or inside a logged model; ``None`` when neither."""
    candidates = (folder, folder / "artifacts" / WEIGHTS)
    return next((found for found in candidates if (found / "recogniser.json").is_file()), None)


def _origin(card: dict[str, Any]) -> dict[str, Any]:
    keys = ("label_space", "normalisation", "speech_corpus", "eeg_corpus", "outer_fold", "split_digest")
    return {key: card["context"][key] for key in keys if key in card["context"]}


if not __package__:  # run by MLflow as a model's code, not imported as a part of `pipelines`
    set_model(SpeechEmotionModel())

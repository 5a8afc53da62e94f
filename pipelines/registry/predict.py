"""From recordings to emotions with a registered model, from speech alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jmml.config import FeaturesConfig, SpeechFeatureConfig, validate
from jmml.data.corpora import Recording
from jmml.data.features.audio import load_audio
from jmml.data.features.blocks import Recorded, is_long
from jmml.data.features.extract import described, extract_one, same_digests
from jmml.data.features.normalise import Enrolment
from jmml.data.features.sound import opened
from jmml.data.labels import MEANINGS
from jmml.errors import ModelError, RecordingError
from jmml.recogniser import EmotionRecogniser
from pipelines.registry.promotion import resolve
from pipelines.workspace.project import Project

AUDIO_SUFFIXES = (".wav", ".flac", ".mp3", ".ogg")


@dataclass(frozen=True)
class Prediction:
    """One recording: its most probable emotion (in words, ``meaning``) and all class probabilities."""

    file: str
    emotion: str
    meaning: str
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Predictions:
    """Predictions of several recordings with the model that made them."""

    model: str
    method: str
    label_space: str
    normalisation: str
    predictions: list[Prediction]

    def as_dict(self) -> dict[str, object]:
        return {
            "model": self.model,
            "method": self.method,
            "label_space": self.label_space,
            "normalisation": self.normalisation,
            "predictions": [vars(item) for item in self.predictions],
        }


def predict_files(
    project: Project, files: Sequence[Path], model_uri: str, *, enrol: Sequence[Path] = ()
) -> Predictions:
    """Recognise the emotion of recordings; speech alone goes in.

    Parameters
    ----------
    model_uri : ``models:/jmml@champion``, ``models:/jmml/3`` or the folder of a saved model.
    enrol : recordings (or folders of them) of the same speaker, whose mean and spread normalise ``files``;
        needed exactly when the model was trained with per-speaker normalisation.

    Raises
    ------
    RecordingError : one line that lists every file that cannot be used; nothing is predicted then.
    ModelError, RegistryError : the model cannot be used on these files.
    """
    missing = [str(path) for path in (*files, *enrol) if not path.exists()]
    if missing:
        raise RecordingError(f"no such file: {', '.join(missing)}", fix="check the path")
    resolved = resolve(project, model_uri)
    model = EmotionRecogniser.load(resolved.folder)
    cfg = _speech_settings(model, model_uri)
    per_group = model.context.get("normalisation") == "per-group"
    if per_group and not enrol:
        raise ModelError(
            "was trained with per-speaker normalisation and needs other recordings of the same speaker",
            where=model_uri,
            fix="give at least two with --enrol",
        )
    if enrol and not per_group:
        raise ModelError("takes no enrolment recordings", where=model_uri, fix="leave --enrol out")
    rows = _features(_expand(files), cfg)
    X = np.concatenate(rows)
    if per_group:
        X = Enrolment.fit(np.concatenate(_features(_expand(enrol), cfg)), where="--enrol").apply(X)
    # A file in segments has the mean of what they give.
    ends = np.cumsum([len(own) for own in rows])
    parts = np.split(model.predict_proba(X_speech=X), ends[:-1])
    proba = np.stack([part.mean(axis=0) if len(part) > 1 else part[0] for part in parts])
    predictions = [
        Prediction(
            file=str(path),
            emotion=(emotion := model.classes[int(row.argmax())]),
            meaning=MEANINGS.get(emotion, emotion),
            probabilities={name: float(p) for name, p in zip(model.classes, row, strict=True)},
        )
        for path, row in zip(_expand(files), proba, strict=True)
    ]
    return Predictions(
        model=resolved.label,
        method=model.method,
        label_space=str(model.context.get("label_space", "unknown")),
        normalisation="per-group" if per_group else "none",
        predictions=predictions,
    )


def _speech_settings(model: EmotionRecogniser, where: str) -> FeaturesConfig:
    """The extractor settings of a model, after checking that this version computes the same features."""
    recorded = model.context.get("speech_extractor")
    if recorded == "external":
        raise ModelError(
            "was trained on ready-made features, which cannot be computed from a recording", where=where
        )
    speech = validate(SpeechFeatureConfig, model.context.get("speech_features"), where=where)
    cfg = FeaturesConfig(speech=speech)
    names, _ = described("speech", ("mono",), cfg)
    if recorded not in same_digests("speech", cfg) or model.feature_names("speech") != names:
        raise ModelError(
            "was trained on features of another extractor version",
            where=where,
            fix="retrain it, or use the version of jmml that made it",
        )
    return cfg


def _expand(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in AUDIO_SUFFIXES)
            if not inside:
                raise RecordingError(
                    "no recordings in this folder", where=path, expected=", ".join(AUDIO_SUFFIXES)
                )
            files += inside
        else:
            files.append(path)
    return files


def _features(paths: Sequence[Path], cfg: FeaturesConfig) -> list[np.ndarray]:
    """Features (rows, D) of each file, which is read in blocks if it is long."""
    rows, problems = [], []
    for path in paths:
        try:
            rows.append(extract_one(_recording(path), "speech", cfg, str(path)).X)
        except RecordingError as error:
            problems.append(str(error))
    if problems:
        raise RecordingError.of(problems)
    return rows


def _recording(path: Path) -> Recording | Recorded:
    with opened(path) as sound:
        if sound.frames is None or is_long(sound.frames / sound.sample_rate_hz):
            return Recorded(path, path)
    signal, rate = load_audio(path)
    return Recording(signal[None], rate, ("mono",))

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from jmml.config import SpeechFeatureConfig
from jmml.data.features import speech
from jmml.errors import ModelError, RecordingError, RegistryError
from jmml.experiment import fit_fold
from jmml.recogniser import EmotionRecogniser
from jmml.task import load_task, make_split
from pipelines.registry.predict import predict_files
from pipelines.workspace.project import Project
from tests.cli.console import run
from tests.jmml.tasks import gaussian_table, small_method, small_params
from tests.pipelines.tracked import make_project

SETTINGS = SpeechFeatureConfig()
NAMES = speech.feature_names(SETTINGS)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    made = make_project(tmp_path_factory.mktemp("predict") / "project")
    made.params_path.write_text(json.dumps(small_params().model_dump(mode="json")))
    return made


@cache
def recogniser() -> EmotionRecogniser:
    """Fitted on noise with the names of real features."""
    table = gaussian_table("speech", dim=len(NAMES))
    made_with = SETTINGS.model_dump(mode="json")
    table = replace(table, names=NAMES, extractor=speech.extractor_digest(SETTINGS), settings=made_with)
    params = small_params(task={"speech": "lab-speech", "eeg": None, "label_space": "quadrants"})
    task = load_task(params, table, None)
    split = make_split(task, groups_per_fold=2, seed=0)
    return fit_fold(task, split, 0, "jec-ssl", small_method(), seed=0)


def saved(folder: Path, **context: str) -> str:
    """The model, as one of the given context; its folder as text."""
    model = recogniser()
    assert context.keys() <= model.context.keys()
    replace(model, context=model.context | context).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return saved(tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture(scope="module")
def normalised_model(tmp_path_factory) -> str:
    return saved(tmp_path_factory.mktemp("models") / "normalised", normalisation="per-group")


def tone(
    path: Path, *, rate: int = 16000, channels: int = 1, f0: float = 150.0, seconds: float = 0.8
) -> Path:
    t = np.arange(int(seconds * rate)) / rate
    signal = 0.3 * sum(np.sin(2 * np.pi * f0 * k * t) / k for k in range(1, 8)) * np.hanning(len(t))
    soundfile.write(path, np.tile(signal[:, None], channels), rate)
    return path


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_every_format_gives_probabilities(project, model, tmp_path, name):
    (prediction,) = predict_files(project, [tone(tmp_path / name)], model).predictions
    assert set(prediction.probabilities) == {"HVHA", "HVLA", "LVHA", "LVLA"}
    assert sum(prediction.probabilities.values()) == pytest.approx(1)
    assert prediction.emotion == max(prediction.probabilities, key=prediction.probabilities.__getitem__)
    assert prediction.meaning in {
        "positive, aroused",
        "positive, calm",
        "negative, aroused",
        "negative, calm",
    }


def test_stereo_is_downmixed_and_other_rates_are_read(project, model, tmp_path):
    mono, stereo, fast = (
        tone(tmp_path / "mono.wav"),
        tone(tmp_path / "stereo.wav", channels=2),
        tone(tmp_path / "fast.wav", rate=44100),
    )
    one, two, three = predict_files(project, [mono, stereo, fast], model).predictions
    assert two.probabilities == pytest.approx(one.probabilities)
    assert sum(three.probabilities.values()) == pytest.approx(1)


def test_a_file_is_predicted_alike_alone_and_among_others(project, model, tmp_path):
    files = [tone(tmp_path / f"{i}.wav", f0=100 + 40 * i) for i in range(4)]
    together = predict_files(project, files, model).predictions
    for path, prediction in zip(files, together, strict=True):
        (alone,) = predict_files(project, [path], model).predictions
        assert alone.probabilities == pytest.approx(prediction.probabilities, abs=1e-9)


def test_a_folder_stands_for_its_recordings(project, model, tmp_path):
    for name in ("b.wav", "a.flac"):
        tone(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no recording")
    found = [Path(p.file).name for p in predict_files(project, [tmp_path], model).predictions]
    assert found == ["a.flac", "b.wav"]


def test_every_unusable_file_is_named_and_nothing_is_predicted(project, model, tmp_path):
    good, text, silent = tone(tmp_path / "good.wav"), tmp_path / "text.wav", tmp_path / "silent.wav"
    text.write_text("this is no audio")
    soundfile.write(silent, np.zeros(16000), 16000)
    with pytest.raises(RecordingError) as caught:
        predict_files(project, [good, text, silent], model)
    assert "text.wav" in str(caught.value)
    assert "silent.wav" in str(caught.value)
    assert "good.wav" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_are_named_before_the_model_is_looked_for(project, tmp_path):
    with pytest.raises(RecordingError, match=r"no such file: .*a\.wav"):
        predict_files(project, [tmp_path / "a.wav"], "models:/jmml@champion")


def test_no_champion_yet(project, tmp_path):
    with pytest.raises(RegistryError, match="jmml model promote"):
        predict_files(project, [tone(tmp_path / "a.wav")], "models:/jmml@champion")


def test_per_speaker_normalisation_asks_for_enrolment(project, normalised_model, model, tmp_path):
    file = tone(tmp_path / "a.wav")
    enrol = [tone(tmp_path / f"e{i}.wav", f0=120 + 30 * i) for i in range(3)]
    with pytest.raises(ModelError, match="--enrol"):
        predict_files(project, [file], normalised_model)
    answer = predict_files(project, [file], normalised_model, enrol=enrol)
    assert answer.normalisation == "per-group"
    with pytest.raises(ModelError, match="takes no enrolment"):
        predict_files(project, [file], model, enrol=enrol)


def test_features_of_another_extractor_are_refused(project, tmp_path):
    file = tone(tmp_path / "a.wav")
    with pytest.raises(ModelError, match="another extractor version"):
        predict_files(project, [file], saved(tmp_path / "old", speech_extractor="0123456789abcdef"))
    with pytest.raises(ModelError, match="ready-made features"):
        predict_files(project, [file], saved(tmp_path / "table", speech_extractor="external"))


def test_the_command_prints_json_and_one_line_per_error(project, model, tmp_path, capfd, monkeypatch):
    monkeypatch.setenv("JMML_PROJECT", str(project.root))
    file = tone(tmp_path / "a.wav")
    code, out, err = run(capfd, "predict", str(file), "--model", model, "--json")
    assert code == 0, err
    assert json.loads(out)["predictions"][0]["file"] == str(file)
    text = tmp_path / "x.wav"
    text.write_text("no audio")
    code, out, err = run(capfd, "predict", str(text), "--model", model)
    assert (code, out, err.count("\n")) == (4, "", 1)


def test_a_name_that_is_not_utf8_is_predicted_and_shown(project, model, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(project.root)
    named = tone(tmp_path / "a.wav").rename(tmp_path / os.fsdecode(b"b\xff.wav"))
    code, out, err = run(capfd, "predict", str(named), "--model", model)
    assert (code, err) == (0, "")
    assert "b\N{REPLACEMENT CHARACTER}.wav" in out
    code, out, err = run(capfd, "predict", str(named), "--model", model, "--json")
    assert json.loads(out)["predictions"][0]["file"] == str(named)

"""The names that `import jmml` offers, and a notebook's way from a folder to a comparison."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import jmml
from jmml.config import EEGFeatureConfig
from jmml.data.table import FeatureTable
from jmml.errors import (
    ConfigError,
    CorpusError,
    DataError,
    LabelError,
    ModelError,
    ProtocolError,
    RecordingError,
)
from jmml.experiment import FoldResult
from jmml.recogniser import EmotionRecogniser
from jmml.task import load_task
from tests.jmml.data.corpora import make
from tests.jmml.tasks import gaussian_table, small_method, small_params

SHORT = jmml.FeaturesConfig(eeg=EEGFeatureConfig(window_s=1.0))  # the trials of `make` last two seconds
PACKAGES = ("jmml", "jmml.models")


def seen_by_type_checkers(module: str) -> dict[str, str]:
    """Public name -> the module it is imported from under TYPE_CHECKING."""
    tree = ast.parse(Path(str(import_module(module).__file__)).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    assert ast.unparse(block.test) == "TYPE_CHECKING"
    return {
        alias.name: str(node.module)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there_and_is_what_type_checkers_take_it_for(package: str) -> None:
    module, seen = import_module(package), seen_by_type_checkers(package)
    assert sorted(module.__all__) == sorted(seen)
    assert set(module.__all__) <= set(dir(module))
    for name in module.__all__:
        assert getattr(module, name) is getattr(import_module(seen[name]), name)


@pytest.mark.parametrize("package", PACKAGES)
def test_another_name_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        import_module(package).nothing  # noqa: B018


def test_import_is_light() -> None:
    heavy = {"torch", "numpy", "pandas", "sklearn", "scipy", "librosa", "mne", "pydantic"}
    program = f"import sys, jmml, jmml.models; assert not {heavy} & set(sys.modules), sys.modules.keys()"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_version_has_one_source() -> None:
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "jmml._version.__version__"}
    assert settings["project"]["dynamic"] == ["version"]
    assert jmml.__version__.count(".") == 2


# From a folder ---------------------------------------------------------------------------------------------------


def test_a_corpus_is_recognised_listed_and_read(tmp_path: Path) -> None:
    root = make.make_ravdess(tmp_path)
    corpus = jmml.load_corpus(str(root))
    assert (corpus.adapter, corpus.name, corpus.modality, len(corpus)) == ("ravdess", "ravdess", "speech", 4)
    assert repr(corpus) == "<corpus 'ravdess': 4 speech recordings of 2 speakers, read by 'ravdess'>"
    rows = list(corpus.recordings())
    assert [row.group for row, _ in rows] == corpus.manifest.frame["group"].tolist()
    assert all(recording.signal.shape[0] == 1 for _, recording in rows)


def test_what_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such file or folder"):
        jmml.load_corpus(tmp_path / "absent")
    with pytest.raises(CorpusError, match=r"no adapter recognises these files.*nemo, .*Name the adapter"):
        jmml.load_corpus(tmp_path)
    with pytest.raises(CorpusError, match="did you mean 'ravdess'"):
        jmml.load_corpus(tmp_path, "ravdes")
    table = make.make_table(tmp_path)
    with pytest.raises(CorpusError, match=r'does not say what it holds.*Give modality="speech" or "eeg"'):
        jmml.load_corpus(table)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    root = make.make_ravdess(tmp_path)
    make.truncate(root / "Actor_01/03-01-05-01-02-01-01.wav", 0)
    with pytest.raises(RecordingError):
        jmml.load_corpus(root)
    with pytest.warns(
        UserWarning, match=r"ravdess: 1 recordings left out: .*03-01-05-01-02-01-01.wav.*empty"
    ):
        assert len(jmml.load_corpus(root, skip_bad=True)) == 3


def test_a_silent_recording_is_found_when_features_are_extracted(tmp_path: Path) -> None:
    root = make.make_deap(tmp_path)
    arrays = make.deap_arrays(trials=2)
    arrays["data"][0] = 0.0
    make.write_deap(root / "s01.dat", arrays)
    corpus = jmml.load_corpus(root)
    with pytest.raises(RecordingError, match=r"1 of 4 recordings cannot be used: s01.dat: trial 1"):
        jmml.extract_features(corpus, SHORT, progress=False)
    with pytest.warns(UserWarning, match=r"deap: 1 recordings left out: s01.dat: trial 1"):
        table = jmml.extract_features(corpus, SHORT, skip_bad=True, progress=False)
    assert table.adapter == "deap"
    assert table.index["recording"].nunique() == 3


def test_the_adapter_is_kept_with_the_table_where_it_is_known(tmp_path: Path) -> None:
    known = jmml.extract_features(jmml.load_corpus(make.make_table(tmp_path), modality="speech"))
    known.save(tmp_path / "known.parquet")
    assert FeatureTable.load(tmp_path / "known.parquet").adapter == "table"
    plain = gaussian_table("speech")
    plain.save(tmp_path / "plain.parquet")
    assert FeatureTable.load(tmp_path / "plain.parquet").adapter == ""


# A task ----------------------------------------------------------------------------------------------------------


def test_native_labels_find_their_classes_by_the_adapter(tmp_path: Path) -> None:
    index = gaussian_table("speech", groups=2, per_class=1).index
    german = index.assign(label=["F", "N", "W", "T"] * 2)
    table = FeatureTable("berlin", "speech", german, np.zeros((8, 2), np.float32), ("a", "b"), ("1", "1"))
    with pytest.raises(LabelError, match="'F'"):
        jmml.make_task(table)
    known = FeatureTable(**{**vars(table), "adapter": "emodb"})
    assert jmml.make_task(known).classes == ("HVHA", "HVLA", "LVHA", "LVLA")
    moved = jmml.make_task(known, labels={"berlin": {"N": "LVLA"}})
    assert moved.classes == ("HVHA", "LVHA", "LVLA")


def test_tables_that_make_no_task_are_refused() -> None:
    speech, eeg = gaussian_table("speech"), gaussian_table("eeg")
    with pytest.raises(ProtocolError, match="both named 'x'"):
        jmml.make_task(gaussian_table("speech", corpus="x"), gaussian_table("eeg", corpus="x"))
    with pytest.raises(ProtocolError, match="lab-eeg: holds eeg; expected speech"):
        jmml.make_task(eeg, speech)
    with pytest.raises(ProtocolError, match="labels of 'other'; expected those of lab-speech or lab-eeg"):
        jmml.make_task(speech, eeg, labels={"other": {}})


def test_extracted_features_keep_their_settings(tmp_path: Path) -> None:
    table = jmml.extract_features(jmml.load_corpus(make.make_deap(tmp_path)), SHORT, progress=False)
    task = jmml.make_task(gaussian_table("speech"), table, label_space="binary-arousal")
    assert task.context["eeg_features"]["window_s"] == 1.0  # type: ignore[index]


# Results ---------------------------------------------------------------------------------------------------------


def test_a_notebook_compares_methods_on_speakers_left_out() -> None:
    task = jmml.make_task(gaussian_table("speech"), gaussian_table("eeg"))
    split = jmml.make_split(task, groups_per_fold=3)
    memo: dict[str, jmml.JECSSL] = {}
    results = [
        jmml.run_fold(task, split, fold, method, small_method(), memo=memo)
        for method in ("raw", "jec-ssl")
        for fold in range(len(split))
    ]
    assert all(isinstance(result, FoldResult) for result in results)
    table = jmml.compare(results, reference_method="raw", bootstrap=200)
    assert table["method"].tolist() == ["raw", "jec-ssl"]
    assert (table["ci_low"] < table["uar"]).all()
    frame = pd.concat([result.evidence for result in results], ignore_index=True)
    pd.testing.assert_frame_equal(jmml.compare(frame, reference_method="raw", bootstrap=200), table)


def test_results_that_cannot_be_compared_say_why() -> None:
    with pytest.raises(ProtocolError, match="no results to compare"):
        jmml.compare([])
    task = jmml.make_task(gaussian_table("speech"))
    split = jmml.make_split(task, groups_per_fold=3)
    once = jmml.run_fold(task, split, 0, "raw")
    with pytest.raises(DataError, match="occurs twice"):
        jmml.compare([once, once])
    with pytest.raises(ProtocolError, match="unknown method 'jmmml'; did you mean 'jmml'"):
        jmml.run_fold(task, split, 0, "jmmml")


# Natural mistakes ----------------------------------------------------------------------------------------------


def test_a_path_or_an_array_in_place_of_what_comes_before_it_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"str is not a corpus; expected what load_corpus returned"):
        jmml.extract_features(str(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(
        DataError, match=r"ndarray is not a feature table; expected what extract_features returned"
    ):
        jmml.make_task(np.zeros((3, 2)))  # type: ignore[arg-type]


def test_settings_may_be_a_dictionary() -> None:
    task = jmml.make_task(gaussian_table("speech"), gaussian_table("eeg"))
    split = jmml.make_split(task)
    plain = small_method().model_dump(mode="json")
    one, other = (jmml.run_fold(task, split, 0, "raw", config) for config in (plain, small_method()))
    assert one.metrics == other.metrics
    with pytest.raises(ConfigError, match=r"stage2\.kk: unknown key; did you mean 'k'"):
        jmml.run_fold(task, split, 0, "raw", {"stage2": {"kk": 3}})


def test_models_and_tables_are_written_to_texts_and_replace_nothing_else(tmp_path: Path) -> None:
    task = jmml.make_task(gaussian_table("speech"), gaussian_table("eeg"))
    recogniser = jmml.run_fold(task, jmml.make_split(task), 0, "raw", small_method()).recogniser
    mine = tmp_path / "mine"
    mine.mkdir()
    recogniser.save(str(mine))
    recogniser.save(str(mine))  # a model takes the place of a model
    assert EmotionRecogniser.load(str(mine)).method == "raw"
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("three years")
    for place in (other, other / "thesis.txt"):
        with pytest.raises(ModelError, match="holds something else than a model"):
            recogniser.save(place)
    assert (other / "thesis.txt").read_text() == "three years"
    gaussian_table("speech").save(str(tmp_path / "t.parquet"))
    assert FeatureTable.load(str(tmp_path / "t.parquet")).digest == gaussian_table("speech").digest
    with pytest.raises(DataError, match="is a folder; expected the name of a file"):
        gaussian_table("speech").save(tmp_path)


def test_a_setting_that_only_the_features_have_is_named(tmp_path: Path) -> None:
    params = small_params()
    table = replace(gaussian_table("speech"), extractor="jmml", settings={
        **params.features.speech.model_dump(mode="json"), "extractor": "energy",
    })  # fmt: skip
    with pytest.raises(DataError, match=r"features were extracted with another extractor\."):
        load_task(params, table, gaussian_table("eeg"))

"""Every estimator that ``jmml.models`` offers is saved and loaded to the same bits, without pickle."""

from __future__ import annotations

import numpy as np
import pytest

import jmml.models
from jmml.errors import ModelError
from jmml.models import EDCCCAE, JECSSL, Autoencoder
from jmml.models.one_view import SpeechOnly

RNG = np.random.default_rng(0)
SPEECH, EEG = RNG.normal(size=(120, 6)), RNG.normal(size=(120, 5))
Y = np.array(["calm", "fear", "joy"])[np.arange(120) % 3]
NO_ESTIMATORS = {"SpeechOnly", "TwoView", "canonical_correlations", "correlation_loss"}
SMALL: dict[str, object] = {"hidden": 8, "epochs": 2}


def fitted(name: str):  # type: ignore[no-untyped-def]
    kind = getattr(jmml.models, name)
    if kind is JECSSL:
        return JECSSL(p=2, r=3, **SMALL).fit(SPEECH, Y)
    if issubclass(kind, SpeechOnly):
        return kind(k=2, **SMALL).fit(SPEECH, Y)
    options = {"k": 2} if name == "LinearCCA" else {"k": 2, **SMALL}
    return kind(**options).fit(SPEECH, EEG, Y, Y)


@pytest.mark.parametrize("name", sorted(set(jmml.models.__all__) - NO_ESTIMATORS))
def test_a_loaded_estimator_transforms_to_the_same_bits(name, tmp_path) -> None:
    model = fitted(name)
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model")
    assert loaded.transform(SPEECH).tobytes() == model.transform(SPEECH).tobytes()
    assert loaded.get_params() == model.get_params()
    assert loaded.history_ == model.history_
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == ["model.json", "model.safetensors"]


def test_a_width_left_to_the_data_is_kept(tmp_path) -> None:
    model = EDCCCAE(**SMALL).fit(SPEECH, EEG, Y, Y)
    assert (model.k, model.k_) == (None, 5)
    model.save(tmp_path)
    loaded = EDCCCAE.load(tmp_path)
    assert loaded.transform(SPEECH).tobytes() == model.transform(SPEECH).tobytes()
    assert EDCCCAE(**SMALL).fit(SPEECH[:30], EEG[:30], pairs=np.arange(30)).k_ == 3  # 8 k pairs at least
    assert JECSSL(**SMALL).fit(SPEECH, Y).transform(SPEECH).shape == (120, 6)


def test_a_folder_holds_one_kind_of_estimator(tmp_path) -> None:
    fitted("EDCCCAE").save(tmp_path)
    with pytest.raises(ModelError, match="holds a EDCCCAE; expected Autoencoder"):
        Autoencoder.load(tmp_path)
    with pytest.raises(ModelError, match="no such model file"):
        EDCCCAE.load(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match="not been fitted"):
        EDCCCAE().save(tmp_path / "unfitted")
    assert not (tmp_path / "unfitted").exists()


def test_settings_that_a_search_drew_are_saved(tmp_path) -> None:
    model = Autoencoder(k=np.int64(2), hidden=8, epochs=2, lr=np.float64(1e-3)).fit(SPEECH)
    model.save(tmp_path)
    assert Autoencoder.load(tmp_path).get_params()["lr"] == 1e-3

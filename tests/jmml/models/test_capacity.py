"""Counted parameters are those of real models, and the matched encoder has as many."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from jmml.config import MethodConfig, Stage1Config, Stage2Config
from jmml.errors import ModelError
from jmml.models.capacity import (
    TOLERANCE,
    matched_hidden,
    parameters_of_encoder,
    parameters_of_jmml,
    parameters_of_stage1,
)
from jmml.models.edcc_cae import EDCCCAE
from jmml.models.jec_ssl import JECSSL
from jmml.models.speech_only import Autoencoder


def config(h1: int, p: int, r: int, h2: int, k: int) -> MethodConfig:
    return MethodConfig(
        stage1=Stage1Config(hidden=h1, p=p, r=r), stage2=Stage2Config(hidden=h2, k=k, lam_r=0.0)
    )


def test_the_count_is_that_of_fitted_models() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(90, 11)), np.arange(90) % 3
    chosen = config(h1=7, p=2, r=5, h2=6, k=3)
    one = JECSSL(p=2, r=5, hidden=7, epochs=1).fit(X, y)
    two = EDCCCAE(k=3, hidden=6, epochs=1).fit(one.transform(X), one.transform(X))
    assert one.pls_ is not None
    branches = sum(getattr(one.network_, name).numel() for name in ("w1", "b1", "w2", "b2"))
    assert parameters_of_stage1(11, 3, chosen.stage1) == branches + one.pls_.rotation.size
    assert parameters_of_jmml(11, 3, chosen) == branches + one.pls_.rotation.size + two.n_parameters()
    assert parameters_of_encoder(11, 9, 3) == Autoencoder(k=3, hidden=9, epochs=1).fit(X).n_parameters()


@pytest.mark.parametrize("C", [2, 4, 6, 8])
@pytest.mark.parametrize("D", [20, 88, 297, 1000])
def test_the_matched_encoder_has_as_many_parameters_within_five_per_cent(D: int, C: int) -> None:
    for h1, p, (r, k), h2 in product((8, 64, 256), (2, 16), ((4, 2), (8, 6), (20, 20)), (16, 64)):
        chosen = config(h1, p, r, h2, k)
        wanted = parameters_of_jmml(D, C, chosen)
        hidden = matched_hidden(D, C, chosen)
        found = parameters_of_encoder(D, hidden, k)
        assert abs(found - wanted) <= TOLERANCE * wanted
        # No other width comes closer.
        for other in (hidden - 1, hidden + 1):
            assert abs(parameters_of_encoder(D, other, k) - wanted) >= abs(found - wanted)


def test_a_method_too_small_to_match_is_refused() -> None:
    tiny = config(h1=1, p=1, r=1, h2=40, k=1)
    assert parameters_of_jmml(90, 2, tiny) == 3 * (90 + 1 + 1 + 1 + 1) + (40 + 40 + 40 + 1)
    with pytest.raises(
        ModelError, match=r"encoder 90 -> 4 -> 1 has 369 parameters and JMML has 403.*at most 5 %"
    ):
        matched_hidden(90, 2, tiny)

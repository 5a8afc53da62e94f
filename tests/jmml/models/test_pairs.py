from __future__ import annotations

import numpy as np
import pytest
import torch

from jmml.errors import ModelError
from jmml.models.correlation import canonical_correlations
from jmml.models.encoders import TwoEncoders
from jmml.models.pairs import check_sizes, mean_correlations, partners

N, K = 40, 3


@pytest.fixture
def net() -> TwoEncoders:
    made = TwoEncoders(5, 4, 6, K, torch.Generator().manual_seed(0))
    return made.eval()


def views(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Speech and EEG rows that share their first columns."""
    draw = torch.Generator().manual_seed(seed)
    speech, eeg = torch.randn(N, 5, generator=draw), torch.randn(N, 4, generator=draw)
    eeg[:, :3] += 2 * speech[:, :3]
    return speech, eeg


@pytest.mark.parametrize("held_out", [False, True])
@torch.no_grad()
def test_correlations_of_the_pairs_and_of_the_shuffled_ones_alone(net: TwoEncoders, held_out: bool) -> None:
    train, probe = views(1), views(2)
    shuffles = [torch.randperm(N, generator=torch.Generator().manual_seed(seed)) for seed in (3, 4)]
    found = mean_correlations(net, train, probe if held_out else None, shuffles)

    def rho(speech: torch.Tensor, eeg: torch.Tensor) -> float:
        return float(canonical_correlations(net.f_s(speech), net.f_e(eeg)).mean())

    last = probe if held_out else train
    shuffled = np.mean([rho(last[0], last[1][order]) for order in shuffles])
    expected = {"rho_train": rho(*train), "rho_permuted": shuffled}
    if held_out:
        expected["rho_held_out"] = rho(*probe)
    assert found == pytest.approx(expected, abs=1e-6)
    assert found["rho_permuted"] < found["rho_train"]


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        (np.zeros(3, int), "shape"),
        (np.zeros(4), "type float64"),
        (np.array([0, 1, 2, 5]), "names EEG rows 0 to 5"),
        (np.array([0, -1, 2, 3]), "names EEG rows -1 to 3"),
    ],
)
def test_pairs_that_name_no_row_are_refused(pairs: np.ndarray, text: str) -> None:
    with pytest.raises(ModelError, match=text):
        partners(pairs, 1, 4, 5, where="model")


def test_partners_are_asked_for_anew_in_every_epoch() -> None:
    rows = partners(lambda epoch: np.full(4, epoch), 2, 4, 5, where="model")
    assert rows.tolist() == [2, 2, 2, 2]
    assert partners(None, 2, 4, 5, where="model").tolist() == [0, 1, 2, 3]


def test_eight_pairs_for_each_dimension_of_a_correlated_code() -> None:
    check_sizes((24, 9), (24, 9), k=3, aligned=True, correlated=True, where="model")
    with pytest.raises(ModelError, match="23 training pairs are too few for k = 3"):
        check_sizes((23, 9), (23, 9), k=3, aligned=True, correlated=True, where="model")
    with pytest.raises(ModelError, match="cannot be paired row by row"):
        check_sizes((24, 9), (25, 9), k=3, aligned=True, correlated=True, where="model")
    with pytest.raises(ModelError, match="k = 3 is wider than a view"):
        check_sizes((24, 9), (24, 2), k=3, aligned=False, correlated=True, where="model")

from __future__ import annotations

import os
import random
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from jmml.errors import ModelError
from pipelines.compute import worker
from pipelines.compute.worker import Origin, PlaceError, ctrl_c_ignored, error_line, prepare_worker

HERE = Origin.here()


def test_a_worker_with_another_release_library_or_code_does_nothing(monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "somebody's")
    with pytest.raises(PlaceError, match=r"a worker on .* has jmml .*; expected 9\.9 as on the driver"):
        prepare_worker(0, replace(HERE, release="9.9"))
    for name in ("torch", "numpy"):
        other = tuple((one, "1.0.0" if one == name else number) for one, number in HERE.libraries)
        with pytest.raises(PlaceError, match=rf"has {name} .*; expected 1\.0\.0 as on the driver"):
            prepare_worker(0, replace(HERE, libraries=other))
    with pytest.raises(PlaceError, match=r"has torch .*; expected none as on the driver"):
        prepare_worker(
            0, replace(HERE, libraries=tuple(pair for pair in HERE.libraries if pair[0] != "torch"))
        )
    with pytest.raises(PlaceError, match=r"the code of a worker on .* is not that of the driver"):
        prepare_worker(0, replace(HERE, code="0" * 64))
    assert os.environ["MLFLOW_RUN_ID"] == "somebody's"
    prepare_worker(0, HERE)
    assert "MLFLOW_RUN_ID" not in os.environ


def test_the_code_is_read_once(monkeypatch):
    prepare_worker(0, HERE)
    monkeypatch.setattr(worker, "code_digest", lambda: pytest.fail("read again"))
    prepare_worker(1, HERE)


def test_a_worker_that_is_used_again_draws_the_same_numbers():
    def draws(seed):
        prepare_worker(seed, HERE)
        return random.random(), float(np.random.random()), float(torch.rand(1))  # noqa: NPY002

    assert draws(3) == draws(3)
    assert all(one != other for one, other in zip(draws(3), draws(4), strict=True))


def test_threads_are_as_many_as_asked_for():
    before = torch.get_num_threads()
    try:
        prepare_worker(0, HERE, threads=2)
        assert torch.get_num_threads() == 2
        prepare_worker(0, HERE)
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_ctrl_c_is_ignored_and_then_taken_up_again():
    with ctrl_c_ignored():
        os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_failure_in_one_line():
    assert error_line(ModelError("diverged", where="stage2")) == "stage2: diverged"
    assert error_line(ValueError("\nbad shape\nsecond line")) == "ValueError: bad shape"
    assert error_line(ValueError()) == "ValueError: no message"

"""What several files of tests start once each."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def ray_of_two():
    """A Ray session with two CPUs, for all tests of a file: ``pytestmark = pytest.mark.usefixtures("ray_of_two")``."""
    from pipelines.sweep.session import ray_session

    with ray_session(cpus=2):
        yield

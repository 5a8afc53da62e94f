"""The tracking server is killed: training goes on, and MLflow gets everything when it is back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.faults.same import assert_same
from tests.faults.servers import Server
from tests.faults.sweeps import TRIALS, Sweep

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    try:
        yield made
    finally:
        made.kill()


def shipped(sweep: Sweep) -> int:
    """Bytes of the journal that MLflow has."""
    with suppress(FileNotFoundError):
        return int(json.loads(sweep.folder.shipped.read_text())["offset"])
    return 0


def test_a_server_that_comes_back_and_later_does_not(sweep, expected, server: Server):
    one = sweep("tpe", MLFLOW_TRACKING_URI=server.uri, JMML_TRACKING_PATIENCE="5")
    driver = one.run()
    one.after(driver, "end", 1)
    server.kill()
    one.after(driver, "end", 3)  # training goes on
    before = shipped(one)
    server.start()
    driver.until(lambda: shipped(one) > before, "the server has more")
    server.kill()
    line = driver.fails(7, "bytes of the journal are not in MLflow yet", f"jmml sweep resume {one.name}")
    assert "the server does not answer: Connection refused" in line
    assert "HTTPConnectionPool" not in line
    assert one.count("end") == TRIALS
    driver.leaves_nothing()
    one.resume().fails(7, "cannot reach the tracking server")
    server.start()
    one.resume().succeeds()
    assert_same(one, expected("tpe"))

"""The tracking server is killed: training goes on, and MLflow gets everything when it is back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.same import assert_same
from tests.faults.servers import Server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("server"))
    made.start()
    try:
        yield made
    finally:
        made.kill()


def test_a_server_that_comes_back_and_one_that_does_not(sweep, expected, server: Server):
    one = sweep(MLFLOW_TRACKING_URI=server.uri)
    driver = one.run()
    one.after(driver, "end", 2)
    server.kill()
    one.after(driver, "end", 5)  # training goes on
    server.start()
    driver.succeeds()
    assert_same(one, expected("random"))

    two = sweep("tpe", MLFLOW_TRACKING_URI=server.uri, JMML_TRACKING_PATIENCE="5")
    driver = two.run()
    two.after(driver, "end", 1)
    two.after(driver, "report", 35)
    server.kill()
    line = driver.fails(7, "bytes of the journal are not in MLflow yet", f"jmml sweep resume {two.name}")
    assert "the server does not answer: Connection refused" in line
    assert "HTTPConnectionPool" not in line
    assert two.count("end") == 8
    driver.leaves_nothing()
    two.resume().fails(7, "cannot reach the tracking server")
    server.start()
    two.resume().succeeds()
    assert_same(two, expected("tpe"))

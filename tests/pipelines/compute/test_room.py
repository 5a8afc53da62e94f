from __future__ import annotations

import pytest

from jmml.errors import SweepError
from pipelines.compute import room
from pipelines.compute.ray_session import Resources
from pipelines.compute.room import ChangingRoom


def test_machines_that_join_and_leave_are_seen_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, cpus = [0.0], [4.0]

    def there() -> Resources:
        return Resources(cpus=cpus[0], gpus=0.0, nodes=1, largest=((cpus[0], 0.0),))

    def fits(found: Resources) -> int:
        if found.cpus < 1:
            raise SweepError("not one fits")
        return int(found.cpus)

    monkeypatch.setattr(room.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(room, "available", there)
    found = ChangingRoom(fits, now=2)
    assert found() == 2  # as it was found at first
    clock[0] = room.LOOK_SECONDS
    assert found() == 4
    cpus[0] = 6.0
    assert found() == 4
    clock[0] *= 2
    assert found() == 6
    cpus[0] = 0.0
    clock[0] *= 2
    assert found() == 1  # it waits for a machine

"""How many trials fit at a time, on this machine or on a cluster, and Ray for as long as they run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pipelines.compute import ray_session
from pipelines.compute.cluster_info import ask, origin, resolve
from pipelines.compute.machine import cpus_here, gpus_here
from pipelines.compute.nodes import token_for
from pipelines.compute.ray_watch import ray_watch
from pipelines.compute.room import ChangingRoom
from pipelines.sweep.definition.model import SweepDefinition
from pipelines.sweep.definition.plan import Plan
from pipelines.workspace.task import data_bytes


@dataclass(frozen=True)
class Capacity:
    """Capacity for a sweep: trials at a time, CPUs and GPUs of machine or cluster, the cluster's address."""

    concurrent: int
    cpus: float
    gpus: float
    address: str | None


def room_for(definition: SweepDefinition, *, trials: int, found: Capacity) -> Callable[[], int]:
    """How many trials fit at a time, asked as often as one likes: on a cluster, machines join and leave.

    Parameters
    ----------
    trials : how many the sweep wants, extensions included.
    found : what fits now.
    """
    if found.address is None:
        return lambda: found.concurrent
    return ChangingRoom(
        lambda there: definition.trials_at_a_time(cpus=there.cpus, gpus=there.gpus, trials=trials),
        now=found.concurrent,
    )


@contextmanager
def ray_for(
    plan: Plan,
    *,
    trials: int,
    address: str | None = None,
    on_death: Callable[[str], None] = lambda reason: None,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[Capacity]:
    """Ray for the length of a block: the cluster at ``address`` or ``RAY_ADDRESS``, else this machine alone.

    Parameters
    ----------
    trials : how many the sweep wants, extensions included.
    on_death : called in another thread, with what happened, when Ray itself dies meanwhile.
    note : see :func:`pipelines.compute.ray_session.ray_session`.

    Raises
    ------
    SweepError : Ray cannot be reached or started, or a trial asks for more than any machine has.
    """
    definition = plan.definition
    address = address or os.environ.get("RAY_ADDRESS")
    if resolve(address):
        with (
            ray_session.ray_session(cpus=1, address=address, user=definition.name),
            ray_watch(on_death),
        ):
            ray_session.check_fits(definition.resources.cpus, definition.resources.gpus)
            found = ray_session.available()
            concurrent = definition.trials_at_a_time(cpus=found.cpus, gpus=found.gpus, trials=trials)
            yield Capacity(concurrent, found.cpus, found.gpus, address)
        return
    cpus, gpus = cpus_here(), gpus_here(definition.resources.gpus)
    concurrent = definition.trials_at_a_time(cpus=cpus, gpus=gpus, trials=trials)
    started = max(1, math.ceil(concurrent * definition.resources.cpus))
    with (
        ray_session.ray_session(cpus=started, gpus=gpus, data_bytes=data_bytes(plan.task), note=note),
        ray_watch(on_death),
    ):
        yield Capacity(concurrent, cpus, gpus, None)


def check_room(definition: SweepDefinition, *, trials: int, address: str | None = None) -> None:
    """Whether :func:`ray_for` would find room for a trial, found out without Ray.

    Raises
    ------
    SweepError : as there.
    """
    address = address or os.environ.get("RAY_ADDRESS")
    cpus, gpus = float(cpus_here()), float(gpus_here(definition.resources.gpus))
    if resolved := resolve(address):
        ray_session.admitted(resolved, origin(address))
        nodes = ask(resolved, token_for(resolved), where=origin(address)).nodes
        sizes = tuple((node.cpus, node.gpus) for node in nodes)
        cpus, gpus = sum(size[0] for size in sizes), sum(size[1] for size in sizes)
        there = ray_session.Resources(cpus=cpus, gpus=gpus, nodes=len(sizes), largest=sizes)
        ray_session.check_fits(definition.resources.cpus, definition.resources.gpus, there)
    definition.trials_at_a_time(cpus=cpus, gpus=gpus, trials=trials)

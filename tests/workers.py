"""Ray's workers forked from a process that has all but Ray imported, instead of new interpreters.

A worker imports torch and much else for longer than its trials take in a test. After :func:`serve_workers` the raylet
that this process starts runs this file in place of Ray's own ``setup_worker.py``: it hands its command line,
environment and descriptors to a process that waits for them and forks a worker. The workers are as real as others:
own number, the session of their driver, killed like any other; only their parent is another one. A process that has
imported Ray already takes a server of another one, in the block of :func:`workers_of`.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

ADDRESS = "JMML_TESTS_WORKERS"  # variable that the raylet and what it starts inherit
# What no test asks of a node, and takes seconds: Ray Client, the autoscaler, and who reads workers' logs to drivers.
LEFT_OUT = ("start_ray_client_server", "start_monitor", "start_log_monitor")
# And of a session of one process, whose dashboard is one without pages, jobs and everything else.
LEFT_OUT_HERE = (*LEFT_OUT, "start_api_server")
WHOLE = "JMML_TESTS_WHOLE_RAY"  # set for a driver whose Ray is to start all that it starts for a person
LANGUAGE, CONTEXT = "--language=", "--serialized-runtime-env-context="


def hand_over() -> None:
    """What the raylet starts: ask for a worker with all that this process was given, and end."""
    request = {"argv": sys.argv[1:], "env": dict(os.environ), "cwd": str(Path.cwd())}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    request["blocked"] = [int(number) for number in blocked]
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect("\0" + os.environ[ADDRESS])
        socket.send_fds(asking, [b"."], [0, 1, 2])
        asking.sendall(json.dumps(request).encode())
        asking.shutdown(socket.SHUT_WR)
        asking.recv(1)  # it is there


def serve_workers() -> None:
    """Have the raylet of this process take its workers from a process forked here, which ends with this one.

    To be called before Ray is imported: a worker's copy would have read this process's environment.
    """
    assert "ray" not in sys.modules
    listener, address = _listener()
    parent = os.getpid()
    if os.fork() == 0:
        try:
            _serve(listener, parent)
        finally:
            os._exit(1)
    listener.close()
    os.environ[ADDRESS] = address
    take_workers()


def take_workers() -> None:
    """Let the nodes that this process begins run this file in place of Ray's own."""
    from ray._private import ray_constants

    ray_constants.SETUP_WORKER_FILENAME = __file__  # joined to the folder of Ray's own


def leave_out(*names: str) -> None:
    """Nodes of Ray that this process begins do without what these methods of Ray's ``Node`` start."""
    from ray._private.node import Node

    for name in names:
        assert hasattr(Node, name)
        setattr(Node, name, left_out)


def run_node(words: list[str]) -> None:
    """``ray WORDS`` in small, with workers from a process forked here, in the same session."""
    serve_workers()
    from ray.scripts.scripts import main

    leave_out(*LEFT_OUT)
    sys.argv = ["ray", *words]
    main()


def left_out(node: object, **options: object) -> None:
    """In place of a method of Ray's ``Node`` that starts one of :data:`LEFT_OUT`."""


class Process(Protocol):
    """What :func:`workers_of` asks of the process that forks workers."""

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def join(self) -> None: ...


@contextmanager
def workers_of(made: Callable[..., Process]) -> Iterator[str]:
    """Fork workers from a new process; the value is what :data:`ADDRESS` is to be where a raylet begins.

    Parameters
    ----------
    made : a process that has not imported Ray, from ``target`` and ``args``: ``tests.forked.context().Process``.
    """
    listener, address = _listener()
    server = made(target=serve_orphaned, args=(listener,))
    server.start()
    listener.close()
    try:
        yield address
    finally:
        server.kill()
        server.join()


def serve_orphaned(listener: socket.socket) -> None:
    """Fork workers until the process that started this one ends, with that of pytest."""
    _serve(listener, os.getppid())


def _listener() -> tuple[socket.socket, str]:
    """A socket that listens, and its address, new each time."""
    listener = socket.socket(socket.AF_UNIX)
    address = f"jmml-tests-workers-{os.getpid()}-{secrets.token_hex(4)}"
    listener.bind("\0" + address)
    listener.listen(64)
    return listener, address


def _serve(listener: socket.socket, parent: int) -> None:
    _die_with(parent)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C reaches the whole group; nobody waits for children
    while True:
        asking, _ = listener.accept()
        with asking:
            _, descriptors, _, _ = socket.recv_fds(asking, 1, 3)
            text = b"".join(iter(lambda asking=asking: asking.recv(65536), b""))
            if os.fork() == 0:
                listener.close()
                asking.close()
                _become_worker(json.loads(text), descriptors)
            for descriptor in descriptors:
                os.close(descriptor)


def _die_with(parent: int) -> None:
    import ctypes

    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)


def _become_worker(request: dict[str, Any], descriptors: list[int]) -> None:
    import runpy

    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, request["blocked"])
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["env"])
        for word in request["argv"]:
            if word.startswith(CONTEXT):
                os.environ.update(json.loads(word.removeprefix(CONTEXT)).get("env_vars", {}))
        for target, descriptor in enumerate(descriptors):
            os.dup2(descriptor, target)
            os.close(descriptor)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the descriptors, as in a new process
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        sys.argv = [word for word in request["argv"] if not word.startswith((LANGUAGE, CONTEXT))]
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    hand_over()

"""Ray's workers forked from a process that has all but Ray imported, instead of new interpreters.

A worker imports torch and much else for longer than its trials take in a test. After :func:`serve_workers` the raylet
that this process starts runs this file in place of Ray's own ``setup_worker.py``: it hands its command line,
environment and descriptors to a process that waits for them and forks a worker. The workers are as real as others:
own number, the session of their driver, killed like any other; only their parent is another one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

ADDRESS = "JMML_TESTS_WORKERS"  # variable that the raylet and what it starts inherit
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
    listener = socket.socket(socket.AF_UNIX)
    address = f"jmml-tests-workers-{os.getpid()}"
    listener.bind("\0" + address)
    listener.listen(64)
    parent = os.getpid()
    if os.fork() == 0:
        try:
            _serve(listener, parent)
        finally:
            os._exit(1)
    listener.close()
    os.environ[ADDRESS] = address
    from ray._private import ray_constants

    ray_constants.SETUP_WORKER_FILENAME = __file__  # joined to the folder of Ray's own


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

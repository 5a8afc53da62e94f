"""A tracking server on loopback that can be killed and brought back."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import requests

from pipelines.tracking import ui
from tests import forked, waiting
from tests.pipelines.tracked import free_port

# `mlflow server`, serving in this process, which has most of it imported, instead of in a new one.
SERVE = """
import os, sys
from mlflow import cli, server
from uvicorn.main import main

def serve(command, *, extra_env, **options):
    os.environ.update(extra_env)
    main(command[command.index("uvicorn") + 1:])

server._exec_cmd = serve
cli.cli(["server", *sys.argv[1:]])
"""


class Server:
    """`mlflow server` with its own SQLite file, keeping artifacts itself, as a team's does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.uri = f"http://{ui.HOST}:{self.port}"
        self.process: forked.Forked | None = None

    def start(self) -> None:
        """Start it, on the same port each time, and wait for its first answer."""
        words = ["--host", ui.HOST, "--port", str(self.port), "--workers", "1"]
        words += ["--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        words += ["--serve-artifacts", "--artifacts-destination", str(self.folder / "files")]
        log = self.folder / "log"
        process = self.process = forked.script(
            SERVE,
            words,
            cwd=self.folder,
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # nine processes less
            out=log,
            err=log,
        )

        def answers() -> bool:
            with suppress(requests.RequestException):
                return requests.get(f"{self.uri}/health", timeout=5).ok
            return False

        try:
            waiting.until(answers, "the server answers", alive=lambda: process.poll() is None)
        except AssertionError as error:
            raise AssertionError(f"{error}: {log.read_text()[-2000:]}") from None

    def kill(self) -> None:
        """kill -9 of the server with all that it started."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
            self.process = None

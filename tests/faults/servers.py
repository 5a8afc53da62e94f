"""A tracking server on loopback that can be killed and brought back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from pipelines import ui


class Server:
    """`mlflow server` with its own SQLite file, keeping artifacts itself, as a team's does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind((ui.HOST, 0))
            self.port = int(probe.getsockname()[1])
        self.uri = f"http://{ui.HOST}:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, on the same port each time, and wait for its first answer."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", ui.HOST, "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db"]
        command += ["--serve-artifacts", "--artifacts-destination", str(self.folder / "files")]
        with (self.folder / "log").open("a+b") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # nine processes less
            )
            ui.await_answer(self.process, self.port, log)

    def kill(self) -> None:
        """kill -9 of the server with its workers."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

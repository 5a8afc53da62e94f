"""Where the tracking store lies, whether it answers, and how a local one survives a move; no MLflow in here.

By default runs live in ``mlruns/mlflow.db`` (SQLite) with their files in ``mlruns/artifacts``. MLflow writes
absolute paths into that database, so a project folder that was moved or copied would read and write the old
place; :func:`relocate` puts the paths right. ``MLFLOW_TRACKING_URI`` names another store: a server
(``http://``, ``https://``) or a database (``postgresql://``, ``sqlite:///``).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from filelock import FileLock

from jmml.errors import TrackingError
from pipelines.tracking.private_mlflow import replace_paths
from pipelines.workspace.project import Project
from pipelines.workspace.values import without_secrets

SCHEMES = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433, "sqlite": None}
PROBE_SECONDS = 3
MAX_REASON = 200  # characters
SQLITE_HEADER = b"SQLite format 3\x00"

NEXT_STEP = "start that server, or unset MLFLOW_TRACKING_URI to use the project's own mlruns/mlflow.db"


class LastingError(TrackingError):
    """The store refused something that it will refuse again, however often it is asked."""


class RunGoneError(LastingError):
    """A run is not in the store, or was deleted there."""


def redacted(uri: str) -> str:
    """``uri`` without a user name or password, fit for messages and logs."""
    return uri if database_path(uri) is not None else without_secrets(uri)


def database_path(uri: str) -> Path | None:
    """The file of a SQLite store, ``None`` for any other; see :func:`pipelines.workspace.project.sqlite_uri`."""
    if _scheme(uri).split("+")[0] != "sqlite" or ":///" not in uri:
        return None
    from sqlalchemy.engine import make_url

    return Path(make_url(uri).database or "")


def _scheme(uri: str) -> str:
    """The part before the colon; the errors of ``urlsplit`` would show the password."""
    return uri.partition(":")[0].lower()


def is_server(uri: str) -> bool:
    """Whether ``uri`` is an MLflow server, which decides itself where files go."""
    return _scheme(uri) in ("http", "https")


def artifact_root(project: Project, uri: str) -> Path | None:
    """Folder for the files of new runs; ``None`` where a server decides."""
    if is_server(uri):
        return None
    database = database_path(uri)
    return (project.mlruns_dir if database is None else database.parent.absolute()) / "artifacts"


def artifact_address(folder: Path) -> str:
    """``folder`` as MLflow takes it: the plain path; a URI where it has a per cent sign, which would be unescaped."""
    return folder.as_uri() if "%" in str(folder) else str(folder)


def local_folder(location: str) -> Path | None:
    """The folder of an artifact location on this machine; ``None`` where a server or a service keeps it."""
    if location.startswith("file:"):
        return Path(url2pathname(urlsplit(location).path))
    return None if "://" in location or location.startswith("mlflow-artifacts:") else Path(location)


def check(uri: str) -> None:
    """Make sure that a client has a chance, within seconds and before MLflow starts its long retries.

    Raises
    ------
    TrackingError : the scheme is unknown, nothing listens at the address, or the file is not a database.
    """
    scheme = _scheme(uri).split("+")[0]
    if scheme not in SCHEMES:
        raise TrackingError(
            "is not a valid tracking URI",
            where=f"MLFLOW_TRACKING_URI={redacted(uri)}",
            expected=f"one of {', '.join(f'{name}://' for name in SCHEMES)}",
            fix="correct or unset the variable; plain folders are refused by MLflow",
        )
    if scheme == "sqlite":
        _check_database(uri)
        return
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port or SCHEMES[scheme]
        if not host:
            raise ValueError
    except ValueError:  # its text would show a piece of the address, which may be one of the password
        raise unreachable(uri, "the address names no host or no valid port") from None
    try:
        socket.create_connection((host, port), timeout=PROBE_SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise unreachable(uri, error) from None


def unreachable(uri: str, reason: object) -> TrackingError:
    """The one line for a store that does not answer."""
    why = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    why = without_secrets(str(why), uri)[:MAX_REASON]
    return TrackingError(f"cannot reach the tracking server: {why}", where=redacted(uri), fix=NEXT_STEP)


def _check_database(uri: str) -> None:
    path = database_path(uri)
    if path is None or path.name == "":
        raise TrackingError(
            "names no database file", where=redacted(uri), expected="sqlite:////folder/mlflow.db"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as handle:
            start = handle.read(len(SQLITE_HEADER))
    except FileNotFoundError:
        if not os.access(path.parent, os.W_OK):
            raise TrackingError("the folder is not writable", where=path.parent) from None
        return
    except OSError as error:
        raise TrackingError(f"cannot open the store: {error.strerror}", where=path) from None
    if start not in (b"", SQLITE_HEADER):
        raise TrackingError("is not a SQLite database", where=path, fix="move the file away and start again")


@contextmanager
def exclusive(uri: str) -> Iterator[None]:
    """Hold the store's file lock: processes that open a fresh SQLite file together corrupt its set-up.

    Stores on a server need none.
    """
    database = database_path(uri)
    if database is None:
        yield
    else:
        with FileLock(f"{database.absolute()}.lock"):
            yield


def relocate(database: Path, artifacts: Path) -> int:
    """Point the paths of a moved or copied store at ``artifacts``; the number of values changed.

    The old root is read from the store itself: the artifact location of any experiment that ends in
    ``/<folder>/artifacts`` as ours do. Nothing changes while ``artifacts`` does not exist, as then the files
    did not move with the database.

    Raises
    ------
    TrackingError : the store was moved, and is of an MLflow of which it is not known where paths stand.
    """
    if not artifacts.is_dir() or not database.is_file():
        return 0
    return replace_paths(database, f"/{artifacts.parent.name}/{artifacts.name}", artifact_address(artifacts))

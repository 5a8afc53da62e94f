"""Failures of a tracking store, in one line and without its secrets, and whether a retry is worthwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import requests
import sqlalchemy
from mlflow.exceptions import MlflowException

from jmml.errors import TrackingError
from pipelines.tracking import store
from pipelines.tracking.store import LastingError, RunGoneError
from pipelines.workspace.values import without_secrets

# Module that SQLAlchemy asks for -> the package that has it.
DRIVERS = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
# Codes of refusals that do not go away by themselves.
LASTING = frozenset(
    {"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "PERMISSION_DENIED", "UNAUTHENTICATED"}
)
_GONE = re.compile(r"Run with id\S* not found|The run \S+ must be in the 'active' state")


@contextmanager
def reported(uri: str, doing: str) -> Iterator[None]:
    """Turn any failure of the store while ``doing`` something into one :class:`TrackingError`.

    A :class:`~pipelines.tracking.store.LastingError` where trying again will not help,
    a :class:`~pipelines.tracking.store.RunGoneError` where the run is not there or was deleted.
    """
    try:
        yield
    except (MlflowException, sqlalchemy.exc.SQLAlchemyError, requests.RequestException, OSError) as error:
        text = without_secrets(_brief((str(error).strip().splitlines() or [type(error).__name__])[0]), uri)
        raise _kind_of(error)(f"{doing} failed: {text}", where=store.redacted(uri)) from error
    except ImportError as error:
        module = (error.name or str(error)).partition(".")[0]
        raise TrackingError(
            f"{doing} failed: the Python package '{DRIVERS.get(module, module)}' is not installed",
            where=store.redacted(uri),
            fix=f"install it beside jmml: pip install '{DRIVERS.get(module, module)}'",
        ) from error


def _brief(text: str) -> str:
    """Short reason for an unreachable server, without the names of the exception classes."""
    if "HTTPConnectionPool" not in text and "HTTPSConnectionPool" not in text:
        return text
    found = re.search(r"\[Errno [^\]]+\] ([^\"'()]+)|(Read timed out)", text)
    return f"the server does not answer{f': {found[1] or found[2]}' if found else ''}"


def _kind_of(error: Exception) -> type[TrackingError]:
    code = getattr(error, "error_code", None)
    if code not in LASTING:
        return TrackingError
    return RunGoneError if _GONE.search(str(error)) else LastingError

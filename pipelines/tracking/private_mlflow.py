"""Everything of MLflow that jmml uses beyond its public interfaces: where its database keeps paths, and how its
pages keep the columns of a table.

Either may change with any release of MLflow, hence the upper bound in ``pyproject.toml`` and the contract in
``tests/pipelines/tracking/test_private_mlflow.py``. The public ways that were tried with MLflow 3.17:

:data:`PATH_COLUMNS`, :data:`SCHEMAS`
    MLflow writes absolute paths and has no command, and no method of ``MlflowClient``, that changes one; a relative
    artifact location is made absolute when an experiment is created.
:func:`view_state`, :data:`SHARED_VIEW`
    The address of a table takes ``searchFilter`` and ``orderByKey``, as :func:`pipelines.tracking.ui.links` gives
    them where it may not write, but no columns: a browser that opens it for the first time shows the right runs in
    the right order and none of their scores (seen in Chromium; ``selectedColumns`` in the address is ignored).
:data:`DATABASE_LOGGER`
    MLflow logs a failure of the database at the level of an error and raises it as well; there is no option.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from jmml.errors import TrackingError

# Every column in which MLflow keeps an absolute artifact path, in a database of one of these revisions of its schema.
PATH_COLUMNS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
SCHEMAS = frozenset({"dc11669786a5"})  # `alembic_version` of MLflow 3.17
SHARED_VIEW = (
    "mlflow.sharedViewState."  # tag of an experiment; a key follows, which the table's address names
)
DATABASE_LOGGER = "mlflow.store.db.utils"


def replace_paths(database: Path, ending: str, new: str) -> int:
    """Put ``new`` in place of every artifact folder that ends in ``ending``, and in paths below it; how many values.

    The folders are those that the experiments of the SQLite store have. Only the prefix of a path is rewritten, in one
    transaction.

    Raises
    ------
    TrackingError : there is something to rewrite in a database of another schema.
    """
    changed = 0
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if "experiments" not in tables:
            return 0
        known = connection.execute("SELECT DISTINCT artifact_location FROM experiments")
        moved = [str(old) for (old,) in known if old and old.endswith(ending) and old != new]
        if moved:
            _check_schema(connection, tables, database, moved[0])
        for old in moved:
            for table, column in PATH_COLUMNS:
                cursor = connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "
                    f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                    (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
                )
                changed += cursor.rowcount
    return changed


def _check_schema(connection: sqlite3.Connection, tables: set[str], database: Path, old: str) -> None:
    found = (
        {str(row[0]) for row in connection.execute("SELECT version_num FROM alembic_version")}
        if "alembic_version" in tables
        else set()
    )
    if len(found) != 1 or not found <= SCHEMAS:
        raise TrackingError(
            f"the store was moved (its files were at {old}), and of its schema, "
            f"{', '.join(sorted(found)) or 'unnamed'}, it is not known where paths stand",
            where=database,
            expected=f"schema {' or '.join(sorted(SCHEMAS))}, of MLflow 3.17",
            fix="install requirements.lock and run `mlflow db upgrade` on it, or move the project back",
        )


def view_state(query: str, order: str, columns: Sequence[str]) -> str:
    """A view of the table of runs as MLflow's pages store it: the runs that match ``query``, highest ``order`` first.

    Parameters
    ----------
    order, columns : ``metrics.`NAME``` or ``params.`NAME```.
    """
    return json.dumps(
        {"searchFilter": query, "orderByKey": order, "orderByAsc": False, "selectedColumns": list(columns)}
    )

"""What jmml relies on of MLflow beyond its public interfaces: the first tests to run after a new release of MLflow."""

from __future__ import annotations

import importlib
import sqlite3
from contextlib import closing
from pathlib import Path

import mlflow
import pytest

from jmml.errors import TrackingError
from pipelines.tracking import private_mlflow, store
from pipelines.tracking.tracker import Tracker
from tests.pipelines.tracked import make_lineage, make_project


@pytest.fixture
def tracker(tmp_path: Path) -> Tracker:
    return Tracker.connect(make_project(tmp_path / "project"))


def database(tracker: Tracker) -> Path:
    return tracker.project.mlruns_dir / "mlflow.db"


def columns_with(connection: sqlite3.Connection, text: str) -> set[tuple[str, str]]:
    found = set()
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        for _, column, *_ in connection.execute(f"PRAGMA table_info({table})").fetchall():
            query = f"SELECT count(*) FROM {table} WHERE instr(CAST({column} AS TEXT), ?)"
            if connection.execute(query, (text,)).fetchone()[0]:
                found.add((table, column))
    return found


def test_the_columns_with_paths_are_known_and_so_is_the_schema(tracker: Tracker, tmp_path: Path) -> None:
    """A store with everything that the platform writes has paths in these columns and in no other."""
    run = tracker.start_sweep("demo", params={}, tags={}, lineage=make_lineage())
    experiment = tracker.experiment()
    model = tracker.client.create_logged_model(experiment.experiment_id, name="jmml", source_run_id=run)
    tracker.client.create_registered_model("jmml")
    tracker.client.create_model_version("jmml", model.artifact_location, run, model_id=model.model_id)
    with closing(sqlite3.connect(database(tracker))) as connection:
        root = str(tracker.project.mlruns_dir / "artifacts")
        assert columns_with(connection, root) == set(private_mlflow.PATH_COLUMNS)
        ((schema,),) = connection.execute("SELECT version_num FROM alembic_version")
        assert schema in private_mlflow.SCHEMAS
    moved = tmp_path / "moved" / "mlruns" / "artifacts"
    moved.mkdir(parents=True)
    assert store.relocate(database(tracker), moved) == len(private_mlflow.PATH_COLUMNS)
    with closing(sqlite3.connect(database(tracker))) as connection:
        assert columns_with(connection, root) == set()


@pytest.mark.parametrize(
    "change", ["UPDATE alembic_version SET version_num = 'later'", "DROP TABLE alembic_version"]
)
def test_a_store_of_another_schema_is_not_written_in(tracker: Tracker, tmp_path: Path, change: str) -> None:
    tracker.experiment()
    with closing(sqlite3.connect(database(tracker))) as connection, connection:
        connection.execute(change)
    before = database(tracker).read_bytes()
    assert (
        store.relocate(database(tracker), tracker.project.mlruns_dir / "artifacts") == 0
    )  # it was not moved
    moved = tmp_path / "moved" / "mlruns" / "artifacts"
    moved.mkdir(parents=True)
    with pytest.raises(TrackingError, match=r"the store was moved .*mlflow db upgrade") as caught:
        store.relocate(database(tracker), moved)
    assert "\n" not in str(caught.value)
    assert database(tracker).read_bytes() == before


def test_the_pages_of_mlflow_know_the_names_of_a_view() -> None:
    pages = Path(mlflow.__file__).parent / "server" / "js" / "build" / "static" / "js"
    code = "".join(file.read_text(errors="replace") for file in pages.glob("*.js"))
    assert f'"{private_mlflow.SHARED_VIEW}"' in code
    assert '"viewStateShareKey"' in code
    assert (
        '["searchFilter","orderByKey","orderByAsc",' in code
    )  # what is taken from a view, and from an address
    assert '["selectedColumns",' in code  # what is taken from a view alone


def test_the_database_s_logger_has_this_name() -> None:
    assert (
        importlib.import_module(private_mlflow.DATABASE_LOGGER)._logger.name == private_mlflow.DATABASE_LOGGER
    )

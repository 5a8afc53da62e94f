"""Which figures a report has."""

from __future__ import annotations

from pipelines.sweep.importance import Importances
from pipelines.sweep.report.effects import importances
from pipelines.sweep.report.figure import Figure
from pipelines.sweep.report.parallel import parallel
from pipelines.sweep.report.progress import budget, curves
from pipelines.sweep.report.record import Record, finite
from pipelines.sweep.report.slices import slices
from pipelines.sweep.report.tradeoff import pareto


def draw(record: Record, found: Importances) -> list[Figure]:
    """Every figure that the trials so far allow, in the order of the page."""
    if not record.scored:
        return []
    figures = [parallel(record), slices(record, found), importances(found), curves(record), budget(record)]
    if any(finite(trial.cost) is not None for trial in record.scored):
        figures.insert(1, pareto(record))
    return [figure for figure in figures if figure is not None]

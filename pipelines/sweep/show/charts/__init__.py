"""The figures of a sweep's report, as SVG that the page's script lets one point at."""

from __future__ import annotations

from pipelines.sweep.record.history import Record, finite
from pipelines.sweep.show.charts.effects import importances
from pipelines.sweep.show.charts.figure import Figure
from pipelines.sweep.show.charts.parallel import parallel
from pipelines.sweep.show.charts.progress import budget, curves
from pipelines.sweep.show.charts.scores import pareto, slices
from pipelines.sweep.show.importance import Importances


def draw(record: Record, found: Importances) -> list[Figure]:
    """Every figure that the trials so far allow, in the order of the page."""
    if not record.scored:
        return []
    figures = [parallel(record), slices(record, found), importances(found), curves(record), budget(record)]
    if any(finite(trial.cost) is not None for trial in record.scored):
        figures.insert(1, pareto(record))
    return [figure for figure in figures if figure is not None]

"""Stages of ``dvc repro``, each a module: ``python -m pipelines.stages.NAME``. This package is imported before it."""

from pipelines.stages._early import end_in_one_line

end_in_one_line()

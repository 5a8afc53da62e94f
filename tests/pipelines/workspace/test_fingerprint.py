"""What decides the numbers that are trained and scored: the science, and neither corpora nor anything that shows."""

from __future__ import annotations

from jmml.fingerprint import fingerprint
from pipelines.workspace.fingerprint import code_digest, libraries, training


def test_what_trains_and_scores_counts_and_what_enters_as_data_or_shows_does_not() -> None:
    modules = set(training().modules)
    assert modules >= {
        "jmml.cell", "jmml.config", "jmml.data.splits", "jmml.evaluation.metrics", "jmml.experiment", "jmml.methods",
        "jmml.models.classifier", "jmml.models.jec_ssl", "jmml.recogniser", "jmml.search", "jmml.task",
    }  # fmt: skip
    aside = (
        "cli",
        "pipelines",
        "jmml.data.corpora",
        "jmml.data.labels",
        "jmml.evaluation.plots",
        "jmml.printable",
    )
    assert not [name for name in modules if name.startswith(aside)]
    assert code_digest() == training().code


def test_what_a_sweep_and_its_refit_compute_is_part_of_it() -> None:
    for entry in ("jmml.search", "jmml.experiment", "jmml.memo"):
        assert set(fingerprint(entry, without=("jmml.data",)).modules) <= set(training().modules)


def test_the_libraries_that_compute_are_those_of_the_code() -> None:
    assert set(libraries()) == {"numpy", "pandas", "scipy", "scikit-learn", "torch"}
    libraries().clear()
    assert libraries()

"""Which code decides the numbers that are trained and scored, and which libraries (:mod:`jmml.fingerprint`)."""

from __future__ import annotations

from jmml import plugins
from jmml.fingerprint import Fingerprint, fingerprint, forget

# A cell of a study; it uses the search and the experiment, as sweeps do.
TRAINING = "jmml.cell"
# What these make of corpora enters every digest as data: features, labels, groups.
ENTERS_AS_DATA = ("jmml.data.corpora", "jmml.data.labels")

plugins.on_change(forget)  # the files of another project have the same names


def training() -> Fingerprint:
    """The fingerprint of everything that trains, selects and scores models, a project's own methods included."""
    return fingerprint(TRAINING, *plugins.modules("methods"), without=ENTERS_AS_DATA)


def code_digest() -> str:
    """Digest of the code that trains, selects and scores; comments, docstrings and messages do not count."""
    return training().code


def libraries() -> dict[str, str]:
    """Versions of the libraries by which models are trained, selected and scored."""
    return dict(training().libraries)

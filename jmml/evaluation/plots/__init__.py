"""Figures of an evaluation, as PNG files; one module per figure.

Drawn on a Figure of their own, without pyplot: no display, no global state, safe in any process. Colours are
from Okabe and Ito's palette, which readers with colour blindness can tell apart; nothing is told by colour
alone.
"""

from jmml.evaluation.plots.comparison import method_comparison
from jmml.evaluation.plots.confusion import confusion_matrices, confusion_matrix
from jmml.evaluation.plots.correlation import correlation_history, correlation_panels
from jmml.evaluation.plots.forest import forest
from jmml.evaluation.plots.paired import paired_speakers
from jmml.evaluation.plots.projection import Embedding, embedding_projection

__all__ = [
    "Embedding",
    "confusion_matrices",
    "confusion_matrix",
    "correlation_history",
    "correlation_panels",
    "embedding_projection",
    "forest",
    "method_comparison",
    "paired_speakers",
]

"""Keys that Ray Tune sees of a trial: those of its configuration and of its reports."""

from __future__ import annotations

# Of a configuration, besides the trial's settings: which trial it is, and which piece of it.
NUMBER, CONFIGURATION, SEGMENT = "number", "configuration", "segment"

# Of a report: the score, the larger the better, at an epoch of stage 2; all that the journal keeps, as JSON.
METRIC, MODE, TIME, PAYLOAD = "score", "max", "epoch", "payload"

ERROR = "error"  # of the last report of a trial that failed by itself
FATAL = "fatal"  # beside it, when the sweep cannot go on

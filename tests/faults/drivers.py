"""Drivers of sweeps as processes of their own, without Ray: what is done to them is real, and so is what they leave.

Between a driver that was killed, interrupted or refused and the one that goes on Ray has no part, and to start it takes
longer than all that is tested there. What it alone can suffer is in test_on_ray.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ORDER = "JMML_TESTS_ORDER"  # decides which trial reports next
CHECKPOINTS = "JMML_TESTS_CHECKPOINTS"  # seconds between two checkpoints of a trial
ASK_S = 0.1  # between two looks whether someone asks to stop
DRAIN_S = 2.0  # for which a driver that has given its store up asks it once more


def alone(words: list[str]) -> None:
    """``jmml WORDS``, for :func:`tests.forked.command`, with the trials in threads of this process.

    The code that counts is the one that ``PYTHONPATH`` names, as in a new process.
    """
    import pytest
    from threadpoolctl import threadpool_limits

    import jmml
    from cli.app import main
    from jmml import fingerprint
    from pipelines.sweep.execute import artifacts, sweep_session, trainable
    from pipelines.workspace import signals
    from tests.pipelines.sweep.inline import without_ray

    sys.argv = ["jmml", *words]
    jmml.__file__ = str(Path(os.environ["PYTHONPATH"]) / "jmml" / "__init__.py")
    fingerprint.forget()
    order = int(os.environ[ORDER])
    with pytest.MonkeyPatch.context() as patch, threadpool_limits(1), without_ray(order=order):
        patch.setattr(trainable, "CHECKPOINT_SECONDS", float(os.environ[CHECKPOINTS]))
        patch.setattr(signals, "ASK_SECONDS", ASK_S)
        patch.setattr(sweep_session, "DRAIN_ON_LEAVING_S", DRAIN_S)
        patch.setattr(artifacts, "draw", lambda *arguments: None)  # a quarter of the time
        main()

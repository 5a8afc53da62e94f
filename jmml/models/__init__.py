"""The estimators of the method: ``jmml.models.JECSSL`` (stage 1) and ``jmml.models.EDCCCAE`` (stage 2).

They are imported when they are asked for, as torch takes a second to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jmml.models.edcc_cae import EDCCCAE
    from jmml.models.jec_ssl import JECSSL

__all__ = ["EDCCCAE", "JECSSL"]

_MODULES = {"EDCCCAE": "jmml.models.edcc_cae", "JECSSL": "jmml.models.jec_ssl"}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

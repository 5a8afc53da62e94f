"""Public names of a package that are imported when they are first asked for (PEP 562).

torch, librosa and mne take seconds to load, and ``import jmml`` must not. Each package that uses this repeats its names
under ``TYPE_CHECKING``, where type checkers and editors see them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def attach(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """``__getattr__`` and ``__dir__`` of ``package``.

    Parameters
    ----------
    homes : public name -> the module that defines it.

    Example
    -------
    >>> get, names = attach("jmml", {"JMMLError": "jmml.errors"})
    >>> get("JMMLError").__module__, "JMMLError" in names()
    ('jmml.errors', True)
    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        value: object = getattr(import_module(homes[name]), name)
        # Kept, so that it is looked up once.
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names

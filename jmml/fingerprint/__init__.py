"""Digest of the code that computes a result, unchanged by edits of texts.

:func:`fingerprint` starts from modules that compute something, follows their imports, and digests the syntax trees of
what it finds, with the versions of the libraries in use. Whatever can change a number counts; comments, docstrings,
annotations of functions, plots and the texts of errors, warnings and progress do not
(the rules: :mod:`jmml.fingerprint._form`).

>>> fingerprint("jmml.models.pls").modules
('jmml.errors', 'jmml.models.inputs', 'jmml.models.pls')
"""

from __future__ import annotations

from jmml.fingerprint._closure import Fingerprint, fingerprint, forget, source_of

__all__ = ["Fingerprint", "fingerprint", "forget", "source_of"]

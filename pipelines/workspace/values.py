"""Values on their way into the tracking store: names, texts, lengths."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from jmml.errors import TrackingError

# ``//user:password@`` or ``//token@``; a password that was not escaped may hold any character but a space.
CREDENTIALS = re.compile(r"//(?:[^\s/?#]*|[^\s/?#:@]*:\S*)@")
SECRET_OPTION = re.compile(r"\b((?:ssl)?password|passwd|pwd)=[^\s&;]+", re.IGNORECASE)
SHORTEST_SECRET = 4  # characters; shorter ones would be found in any text


def redacted(text: str) -> str:
    """``text`` with ``//***@`` in place of the user name and password of every address in it."""
    return CREDENTIALS.sub("//***@", text)


def without_secrets(text: str, uri: str = "") -> str:
    """``text`` for a message about the store ``uri``: nothing secret of that or another address is in it."""
    found = CREDENTIALS.search(uri)
    password = found[0][2:-1].partition(":")[2] if found else ""
    for secret in sorted(
        {password, unquote(password)}, key=len, reverse=True
    ):  # one may begin with the other
        if len(secret) >= SHORTEST_SECRET:  # first: parts of it may look like an address
            text = text.replace(secret, "***")
    return SECRET_OPTION.sub(r"\1=***", redacted(text))


@contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for the length of a block; MLflow reads its time limits from there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """``{"stage2": {"k": 3}}`` -> ``("stage2.k", 3)``."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def as_text(value: object) -> str:
    """``value`` in words; floats to six significant digits."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def refuse_long(values: Mapping[str, str], limit: int, what: str, run_id: str) -> None:
    """:class:`TrackingError` for the first value beyond ``limit`` characters; MLflow would cut it off."""
    for key, value in values.items():
        if len(value) > limit:
            raise TrackingError(
                f"{what} '{key}' has {len(value)} characters",
                where=f"run {run_id}",
                expected=f"at most {limit}",
                fix="store it as a file with log_text",
            )

"""The token of a cluster: who has it may run any code there, so it is never shown, logged or sent unasked."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from jmml.errors import SweepError

PRIVATE = 0o600


@dataclass(frozen=True)
class Token:
    """A secret and where it came from.

    Attributes
    ----------
    source : a path or the name of an environment variable, for messages.
    path : file that holds it; none when it came from the environment.
    """

    value: str = field(repr=False)
    source: str
    path: Path | None = None

    def environment(self) -> dict[str, str]:
        """Environment variables that make Ray use this token, and ask for it."""
        if self.path is None:
            return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.value}
        # An empty RAY_AUTH_TOKEN counts as none: one that is set would win over the file.
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": str(self.path)}


def default_path() -> Path:
    """``RAY_AUTH_TOKEN_PATH``, or the file that Ray looks for by itself."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token").expanduser()


def find(path: Path | None = None) -> Token | None:
    """The token in ``path``; without one, in ``RAY_AUTH_TOKEN`` or the default file, as Ray has it.

    Raises
    ------
    SweepError : ``path`` is given and cannot be read, or the file is empty.
    """
    if path is None:
        if value := os.environ.get("RAY_AUTH_TOKEN", "").strip():
            return Token(value, "RAY_AUTH_TOKEN")
        if not default_path().exists():
            return None
    chosen = (path or default_path()).expanduser().absolute()
    try:
        value = chosen.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a text file"
        raise SweepError(
            f"cannot read the cluster's token: {reason}",
            where=chosen,
            fix="copy the file from the head node, readable by you alone",
        ) from error
    if not value:
        raise SweepError(
            "the token file is empty", where=chosen, fix="copy it again from the head node, or delete it"
        )
    return Token(value, str(chosen), chosen)


def make() -> Token:
    """The token there is, else a new one of 256 random bits in the default file, readable by its owner alone.

    A file of Ray's own making is readable by everybody; it is closed to others here.
    """
    found = find()
    if found is None:
        path = default_path().absolute()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        except FileExistsError:  # another process was first
            return make()
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
        return Token(path.read_text(), str(path), path)
    if (
        found.path is not None
        and found.path.stat().st_mode & 0o077
        and found.path.stat().st_uid == os.getuid()
    ):
        found.path.chmod(PRIVATE)
    return found

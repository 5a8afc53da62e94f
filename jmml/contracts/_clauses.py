"""How a clause is put, and what is raised where it does not hold."""

from __future__ import annotations

from collections.abc import Callable


class ContractError(AssertionError):
    """A clause that does not hold, and what was found instead."""


def require(holds: bool, clause: str, found: object = None) -> None:
    if not holds:
        raise ContractError(clause if found is None else f"{clause}; found {found!r:.200}")


def raised(kind: type[Exception], call: Callable[[], object], clause: str) -> str:
    """The one-line message of the error that ``call`` must raise."""
    try:
        found = call()
    except kind as error:
        require("\n" not in str(error), f"{clause}: the message is one line", str(error))
        return str(error)
    except Exception as error:
        raise ContractError(
            f"{clause}: expected {kind.__name__}, got {type(error).__name__}: {error}"
        ) from error
    raise ContractError(f"{clause}: expected {kind.__name__}; found {found!r:.200}")

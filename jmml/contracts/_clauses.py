"""How a clause is put, what is raised where it does not hold, and the list of those that were looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_held: ContextVar[list[str] | None] = ContextVar("_held", default=None)


class ContractError(AssertionError):
    """A clause that does not hold, and what was found instead."""


@contextmanager
def held() -> Iterator[list[str]]:
    """The clauses that are found to hold from here on, each once."""
    clauses: list[str] = []
    token = _held.set(clauses)
    try:
        yield clauses
    finally:
        _held.reset(token)


def require(holds: bool, clause: str, found: object = None) -> None:
    if not holds:
        raise ContractError(clause if found is None else f"{clause}; found {found!r:.200}")
    _holds(clause)


def raised(kind: type[Exception], call: Callable[[], object], clause: str) -> str:
    """The one-line message of the error that ``call`` must raise."""
    try:
        found = call()
    except kind as error:
        if "\n" in str(error):
            raise ContractError(f"{clause}: the message is one line; found {str(error)!r:.200}") from error
        _holds(f"{clause} is refused in one line")
        return str(error)
    except Exception as error:
        raise ContractError(
            f"{clause}: expected {kind.__name__}, got {type(error).__name__}: {error}"
        ) from error
    raise ContractError(f"{clause}: expected {kind.__name__}; found {found!r:.200}")


def _holds(clause: str) -> None:
    clauses = _held.get()
    if clauses is not None and clause not in clauses:
        clauses.append(clause)

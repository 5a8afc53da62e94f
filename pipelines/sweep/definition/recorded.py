"""A sweep's definition as its journal has it, of this release or of an earlier one: the one place where they differ."""

from __future__ import annotations

from jmml.config import validate
from jmml.errors import ConfigError, SweepError
from pipelines.sweep.definition.model import SweepDefinition


def recorded(data: object, *, sweep: str) -> SweepDefinition:
    """The definition of an event ``sweep`` or ``accept``, with defaults for what its release did not know.

    Journals of version 0.1.0 hold every key of today's definitions. An older form that is to be read later on is
    rewritten here, and nowhere else.

    Raises
    ------
    SweepError : this release cannot read it, as that of a newer one.
    """
    try:
        return validate(SweepDefinition, data)
    except ConfigError as error:
        raise SweepError(
            f"holds a definition that this release cannot read ({'; '.join(error.problems)})",
            where=f"the journal of sweep {sweep}",
            fix="update jmml: a newer release drives this sweep",
        ) from None

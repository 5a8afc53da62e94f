"""Contract of the promotion gates, as a check that anybody can run on their own."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from jmml.contracts import ContractError
from pipelines.registry.gates import GATES, Candidate, Verdict


def check_gate(name: str, candidates: Sequence[Candidate] = ()) -> None:
    """Every clause of a gate, on ``candidates`` and on one that has left nothing behind.

    A gate gives a verdict with a reason whatever it is handed, the same each time, and changes no file. Nothing is no
    evidence for anything: a run that failed and left nothing behind does not pass.

    Raises
    ------
    ContractError : the first clause that does not hold.
    """
    gate = GATES[name]
    with tempfile.TemporaryDirectory() as folder:
        nothing = Candidate("FAILED", {}, {}, Path(folder, "absent"), Path(folder, "absent"))
        for candidate in (nothing, *candidates):
            before = _contents(candidate)
            try:
                found = [gate(candidate) for _ in range(2)]
            except Exception as error:
                raise ContractError(
                    f"gate '{name}' gives a verdict on any candidate; found {type(error).__name__}: {error}"
                ) from error
            for verdict in found:
                if not isinstance(verdict, Verdict):
                    raise ContractError(f"gate '{name}' gives a verdict; found {verdict!r:.200}")
                if not (verdict.name and verdict.reason and "\n" not in verdict.reason):
                    raise ContractError(f"a verdict has a name and a reason of one line; found {verdict}")
            if found[0] != found[1]:
                raise ContractError(f"gate '{name}' gives the same verdict each time; found {found}")
            if _contents(candidate) != before:
                raise ContractError(f"gate '{name}' changes no file of the candidate")
            if candidate is nothing and found[0].passed:
                raise ContractError(f"gate '{name}' does not let pass what has left nothing behind")


def _contents(candidate: Candidate) -> dict[str, bytes]:
    return {
        str(path): path.read_bytes()
        for folder in (candidate.folder, candidate.model)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

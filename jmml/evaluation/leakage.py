"""Proof that nothing was fitted on the people it is evaluated on.

Whoever fits an object on data (a scaler, a projection, an encoder, pairs, a search, a classifier) enters the
groups it saw into a :class:`Certificate`; the evaluation shows it the groups it is about to predict. An
overlap is an error, never a warning. The certificate is stored beside the model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from jmml.config import Modality
from jmml.errors import ProtocolError

Role = Literal["fit", "label-free"]


@dataclass(frozen=True)
class Entry:
    """One object and the groups whose data it saw.

    ``role`` is ``fit`` for whatever learns from training data. ``label-free`` marks what by its nature uses
    the recordings of the person it is applied to, never their labels (per-group normalisation): it is
    recorded, so that a reader sees that the result is transductive, and allowed.
    """

    name: str
    modality: Modality
    groups: tuple[str, ...]
    role: Role = "fit"


@dataclass
class Certificate:
    """Which groups each fitted object saw.

    Example
    -------
    >>> certificate = Certificate()
    >>> certificate.add("scaler", "speech", ["anna", "ben"])
    >>> certificate.check({"speech": ["carl"]})
    >>> certificate.check({"speech": ["ben", "carl"]})
    Traceback (most recent call last):
        ...
    jmml.errors.ProtocolError: speech: 'scaler' was fitted on groups that are evaluated (ben); \
expected disjoint groups. Fit it on the training groups alone
    """

    entries: list[Entry] = field(default_factory=list)

    def add(self, name: str, modality: Modality, groups: Iterable[str], *, role: Role = "fit") -> None:
        """Enter an object; ``groups`` may be the group of every row, repeats are dropped.

        Raises
        ------
        ProtocolError
            If there is no group: an object fitted on nothing known cannot be certified.
        """
        seen = tuple(sorted({str(group) for group in groups}))
        if not seen:
            raise ProtocolError(f"'{name}' was fitted on no known group", where=modality)
        self.entries.append(Entry(name, modality, seen, role))

    def extend(self, other: Certificate, *, prefix: str = "") -> None:
        """Enter all objects of ``other``, for example those of an inner fold, under ``prefix`` + name."""
        self.entries += [Entry(prefix + e.name, e.modality, e.groups, e.role) for e in other.entries]

    def check(self, evaluated: Mapping[Modality, Iterable[str]], *, parallel: bool = False) -> None:
        """Raise unless no fitted object saw an evaluated group.

        Parameters
        ----------
        evaluated : groups to be predicted, by modality.
        parallel : the same names mean the same people in both modalities (a parallel corpus), so an object
            fitted on the EEG of an evaluated speaker is a leak as well.

        Raises
        ------
        ProtocolError
            On an overlap, and when nothing at all was entered for an evaluated modality.
        """
        for modality, groups in evaluated.items():
            people = {str(group) for group in groups}
            if not any(e.modality == modality and e.role == "fit" for e in self.entries):
                raise ProtocolError(
                    "nothing is certified: no fitted object was entered",
                    where=modality,
                    fix="enter every fitted object with Certificate.add",
                )
            for entry in self.entries:
                shared = people.intersection(entry.groups)
                if entry.role == "fit" and shared and (parallel or entry.modality == modality):
                    names = ", ".join(sorted(shared))
                    raise ProtocolError(
                        f"'{entry.name}' was fitted on groups that are evaluated ({names})",
                        where=entry.modality,
                        expected="disjoint groups",
                        fix="fit it on the training groups alone",
                    )

    @property
    def transductive(self) -> bool:
        """Whether any object used the evaluated people's own recordings, without labels."""
        return any(entry.role == "label-free" for entry in self.entries)

    def to_json(self) -> str:
        return json.dumps({"entries": [asdict(entry) for entry in self.entries]}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: object = None) -> Certificate:
        """The inverse of :meth:`to_json`; :class:`ProtocolError` for anything else."""
        try:
            certificate = cls(
                [
                    Entry(str(e["name"]), e["modality"], tuple(map(str, e["groups"])), e["role"])
                    for e in json.loads(text)["entries"]
                ]
            )
        except (ValueError, KeyError, TypeError):
            raise ProtocolError(
                "is no leakage certificate", where=where, fix="train the model again"
            ) from None
        for entry in certificate.entries:
            if (
                entry.role not in get_args(Role)
                or entry.modality not in get_args(Modality)
                or not entry.groups
            ):
                raise ProtocolError(
                    f"entry '{entry.name}' of the leakage certificate is invalid", where=where
                )
        return certificate


def assert_disjoint(train: Iterable[str], test: Iterable[str], *, where: object = None) -> None:
    """Raise :class:`ProtocolError` if a group is in both."""
    shared = sorted({str(group) for group in train} & {str(group) for group in test})
    if shared:
        raise ProtocolError(
            f"groups {', '.join(shared)} are in the training and in the test part",
            where=where,
            expected="disjoint groups",
        )

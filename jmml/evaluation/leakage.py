"""Proof that nothing was fitted on the people it is evaluated on.

Whoever fits an object on data (a scaler, a projection, an encoder, pairs, a search, a classifier) enters the rows it
was handed into a :class:`Certificate`, at the moment of the fit; the evaluation shows it the groups it is about to
predict. An overlap is an error, never a warning, and so is an object without an entry. The certificate is stored
beside the model and beside every result of a study.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, get_args

from jmml.config import Modality
from jmml.errors import ProtocolError

Role = Literal["fit", "label-free"]


@dataclass(frozen=True)
class Entry:
    """One object and the groups whose data it saw; ``rows`` counts the samples, ``digest`` fingerprints their ids.

    ``role`` is ``fit`` for whatever learns from training data. ``label-free`` marks what by its nature uses
    the recordings of the person it is applied to, never their labels (per-group normalisation): it is
    recorded, so that a reader sees that the result is transductive, and allowed.
    """

    name: str
    modality: Modality
    groups: tuple[str, ...]
    role: Role = "fit"
    rows: int = 0
    digest: str = ""


@dataclass
class Certificate:
    """Which groups each fitted object saw; and, where it was evaluated, what else the test part shares with training
    (``shares``, see :mod:`jmml.evaluation.shares`).

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
    shares: dict[str, dict[str, float]] = field(default_factory=dict)

    def add(
        self,
        name: str,
        modality: Modality,
        groups: Iterable[str],
        *,
        ids: Iterable[str] | None = None,
        role: Role = "fit",
    ) -> None:
        """Enter an object; ``groups`` may be the group of every row, repeats are dropped. The same entry counts once.

        Parameters
        ----------
        ids : of the samples the object was handed, so that :meth:`check_rows` can tell which they were.

        Raises
        ------
        ProtocolError
            If there is no group: an object fitted on nothing known cannot be certified.
        """
        seen = tuple(sorted({str(group) for group in groups}))
        if not seen:
            raise ProtocolError(f"'{name}' was fitted on no known group", where=modality)
        known = [] if ids is None else [str(i) for i in ids]
        entry = Entry(name, modality, seen, role, len(known), rows_digest(known) if known else "")
        if entry not in self.entries:
            self.entries.append(entry)

    def extend(self, other: Certificate, *, prefix: str = "") -> None:
        """Enter all objects of ``other``, for example those of an inner fold, under ``prefix`` + name."""
        self.entries += [replace(entry, name=prefix + entry.name) for entry in other.entries]

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

    def check_complete(self, expected: Iterable[tuple[str, Modality]]) -> None:
        """Raise :class:`ProtocolError` unless every expected object (name, modality) has an entry."""
        entered = {(entry.name, entry.modality) for entry in self.entries}
        missing = [f"'{name}' ({modality})" for name, modality in expected if (name, modality) not in entered]
        if missing:
            raise ProtocolError(
                f"no entry for {', '.join(missing)}",
                where="leakage certificate",
                expected="one for every fitted object",
                fix="train the model again",
            )

    def check_rows(self, modality: Modality, ids: Iterable[str], names: Iterable[str]) -> None:
        """Raise unless each of the objects ``names`` was fitted on exactly the samples ``ids`` of ``modality``.

        Raises
        ------
        ProtocolError
            If an object saw other samples, for example the windows of a trial that is evaluated.
        """
        known = [str(i) for i in ids]
        wanted, chosen = rows_digest(known), set(names)
        for entry in self.entries:
            if entry.modality == modality and entry.name in chosen and entry.digest != wanted:
                raise ProtocolError(
                    f"'{entry.name}' was fitted on {entry.rows} samples that are not those of the training part",
                    where=modality,
                    expected=f"its {len(known)} samples",
                    fix="fit it on the training part alone",
                )

    @property
    def transductive(self) -> bool:
        """Whether any object used the evaluated people's own recordings, without labels."""
        return any(entry.role == "label-free" for entry in self.entries)

    def to_json(self) -> str:
        told = {"shares": self.shares} if self.shares else {}
        return json.dumps({"entries": [asdict(entry) for entry in self.entries], **told}, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str, *, where: object = None) -> Certificate:
        """The inverse of :meth:`to_json`; :class:`ProtocolError` for anything else."""
        try:
            data = json.loads(text)
            certificate = cls(
                [
                    Entry(
                        str(e["name"]),
                        e["modality"],
                        tuple(map(str, e["groups"])),
                        e["role"],
                        int(e.get("rows", 0)),
                        str(e.get("digest", "")),
                    )
                    for e in data["entries"]
                ],
                {
                    str(key): {str(k): float(v) for k, v in of.items()}
                    for key, of in data.get("shares", {}).items()
                },
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ProtocolError(
                "is not a leakage certificate", where=where, fix="train the model again"
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


def rows_digest(ids: Iterable[str]) -> str:
    """16 hexadecimal digits of the SHA-256 of the sample ids, whatever their order."""
    return hashlib.sha256("\n".join(sorted(map(str, ids))).encode()).hexdigest()[:16]


def assert_disjoint(
    train: Iterable[str], test: Iterable[str], *, what: str = "groups", where: object = None
) -> None:
    """Raise :class:`ProtocolError` if a group (recording, sample) is in both."""
    shared = sorted({str(group) for group in train} & {str(group) for group in test})
    if shared:
        more = f", ... ({len(shared)} in all)" if len(shared) > 6 else ""
        raise ProtocolError(
            f"{what} {', '.join(shared[:6])}{more} are in the training and in the test part",
            where=where,
            expected=f"disjoint {what}",
        )

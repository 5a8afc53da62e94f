"""BIDS-EEG folders: recordings, people, sessions, events and kinds of channels, as their sidecars say.

Pernet, C. R., et al. (2019). EEG-BIDS, an extension to the brain imaging data structure for electroencephalography.
Scientific Data 6, 103. Which sidecar belongs to which recording is mne-bids' to say (Appelhoff et al. 2019).
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from jmml.data.eeg_files.reading import EEG, Event
from jmml.data.listing.columns import clean, field_of
from jmml.data.listing.recordings import Recordings
from jmml.data.listing.tables import read_text
from jmml.errors import DataError

DESCRIPTION = "dataset_description.json"
_TOLD = ("label", "valence", "arousal", "dominance", "text")
_STIMULI = ("stim_file", "stimulus", "film", "movie", "clip")  # columns that name what is shown
_SIDECARS = (".tsv", ".json")
_MISSING = ("", "n/a")


@dataclass(frozen=True)
class BidsFolder:
    """What a BIDS folder says.

    Attributes
    ----------
    recordings : one row per recording: ``path``, ``person``, ``session``.
    events : path -> events of its events.tsv; what other columns say of each stands in ``told``.
    others : path -> channels that channels.tsv calls something else than EEG.
    """

    recordings: Recordings
    events: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)


def is_bids(root: Path) -> bool:
    return (root / DESCRIPTION).is_file() and any(entry.is_dir() for entry in root.glob("sub-*"))


def describe_bids(root: Path, words: Collection[str] = ()) -> BidsFolder:
    """The EEG recordings of a BIDS folder and what its sidecars say of them.

    Parameters
    ----------
    words : for emotions; a recording without events whose task is one of them is a trial of it.

    Raises
    ------
    DataError : mne-bids is not installed, there is no EEG, a sidecar is no table.
    """
    try:
        import mne_bids
    except ModuleNotFoundError:
        raise DataError(
            "BIDS folders are read through mne-bids, which is not installed",
            where=root,
            fix="pip install 'jmml[bids]'",
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = mne_bids.find_matching_paths(
            root, datatypes="eeg", suffixes="eeg", extensions=list(EEG), ignore_json=True
        )
    rows, notes = [], []
    events: dict[str, tuple[Event, ...]] = {}
    others: dict[str, tuple[str, ...]] = {}
    for bids_path in sorted(found, key=lambda each: str(each.fpath)):
        path = bids_path.fpath.relative_to(root).as_posix()
        person = f"sub-{bids_path.subject}"
        session = None if bids_path.session is None else f"{person}_ses-{bids_path.session}"
        task = (bids_path.task or "").casefold()
        told = _sidecar(bids_path, "events")
        events[path] = () if told is None else _events(told)
        kinds = _sidecar(bids_path, "channels")
        others[path] = () if kinds is None else _others(kinds)
        label = bids_path.task if told is None and task in words else None
        rows.append({"path": path, "person": person, "session": session, "label": label})
        if bad := () if kinds is None else _bad(kinds):
            notes.append(f"{path}: channels.tsv calls {', '.join(bad)} bad")
    if not rows:
        raise DataError(
            "a BIDS folder without EEG", where=root, expected="sub-*/eeg/*_eeg.edf, .bdf, .vhdr or .set"
        )
    notes += _strangers(root, {row["person"] for row in rows})
    frame = pd.DataFrame(rows, dtype=object)
    sources = {"person": "folders (sub-)", "session": "folders (ses-)", "label": "events.tsv"}
    sidecars = [path.relative_to(root).as_posix() for end in _SIDECARS for path in root.rglob(f"*{end}")]
    recordings = Recordings(
        frame, sources, [], notes, modality="eeg", adapter="bids", sidecars=tuple(sorted(sidecars))
    )
    return BidsFolder(recordings, events, others)


def _sidecar(bids_path: Any, suffix: str) -> pd.DataFrame | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = bids_path.find_matching_sidecar(suffix=suffix, extension=".tsv", on_error="ignore")
    return None if place is None else read_text(Path(place))


def _events(table: pd.DataFrame) -> tuple[Event, ...]:
    names = next((column for column in ("trial_type", "value") if column in table), None)
    meant = {
        column: field_of(column) for column in table.columns if column not in ("onset", "duration", names)
    }
    meant |= {column: "text" for column in _STIMULI if column in table}
    found = []
    for row in table.to_dict("records"):
        onset = _seconds(row.get("onset"))
        if onset is None:
            continue
        told = {
            str(field): text
            for column, field in meant.items()
            if field in _TOLD and (text := clean(row[column])) is not None and text not in _MISSING
        }
        name = clean(row[names]) if names is not None else None
        found.append(
            Event(name or told.get("label") or "", onset, _seconds(row.get("duration")) or 0.0, told)
        )
    return tuple(sorted(found, key=lambda event: event.onset_s))


def _seconds(value: object) -> float | None:
    text = clean(value)
    if text is None or text in _MISSING:
        return None
    try:
        number = float(text)
    except ValueError:
        raise DataError(f"'{text}' is not a number of seconds", where="events.tsv") from None
    return number if abs(number) < float("inf") else None


def _others(table: pd.DataFrame) -> tuple[str, ...]:
    if not {"name", "type"} <= set(table):
        return ()
    return tuple(
        str(name)
        for name, kind in zip(table["name"], table["type"], strict=True)
        if str(kind).upper() != "EEG"
    )


def _bad(table: pd.DataFrame) -> tuple[str, ...]:
    if not {"name", "type", "status"} <= set(table):
        return ()
    rows = zip(table["name"], table["type"], table["status"], strict=True)
    return tuple(str(name) for name, kind, status in rows if status == "bad" and str(kind).upper() == "EEG")


def _strangers(root: Path, people: set[str]) -> list[str]:
    """People of whom participants.tsv and the folders do not both know."""
    place = root / "participants.tsv"
    if not place.is_file():
        return ["no participants.tsv"]
    table = read_text(place)
    if "participant_id" not in table:
        return ["participants.tsv has no column participant_id"]
    listed = {str(name).strip() for name in table["participant_id"]}
    notes = (
        [f"{len(people - listed)} people are not in participants.tsv, such as {min(people - listed)}"]
        if (people - listed)
        else []
    )
    if listed - people:
        notes.append(
            f"{len(listed - people)} people of participants.tsv have no EEG here, such as {min(listed - people)}"
        )
    return notes

"""Trials of continuous recordings: cut by events, by a table's start and end, or whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from jmml.data.eeg_files.reading import EEGFile, Event, inspect_eeg
from jmml.data.listing.recordings import COLUMNS, Recordings, tidy
from jmml.errors import DataError, RecordingError

SHOWN = 8
MOMENT_S = 0.2  # events that are shorter mark a moment: markers are written one sample long
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Cutting:
    """How trials are cut out of recordings.

    Attributes
    ----------
    events : name of an event at which a trial begins -> label of the trial. None takes the label that is known of the
        recording, else the name of the event.
    window_s : begin and end in seconds after the event (after the beginning of the recording, without events); None
        takes the duration of the event.
    """

    events: Mapping[str, str | None] = field(default_factory=dict)
    window_s: tuple[float, float] | None = None

    def __bool__(self) -> bool:
        return bool(self.events) or self.window_s is not None


def cut(
    root: Path,
    described: Recordings,
    cutting: Cutting,
    *,
    words: Collection[str] = (),
    events: Mapping[str, tuple[Event, ...]] | None = None,
    progress: Progress | None = None,
) -> Recordings:
    """A row per trial in place of a row per EEG recording.

    Without events in ``cutting``, rows with ``start_s`` and ``end_s`` and recordings whose label is known are trials as
    they are; else events whose names are ``words`` for emotions are, and those of which a label or ratings are told.
    ``events`` of a file, by its path, stand in place of those inside of it.

    Raises
    ------
    DataError : nothing says which emotion it is; an event that does not occur; a trial without a length; two ways at
        once.
    """
    frame = described.frame
    files, problems = _inspected(root, list(dict.fromkeys(frame["path"])), progress)
    if events is not None:
        files = {path: replace(file, events=events.get(path, ())) for path, file in files.items()}
    counts = Counter(event.name for file in files.values() for event in file.events)
    segments = any(name in frame and frame[name].notna().any() for name in ("start_s", "end_s"))
    chosen = dict(cutting.events)
    if chosen and segments:
        raise DataError("the table gives segments, and events were named as well", where=root, fix="keep one")
    if not (chosen or segments or _labelled(frame)):
        told = {event.name for file in files.values() for event in file.events if _says_emotion(event)}
        chosen = {name: None for name in counts if _last(name).casefold() in words or name in told}
        if not chosen and files:
            raise _no_label(root, counts)
    usable = frame[[path in files for path in frame["path"]]].reset_index(drop=True)
    if chosen:
        usable, more = _by_events(root, usable, files, _matched(root, chosen, counts), cutting.window_s)
        problems += more
        how = f"from the events {_shown(Counter({n: counts[n] for n in _matched(root, chosen, counts)}))}"
    elif cutting.window_s is not None:
        if segments:
            raise DataError("the table gives segments, and --trial-s as well", where=root, fix="keep one")
        begin, end = cutting.window_s
        usable = usable.assign(start_s=begin, end_s=end)
        how = f"{begin:g} to {end:g} s of each file"
    else:
        how = "segments of the table" if segments else "whole files"
    facts = [f"events: {_shown(counts)}" if counts else "events: none", f"trials: {how}", *_channels(files)]
    return replace(
        described,
        frame=usable[[name for name in COLUMNS if name in usable]].dropna(axis=1, how="all"),
        problems=[*described.problems, *problems],
        modality="eeg",
        facts=facts,
        companions={path: file.companions for path, file in files.items() if file.companions},
    )


def _inspected(
    root: Path, paths: list[str], progress: Progress | None
) -> tuple[dict[str, EEGFile], list[str]]:
    files: dict[str, EEGFile] = {}
    problems = []
    for done, path in enumerate(paths, start=1):
        try:
            files[path] = inspect_eeg(root / path, where=path)
        except RecordingError as error:
            problems.append(str(error))
        if progress is not None:
            progress(done, len(paths))
    return files, problems


def _labelled(frame: pd.DataFrame) -> bool:
    return any(name in frame and bool(frame[name].notna().any()) for name in ("label", "valence", "arousal"))


def _no_label(root: Path, counts: Counter[str]) -> DataError:
    found = f"; events: {_shown(counts)}" if counts else "; there are no events either"
    example = next(iter(counts), "S  1")
    return DataError(
        f"nothing says which emotion it is{found}",
        where=root,
        fix=f"say which events begin a trial and what they mean, --event '{example}=happy' --trial-s 4, or name the "
        "label in a table (--map label=COLUMN) or in the names of the files (--pattern '{speaker}_{label}.edf')",
    )


def _says_emotion(event: Event) -> bool:
    return "label" in event.told or {"valence", "arousal"} <= set(event.told)


def _plain(name: str) -> str:
    return "".join(name.casefold().split())


def _last(name: str) -> str:
    """``Stimulus/S  1`` of BrainVision is ``S  1`` to those who sent it."""
    return name.rsplit("/", 1)[-1].strip()


def _matched(root: Path, chosen: Mapping[str, str | None], counts: Counter[str]) -> dict[str, str | None]:
    """Name as it is in the recordings -> label."""
    found: dict[str, str | None] = {}
    for name, label in chosen.items():
        hits = [event for event in counts if _plain(name) in (_plain(event), _plain(_last(event)))]
        if not hits:
            raise DataError(f"no event '{name}'; events: {_shown(counts) or 'none'}", where=root)
        found |= dict.fromkeys(hits, label)
    return found


def _by_events(
    root: Path,
    frame: pd.DataFrame,
    files: Mapping[str, EEGFile],
    chosen: Mapping[str, str | None],
    window_s: tuple[float, float] | None,
) -> tuple[pd.DataFrame, list[str]]:
    twice = frame["path"][frame["path"].duplicated()]
    if len(twice):
        raise DataError(f"{twice.iloc[0]} has two rows, and events as well", where=root, fix="keep one row")
    rows: list[dict[str, Any]] = []
    problems, endless, at = [], Counter[str](), Counter[str]()
    for known in frame.to_dict("records"):
        file = files[known["path"]]
        for event in (event for event in file.events if event.name in chosen):
            if window_s is None and event.duration_s < MOMENT_S:
                endless[event.name] += 1
                continue
            begin, end = (0.0, event.duration_s) if window_s is None else window_s
            start_s, end_s = event.onset_s + begin, event.onset_s + end
            wrong = _outside(file, start_s, end_s)
            if wrong:
                problems.append(f"{known['path']}: the trial at '{event.name}', {event.onset_s:g} s, {wrong}")
                continue
            label = chosen[event.name] or event.told.get("label") or known.get("label")
            if label is None and not _says_emotion(event):
                label = _last(event.name)
            times = {"start_s": round(start_s, 6), "end_s": round(end_s, 6)}
            rows.append(
                {
                    **{str(name): value for name, value in known.items()},
                    **event.told,
                    "label": label,
                    **times,
                    "order": float(at[known["path"]]),
                }
            )
            at[known["path"]] += 1
    if endless:
        raise DataError(
            f"{sum(endless.values())} events have no duration ({_shown(endless)})",
            where=root,
            fix="say how long a trial is, in seconds after the event: --trial-s 4, or --trial-s 0.5:4.5",
        )
    if not rows:
        raise DataError(
            f"no trial can be cut: {problems[0] if problems else 'no event of these names'}", where=root
        )
    return tidy(pd.DataFrame(rows, dtype=object), root), problems


def _outside(file: EEGFile, start_s: float, end_s: float) -> str:
    slack = 0.5 / file.sample_rate_hz
    if start_s < -slack or end_s > file.duration_s + slack:
        return f"lasts from {start_s:g} to {end_s:g} s, the recording {file.duration_s:g} s"
    broken = next((at for at in file.breaks if start_s < at < end_s), None)
    return "" if broken is None else f"goes over a break of the recording at {broken:g} s"


def _channels(files: Mapping[str, EEGFile]) -> list[str]:
    """What channels there are, and files that differ from the rest."""
    if not files:
        return []
    kinds = Counter((file.channels, file.sample_rate_hz) for file in files.values())
    (channels, rate), count = kinds.most_common(1)[0]
    others = list(dict.fromkeys(name for file in files.values() for name in file.others))
    left = (
        f" (left out, no EEG: {', '.join(others[:SHOWN])}{', ...' * (len(others) > SHOWN)})" if others else ""
    )
    lines = [f"channels: {len(channels)} at {rate:g} Hz{left}"]
    if count < len(files):
        odd = next(
            path for path, file in files.items() if (file.channels, file.sample_rate_hz) != (channels, rate)
        )
        lines.append(
            f"{len(files) - count} of {len(files)} files have other channels or another rate, such as {odd}"
        )
    return lines


def _shown(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    more = f", ... ({len(ordered)} names)" if len(ordered) > SHOWN else ""
    return ", ".join(f"{name} {count}" for name, count in ordered[:SHOWN]) + more


def parse_events(words: Collection[str]) -> dict[str, str | None]:
    """``NAME`` or ``NAME=LABEL``, as people write events.

    Example
    -------
    >>> parse_events(["S  1=happy", "rest"])
    {'S  1': 'happy', 'rest': None}
    """
    found: dict[str, str | None] = {}
    for word in words:
        name, separator, label = word.rpartition("=") if "=" in word else (word, "", "")
        if not name.strip() or (separator and not label.strip()):
            raise DataError(f"'{word}' is not NAME or NAME=LABEL", where="--event")
        found[name.strip()] = label.strip() or None
    return found


def parse_window(text: str) -> tuple[float, float]:
    """``4`` or ``0.5:4.5``: seconds after an event.

    Example
    -------
    >>> parse_window("4"), parse_window("-0.5:2")
    ((0.0, 4.0), (-0.5, 2.0))
    """
    first, separator, last = text.partition(":")
    try:
        begin, end = (float(first), float(last)) if separator else (0.0, float(first))
    except ValueError:
        begin, end = 0.0, 0.0
    if not begin < end < float("inf"):
        raise DataError(
            f"'{text}' is no length of a trial", where="--trial-s", expected="4, or 0.5:4.5, in seconds"
        )
    return begin, end

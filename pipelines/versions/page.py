"""The page of `jmml data diff`: what differs, to read and to listen to, in one HTML file that needs nothing else.

Recordings lie in the page as FLAC, up to :data:`CLIPS` of them and :data:`LONGEST_S` of each; whatever corpora say of
themselves is escaped, and a page may run no script.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from jmml.data.corpora import Corpus
from jmml.errors import DataError, JMMLError
from jmml.files import atomic_path
from jmml.printable import printable
from pipelines.corpora.scan import open_corpus
from pipelines.reporting.pages import render
from pipelines.reporting.wording import many
from pipelines.versions.diff import CorpusDifference, Difference
from pipelines.versions.difference import KINDS, Row
from pipelines.versions.reading import Side
from pipelines.workspace.project import Project

CLIPS = 200  # recordings in one page
LONGEST_S = 20.0  # of each
_FOLDER = Path(__file__).parent / "templates"
_SAID = ("group", "label", "valence", "arousal", "text", "session", "device")


def write_page(project: Project, found: Difference, path: Path) -> str:
    """Write the page of a difference; where it lies.

    Raises
    ------
    DataError : it cannot be written.
    """
    page = render(
        _FOLDER,
        "difference.html.jinja",
        style=(_FOLDER / "difference.css").read_text(encoding="utf-8"),
        sound=True,
        kind="Difference of corpora",
        heading=f"{found.a} to {found.b}",
        lead="; ".join(f"{one.name}: {one.summary}" for one in found.corpora) or "No corpus differs.",
        about="",
        provenance=[("project", str(project.root)), ("earlier", found.a), ("later", found.b)],
        settings="\n".join(line for one in found.corpora for line in (row.line() for row in one.rows)),
        settings_name="All differences as text",
        a=found.a,
        b=found.b,
        corpora=list(_corpora(found)),
    )
    try:
        with atomic_path(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"the page cannot be written: {error.strerror or error}",
            where=path,
            fix="name another file with --page",
        ) from error
    return str(path)


def _corpora(found: Difference) -> Iterator[dict[str, Any]]:
    room = CLIPS
    for one in found.corpora:
        voice = Voice(one, room)
        kinds = []
        for kind in KINDS:
            rows = [row for row in one.rows if row.kinds[0] == kind]
            if rows:
                kinds.append({"name": kind, "rows": [_row(row, one, voice) for row in rows]})
        room = voice.room
        sizes = f"{len(one.before.manifest)} recordings before, {len(one.after.manifest)} after"
        silent = ""
        if one.entry.modality != "speech":
            silent = "EEG is not heard."
        elif voice.left_out:
            silent = f"{many(voice.left_out, 'recording')} beyond the first {CLIPS} are not in the page."
        yield {"name": one.name, "sizes": sizes, "summary": one.summary, "silent": silent, "kinds": kinds}


def _row(row: Row, corpus: CorpusDifference, voice: Voice) -> dict[str, Any]:
    same = "replaced" not in row.kinds and row.before is not None and row.after is not None
    sides = [
        _side(row.before, corpus.before, None if same else voice),
        _side(row.after, corpus.after, voice),
    ]
    return {"id": row.id, "told": ", ".join(row.kinds), "sides": sides}


def _side(said: Mapping[str, Any] | None, side: Side, voice: Voice | None) -> dict[str, Any]:
    """What one version says of a recording, and how it sounds; without a ``voice`` it is that of the other version."""
    if said is None:
        return {"said": "-", "sound": None, "why": ""}
    sound, why = (None, "the same recording") if voice is None else voice.clip(str(said["id"]), side)
    told = ", ".join(f"{key} {said[key]}" for key in _SAID if key in said)
    return {"said": printable(told), "sound": sound, "why": why}


class Voice:
    """Recordings of both sides as addresses that hold them; ``room`` is how many more there may be."""

    def __init__(self, one: CorpusDifference, room: int) -> None:
        self.adapter: Corpus | None = None
        if one.entry.modality == "speech" and one.entry.adapter != "table":
            self.adapter = open_corpus(one.name, one.entry)
        self.room, self.left_out = room, 0

    def clip(self, identity: str, side: Side) -> tuple[str | None, str]:
        """A ``data:`` address of a recording, or why there is none."""
        if self.adapter is None:
            return None, ""
        if self.room == 0:
            self.left_out += 1
            return None, "not in the page"
        frame = side.manifest.frame
        (row,) = frame[frame["id"] == identity].itertuples(index=False)
        try:
            recording = self.adapter.read(side.root, row)
        except JMMLError as error:
            return None, printable(error.what)
        self.room -= 1
        rate = round(recording.sample_rate_hz)
        samples = np.clip(recording.signal[0][: int(LONGEST_S * rate)], -1.0, 1.0)
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, rate, format="FLAC", subtype="PCM_16")
        cut = len(recording.signal[0]) > len(samples)
        address = f"data:audio/flac;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        return address, f"the first {LONGEST_S:g} s" if cut else ""

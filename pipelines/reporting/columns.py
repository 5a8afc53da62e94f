"""Tables and labelled texts that fit the terminal: columns become shorter, closer, and go, in that order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

LABEL = 9  # characters that the label before a text takes
_GAP = 2  # characters between two columns


@dataclass(frozen=True)
class Column:
    """One column; those of a high ``rank`` are the first to go where there is no room, rank 0 never goes.

    ``short`` is the same in less room, for narrow terminals.
    """

    heading: str
    cells: Sequence[Text | str]
    rank: int
    justify: Literal["left", "right"] = "right"
    short: Column | None = None

    @property
    def width(self) -> int:
        cells = (cell.cell_len if isinstance(cell, Text) else cell_len(cell) for cell in self.cells)
        return max(cell_len(self.heading), *cells)


def fitted(columns: Sequence[Column], width: int, below: str = "") -> RenderableType:
    """The columns in ``width`` characters: shorter where they have to be, then closer to each other. Those for which
    there is no room even so are named below."""
    forms, gap = _shortened(columns, width), _GAP
    if sum(form.width for form in forms) + gap * (len(forms) - 1) > width:
        gap = 1
    kept: set[int] = set()
    left = width + gap
    for place in sorted(range(len(forms)), key=lambda place: forms[place].rank):
        left -= forms[place].width + gap
        if left < 0 and forms[place].rank:
            break  # nothing of less weight comes in its stead
        kept.add(place)
    shown = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True, padding=(0, gap - 1)
    )
    chosen = [forms[place] for place in sorted(kept)]
    for column in chosen:
        shown.add_column(column.heading, justify=column.justify, no_wrap=True)
    for cells in zip(*(column.cells for column in chosen), strict=True):
        shown.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in cells))
    dropped = ", ".join(column.heading for place, column in enumerate(columns) if place not in kept)
    missing = f"no room for {dropped}" if dropped else ""
    foot = "; ".join(text for text in (below, missing) if text)
    return Group(shown, Text(foot, style="dim")) if foot else shown


def _shortened(columns: Sequence[Column], width: int) -> list[Column]:
    """As many columns in their short form as it takes to fit, those first that gain the most."""
    forms = list(columns)

    def gain(place: int) -> int:
        short = columns[place].short
        return 0 if short is None else columns[place].width - short.width

    for place in sorted(range(len(forms)), key=gain, reverse=True):
        short = columns[place].short
        if short is None or gain(place) <= 0 or sum(f.width + _GAP for f in forms) - _GAP <= width:
            break
        forms[place] = short
    return forms


def labelled(rows: Iterable[tuple[str, str]]) -> Table:
    """Texts with their labels in a column of their own."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=LABEL - 2, no_wrap=True)
    for label, text in rows:
        grid.add_row(Text(label, style="dim"), Text(text, overflow="fold"))
    return grid


def magnitude(number: float) -> str:
    """``950``, ``12.3k``, ``4.1M``, ``2.0G``."""
    for unit in ("", "k", "M"):
        if abs(number) < 1000:
            return f"{number:.1f}{unit}" if unit or number != int(number) else f"{int(number)}"
        number /= 1000
    return f"{number:.1f}G"

"""All that reaches a terminal: the console on which text is text, tables and labelled texts that fit it, curves.

In a table with too little room columns become shorter, closer, and go, in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from jmml.printable import printable

LABEL = 9  # characters that the label before a text takes
_GAP = 2  # characters between two columns
_BRAILLE = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # by column and row of one character
_END_OF_LINE = "\n"


class PlainConsole(Console):
    """Rich's console that reads no markup, no emoji names and no colours into text, and shows control characters.

    Rich keeps the text of what it draws apart from what it sends to move the cursor or change the colour. The text
    alone is made printable: before its layout, so that the end of a line in a name ends none here, and once more after
    it, for what came in as Rich's own objects.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text == _END_OF_LINE:
                yield segment
            else:
                lines = segment.text.split(_END_OF_LINE)
                yield segment._replace(text=_END_OF_LINE.join(map(printable, lines)))


def plain_text(*parts: str | tuple[str, str], style: str = "", **options: Any) -> Text:
    """One line in which each part may have a style of its own; line ends in it are shown, as in all text."""
    pairs = ((part, "") if isinstance(part, str) else part for part in parts)
    return Text.assemble(*((printable(text), own) for text, own in pairs), style=style, **options)


# Tables ---------------------------------------------------------------------------------------------------


def plain_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None, left: int = 1
) -> Table:
    """The first ``left`` columns flush left, the others (numbers) flush right; long texts are folded."""
    shown = None if title is None else printable(title)
    table = Table(title=shown, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(printable(column), justify="left" if number < left else "right")
    for row in rows:
        table.add_row(*map(printable, row))
    return table


@dataclass(frozen=True)
class Column:
    """One column; those of a high ``rank`` are the first to go where there is no room, rank 0 never goes.

    ``short`` is the same in less room, for narrow terminals. Cells that are text are made printable.
    """

    heading: str
    cells: Sequence[Text | str]
    rank: int
    justify: Literal["left", "right"] = "right"
    short: Column | None = None

    def __post_init__(self) -> None:
        cells = [cell if isinstance(cell, Text) else printable(cell) for cell in self.cells]
        object.__setattr__(self, "heading", printable(self.heading))
        object.__setattr__(self, "cells", cells)

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
    return Group(shown, plain_text(foot, style="dim")) if foot else shown


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
        grid.add_row(plain_text(label, style="dim"), plain_text(text, overflow="fold"))
    return grid


# Curves ---------------------------------------------------------------------------------------------------


def curve(
    steps: Sequence[tuple[float, float]], end: float, *, width: int, height: int, plain: bool = False
) -> list[str]:
    """A staircase through ``steps``, with the range of its values at the left.

    Parameters
    ----------
    steps : ``(x, y)`` where the value became ``y``, in the order of x; it holds until the next step.
    end : x at the right border.
    width, height : characters, labels included.
    plain : characters of ASCII instead of Braille dots.

    Example
    -------
    >>> for line in curve([(0, 0.25), (5, 0.5)], 10, width=16, height=3, plain=True): print(line)
    0.500 |    ****
          |    *
    0.250 |*****
    """
    if not steps:
        return []
    low, high = min(y for _, y in steps), max(y for _, y in steps)
    labels = [f"{high:.3f}", *[""] * (height - 2), f"{low:.3f}"][:height]
    left = max(map(len, labels))
    columns = max(1, width - left - 3)
    across, down = (1, 1) if plain else (2, 4)
    grid = _draw(steps, end, low, high, columns * across, height * down)
    lines = []
    for row, label in enumerate(labels):
        cells = [_cell(grid, row, column, plain) for column in range(columns)]
        lines.append(f"{label:>{left}} {'|' if plain else '│'}{''.join(cells).rstrip()}")
    return lines


def _draw(
    steps: Sequence[tuple[float, float]], end: float, low: float, high: float, columns: int, rows: int
) -> list[list[bool]]:
    """Dots of the staircase, rows from the top."""
    grid = [[False] * columns for _ in range(rows)]
    first = min(steps[0][0], end)
    span = max(end - first, 1e-9)

    def column(x: float) -> int:
        return min(columns - 1, max(0, int((x - first) / span * (columns - 1) + 0.5)))

    def row(y: float) -> int:
        return rows - 1 if high == low else round((high - y) / (high - low) * (rows - 1))

    before = row(steps[0][1])
    for number, (x, y) in enumerate(steps):
        start, level = column(x), row(y)
        stop = column(steps[number + 1][0]) if number + 1 < len(steps) else columns - 1
        for across in range(start, stop + 1):
            grid[level][across] = True
        for down in range(min(before, level), max(before, level) + 1):
            grid[down][start] = True
        before = level
    return grid


def _cell(grid: list[list[bool]], row: int, column: int, plain: bool) -> str:
    if plain:
        return "*" if grid[row][column] else " "
    bits = sum(
        bit
        for across, dots in enumerate(_DOTS)
        for down, bit in enumerate(dots)
        if grid[4 * row + down][2 * column + across]
    )
    return chr(_BRAILLE + bits) if bits else " "

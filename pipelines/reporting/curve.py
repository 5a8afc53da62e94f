"""A curve drawn with characters: the best score so far against the time at work."""

from __future__ import annotations

from collections.abc import Sequence

_BRAILLE = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # by column and row of one character


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

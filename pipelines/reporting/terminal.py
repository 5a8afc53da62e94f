"""The one kind of console that anything is shown on: text is text, whatever it holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from jmml.printable import printable

_END_OF_LINE = "\n"


class PlainConsole(Console):
    """Rich's console that reads no markup, no emoji names and no colours into text, and shows control characters.

    Rich keeps the text of what it draws apart from what it sends to move the cursor or change the colour. The text
    alone is made printable, after its layout, which that does not change.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"markup": False, "emoji": False, "highlight": False, **options})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control or segment.text == _END_OF_LINE:
                yield segment
            else:
                lines = segment.text.split(_END_OF_LINE)
                yield segment._replace(text=_END_OF_LINE.join(map(printable, lines)))

"""Figures in a page: the colours of its style, elements of SVG that say no more than they must, embedded PNG files.

Colours and lines of a picture are classes of the page's style: a page's policy forbids style attributes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup, escape

from jmml.evaluation.palette import DARK, LIGHT

Point = tuple[float, float]


def colours() -> str:
    """Rules for the variables ``--blue`` and the like, light or dark as the reader's system is; print is light."""

    def variables(palette: Mapping[str, str]) -> str:
        return " ".join(f"--{name}: {value};" for name, value in palette.items())

    return (
        f":root {{ color-scheme: light; {variables(LIGHT)} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {variables(DARK)} }} }}\n"
    )


def embedded(png: bytes) -> str:
    """The address of an image that lies in the page."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def element(name: str, *content: str, **attributes: object) -> Markup:
    """``<name a="b">content</name>``; ``class_`` is class, other underscores are hyphens, None leaves it out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_n(value) if isinstance(value, float) else str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(str(escape(part)) for part in content)
    return Markup(f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>")


def text(x: float, y: float, words: str, class_: str = "tick", anchor: str | None = None) -> Markup:
    """One line of text; ``anchor`` is start (default), middle or end."""
    return element("text", words, x=float(x), y=float(y), class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("path", d=f"M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}", class_=class_)


def path(points: Iterable[Point]) -> str:
    """Data of a path through ``points``."""
    return "M" + " ".join(f"{_n(x)} {_n(y)}" for x, y in points)


def steps(points: Sequence[Point]) -> str:
    """Data of a path that keeps each height until the next point."""
    if not points:
        return ""
    (x, y), *others = points
    return f"M{_n(x)} {_n(y)}" + "".join(f"H{_n(x)}V{_n(y)}" for x, y in others)


def dots(points: Iterable[Point]) -> str:
    """Data of a path that is nothing but dots (with round line ends): thousands of them take little room."""
    return "".join(f"M{_n(x)} {_n(y)}h0" for x, y in points)


def svg(
    width: float,
    height: float,
    content: Sequence[str],
    *,
    label: str,
    class_: str | None = None,
    natural: bool = False,
) -> Markup:
    """A picture that fills the width it is given; a ``natural`` one is never smaller than drawn."""
    return element(
        "svg",
        *content,
        viewBox=f"0 0 {_n(width)} {_n(height)}",
        width=float(width) if natural else None,
        role="img",
        aria_label=label,
        class_=class_,
    )


def _n(value: float) -> str:
    """One decimal, without what says nothing."""
    found = f"{value:.1f}"
    return found[:-2] if found.endswith(".0") else found

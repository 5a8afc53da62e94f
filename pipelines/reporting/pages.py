"""HTML pages that need nothing but themselves: templates are escaped, style and script lie in the page.

Every page extends ``page.html.jinja`` and fills its block ``content``.

Every page has a content security policy that allows exactly its own style and script, by their digests, and embedded
images: nothing is fetched, and text that finds its way into a page cannot run.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipelines.reporting.figures import colours

SHARED = Path(__file__).parent / "templates"


def render(
    folder: Path, template: str, *, script: str = "", style: str = "", sound: bool = False, **values: Any
) -> str:
    """A page from ``folder / template``.

    The template gets ``values``, and ``css`` and ``script`` to be put between their tags as they are, and ``policy``;
    the skeleton needs ``kind``, ``heading``, ``lead``, ``about``, ``provenance``, ``settings`` and ``settings_name``.

    Parameters
    ----------
    style : rules besides those that all pages share.
    sound : whether recordings are embedded in it.
    """
    environment = Environment(
        loader=FileSystemLoader([folder, SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    css = colours() + (SHARED / "page.css").read_text(encoding="utf-8") + style
    policy = (
        f"default-src 'none'; img-src data:; style-src {_digest(css)}; base-uri 'none'; form-action 'none'"
    )
    if sound:
        policy += "; media-src data:"
    if script:
        policy += f"; script-src {_digest(script)}"
    page = environment.get_template(template)
    return page.render(css=Markup(css), script=Markup(script), policy=policy, **values)


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

"""Installed packages as they lie on disk, for tests: modules, and a distribution that names them."""

from __future__ import annotations

from pathlib import Path

ADAPTER = """
from jmml.data.corpora import CodedCorpus, register_corpus
from jmml.data.listing.naming import naming_of


@register_corpus("{name}")
class Theirs(CodedCorpus):
    name = "{name}"
    layout = "files named like calls-01_anger_1.wav"
    example = "calls-01_anger_1.wav"
    naming = naming_of("calls-{{speaker:d}}_{{label:a}}_{{text:d}}.wav")
    native_labels = {{"anger": "anger", "calm": "calm", "joy": "happiness", "sad": "sadness"}}
"""


def install(site: Path, package: str, files: dict[str, str], points: str) -> Path:
    """Write the modules of a package below ``site``, and metadata with the text of its ``entry_points.txt``."""
    for name, text in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    info = site / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    return site

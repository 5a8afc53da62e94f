"""Revisions in definitions: a corpus by its name, and the git revision at which it is read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import SerializerFunctionWrapHandler, model_serializer

from jmml.config import Section, matching

# What git could take for an option, or for a range, is none.
Revision = Annotated[
    str, matching(r"(?!-)(?!.*\.\.)[^\s\x00-\x1f:]{1,200}", "a commit, tag or branch of git, such as v1.2")
]


def data_rev(rev: str | None) -> list[str]:
    """Overrides of a sweep's definition that name a revision for both of its corpora (``--data-rev``)."""
    return [] if rev is None else [f"corpora.{modality}.rev={rev}" for modality in ("speech", "eeg")]


class AtRevision(Section):
    """Base of what may name a revision; where none is named, it is not part of the definition."""

    rev: Revision | None = None

    @model_serializer(mode="wrap")
    def _said(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        return {key: value for key, value in data.items() if key != "rev" or value is not None}

"""Reading the registry: versions of the registered model ``jmml``, their aliases, the champion's history."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from jmml.errors import RegistryError
from jmml.evaluation.wording import interval
from pipelines.registry import gates
from pipelines.tracking.tracker import MODEL_NAME, ModelVersion, Tracker

CHAMPION, CHALLENGER = "champion", "challenger"
HISTORY = "jmml.champion_history"
SHOWN_METRICS = (*gates.REQUIRED, *gates.INTERVAL, "raw_uar", "jec_ssl_uar", "best_val_uar")
LOGGED_MODEL = re.compile(r"m-[0-9a-f]{32}")


@dataclass(frozen=True)
class Version:
    """One registered version with the figures of its run.

    Attributes
    ----------
    run_name : name of the sweep the model comes from.
    model_id : MLflow's identifier of the logged model behind it (``m-...``).
    metrics : held-out metrics of the run, as far as it has them.
    """

    version: int
    run_id: str
    run_name: str
    model_id: str
    created: datetime
    aliases: tuple[str, ...] = ()
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        return f"models:/{MODEL_NAME}/{self.version}"

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return {
            **vars(self),
            "uri": self.uri,
            "aliases": list(self.aliases),
            "created": self.created.isoformat(timespec="seconds"),
        }

    def cells(self) -> tuple[str, ...]:
        """version, aliases, run, test UAR, its interval, raw, one-hot, created (UTC); "-" where unknown."""

        def shown(key: str) -> str:
            return f"{self.metrics[key]:.3f}" if key in self.metrics else "-"

        return (
            str(self.version),
            ", ".join(self.aliases) or "-",
            self.run_name or "-",
            shown("test_uar"),
            interval_text(self.metrics) or "-",
            shown("raw_uar"),
            shown("one_hot_uar"),
            f"{self.created:%Y-%m-%d %H:%M}",
        )


def interval_text(metrics: Mapping[str, float]) -> str:
    """``0.412 to 0.523``; nothing where there is none. What covers all that is possible is none: earlier versions
    computed it of fewer than four speakers."""
    low, high = (metrics.get(key, math.nan) for key in gates.INTERVAL)
    return "" if math.isnan(low) or math.isnan(high) or (low <= 0 and high >= 1) else interval(low, high)


def versions(tracker: Tracker) -> list[Version]:
    """All versions, newest first."""
    by_number: dict[int, list[str]] = {}
    for name, number in aliases(tracker).items():
        by_number.setdefault(number, []).append(name)
    found = []
    for item in tracker.model_versions(MODEL_NAME):
        metrics = {
            key: float(item.tags[key])
            for key in SHOWN_METRICS
            if key in item.tags and _is_number(item.tags[key])
        }
        number = int(item.version)
        found.append(
            Version(
                version=number,
                run_id=item.run_id or "",
                run_name=item.tags.get("jmml.sweep", ""),
                model_id=model_id(item),
                created=datetime.fromtimestamp(item.creation_timestamp / 1000, UTC),
                aliases=tuple(sorted(by_number.get(number, []))),
                metrics=metrics,
            )
        )
    return sorted(found, key=lambda entry: -entry.version)


def find(tracker: Tracker, number: int) -> Version:
    """The version of that number; :class:`RegistryError` names those there are."""
    known = versions(tracker)
    for entry in known:
        if entry.version == number:
            return entry
    raise RegistryError(
        f"no version {number} of model '{MODEL_NAME}'",
        expected=f"one of {', '.join(str(v.version) for v in reversed(known))}" if known else None,
        fix="see `jmml model list`" if known else "register a finished sweep with `jmml model register`",
    )


def aliases(tracker: Tracker) -> dict[str, int]:
    """Alias -> version; empty before the first registration."""
    model = tracker.registered_model(MODEL_NAME)
    return {} if model is None else {name: int(number) for name, number in model.aliases.items()}


def by_alias(tracker: Tracker, alias: str) -> int:
    """The version an alias points at; :class:`RegistryError` says what to do when there is none."""
    known = aliases(tracker)
    if alias in known:
        return known[alias]
    if alias == CHAMPION:
        raise RegistryError(
            "there is no champion yet",
            where=f"models:/{MODEL_NAME}@{alias}",
            fix="run `jmml model promote`"
            if known
            else "run `jmml model register`, then `jmml model promote`",
        )
    raise RegistryError(
        "no such alias",
        where=f"models:/{MODEL_NAME}@{alias}",
        expected=f"one of {', '.join(sorted(known))}" if known else None,
        fix="see `jmml model list`",
    )


def history(tracker: Tracker) -> list[dict[str, Any]]:
    """Every move of the champion, oldest first: ``action``, ``version``, ``previous``, ``time`` (UTC)."""
    model = tracker.registered_model(MODEL_NAME)
    text = (model.tags if model else {}).get(HISTORY, "[]")
    try:
        events = json.loads(text)
        return [dict(event) for event in events if int(event["version"])]
    except (ValueError, TypeError, KeyError):
        raise RegistryError(
            "the history of champions is damaged",
            where=f"tag {HISTORY} of model {MODEL_NAME}",
            expected="a JSON list",
            fix="repair the tag in the UI",
        ) from None


def model_id(version: ModelVersion) -> str:
    """Identifier of the logged model behind a version, read from its source: over REST the field is empty."""
    found = LOGGED_MODEL.findall(str(version.source))
    return found[-1] if found else ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

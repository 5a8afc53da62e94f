"""Which runs, and which versions of the registered model, were trained on a person: by their leakage certificates."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jmml.errors import JMMLError
from pipelines.registry.versions import versions
from pipelines.tracking.run_tags import STUDY, SWEEP
from pipelines.tracking.tracker import Tracker
from pipelines.workspace.project import Project, sqlite_uri

# Where a run keeps the certificates of all that was fitted in it.
_CERTIFICATES = {SWEEP: ("evidence", "certificate.json"), STUDY: ("", "certificate.json")}


@dataclass(frozen=True)
class Trained:
    """A run that was trained on a person.

    Attributes
    ----------
    versions : of the registered model that come from it, with their aliases.
    certain : whether its certificate names the person; one that has none was given the corpus, at least.
    """

    run_id: str
    name: str
    kind: str
    versions: Mapping[int, tuple[str, ...]]
    certain: bool

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "versions": {str(k): list(v) for k, v in self.versions.items()}}

    def line(self) -> str:
        told = [
            f"version {number}" + (f" ({', '.join(aliases)})" if aliases else "")
            for number, aliases in self.versions.items()
        ]
        sure = "" if self.certain else ", which has no certificate: it was given the corpus"
        return f"{self.kind} {self.name} (run {self.run_id}){sure}" + (f": {', '.join(told)}" if told else "")


def trained_on(project: Project, person: str, corpora: Mapping[str, str]) -> list[Trained]:
    """Runs that were trained on a person, newest first.

    Parameters
    ----------
    corpora : modality of each corpus in which the person is called so.

    Raises
    ------
    TrackingError : the store cannot be read.
    """
    if (
        project.tracking_uri == sqlite_uri(database := project.mlruns_dir / "mlflow.db")
        and not database.exists()
    ):
        return []  # nothing was ever tracked; connecting would make a store
    tracker = Tracker.connect(project)
    of_run: dict[str, dict[int, tuple[str, ...]]] = {}
    for version in versions(tracker):
        of_run.setdefault(version.run_id, {})[version.version] = version.aliases
    found = []
    for kind in (SWEEP, STUDY):
        for run in tracker.runs(kind=kind):
            given = _given(run, corpora)
            if not given:
                continue
            certain = _names(tracker, run, kind, person, {corpora[name] for name in given})
            if certain is not False:
                name = run.info.run_name or run.info.run_id
                own = of_run.get(run.info.run_id, {})
                found.append(Trained(run.info.run_id, name, kind, own, certain is True))
    return found


def _given(run: Any, corpora: Iterable[str]) -> list[str]:
    """The corpora that a run read; all, where it does not say which."""
    inputs = run.inputs.dataset_inputs if run.inputs else []
    names = {item.dataset.name for item in inputs}
    return [name for name in corpora if not names or not names.isdisjoint({name, f"{name} features"})]


def _names(tracker: Tracker, run: Any, kind: str, person: str, modalities: set[str]) -> bool | None:
    """Whether something was fitted on the person; None where the run has no certificate that can be read."""
    folder, name = _CERTIFICATES[kind]
    with tempfile.TemporaryDirectory() as temporary:
        try:
            place = tracker.download(run.info.run_id, f"{folder}/{name}".lstrip("/"), Path(temporary))
            entries = list(_entries(json.loads(place.read_text(encoding="utf-8"))))
        except (JMMLError, OSError, ValueError, TypeError, KeyError):
            return None
    return any(
        entry.get("role") == "fit"
        and entry.get("modality") in modalities
        and person in entry.get("groups", ())
        for entry in entries
    )


def _entries(data: Any) -> Iterator[Mapping[str, Any]]:
    """Entries of one certificate, or of those of all cells of a study."""
    for certificate in data if isinstance(data, list) else [data]:
        yield from certificate["entries"]

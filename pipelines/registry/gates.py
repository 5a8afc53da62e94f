"""Promotion gates: pure functions from what a run left behind to a verdict.

A gate takes a :class:`Candidate` and returns a :class:`Verdict`; it changes nothing and needs no store. A version
becomes champion when all gates pass. A project adds one as a file of its own (``gates/fair_to_all.py``):

    @register_gate("fair-to-all")
    def fair_to_all(candidate: Candidate) -> Verdict: ...
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jmml.config import Modality
from jmml.errors import DataError, ProtocolError, RegistryError
from jmml.evaluation import evidence
from jmml.evaluation.leakage import Certificate
from jmml.evaluation.metrics import uar
from jmml.evaluation.statistics import MIN_SPEAKERS
from jmml.evaluation.wording import NO_INTERVAL, speakers
from jmml.files import sha256_file
from jmml.plugins import Registry
from pipelines.workspace.withdrawn import Withdrawal

EVIDENCE_DIGEST = "jmml.evidence_digest"
MODEL_DIGEST = "jmml.model_digest"
LINEAGE_TAGS = ("jmml.git_sha", "jmml.git_dirty", "jmml.params_digest", "jmml.split_digest")
# Metric of the run -> method of the evidence whose UAR it claims.
CLAIMS = {"test_uar": "jmml", "raw_uar": "raw", "jec_ssl_uar": "jec-ssl", "one_hot_uar": "one-hot"}
# Tag of the run -> key of the model's context that must say the same.
MADE_FOR = {"jmml.outer_fold": "outer_fold", "jmml.split_digest": "split_digest"}
SERVED = "jmml"  # the method that is registered
REQUIRED = ("test_uar", "one_hot_uar")
INTERVAL = ("test_uar_ci_low", "test_uar_ci_high")
TOLERANCE = 1e-6
NO_EVIDENCE = "cannot be checked without evidence"


@dataclass(frozen=True)
class Verdict:
    """The outcome of one gate, with the reason in words."""

    name: str
    passed: bool
    reason: str


@dataclass(frozen=True)
class Candidate:
    """The files and records of a sweep's run that the gates judge.

    Attributes
    ----------
    folder : local copy of the run's ``evidence/`` artifacts; it may lack any file, or not exist.
    model : local copy of the recogniser of the version to promote; it may lack any file, or not exist.
    withdrawn : who has withdrawn, of any corpus (:mod:`pipelines.workspace.withdrawn`).
    """

    status: str
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    folder: Path
    model: Path
    withdrawn: tuple[Withdrawal, ...] = ()

    @property
    def evidence_path(self) -> Path:
        return self.folder / "evidence.parquet"

    @property
    def certificate_path(self) -> Path:
        return self.folder / "certificate.json"

    @cached_property
    def evidence(self) -> pd.DataFrame | str:
        """The evidence, or the reason why it cannot be read."""
        if not self.evidence_path.is_file():
            return "evidence/evidence.parquet is missing from the run"
        try:
            return evidence.load(self.evidence_path)
        except DataError as error:
            return f"evidence/evidence.parquet {error.what}"

    @cached_property
    def card(self) -> dict[str, Any] | str:
        """The model's own description (``recogniser.json``), or the reason why it cannot be read."""
        try:
            card = json.loads((self.model / "recogniser.json").read_text(encoding="utf-8"))
        except OSError:
            return "the files of the model are missing"
        except ValueError:
            return "recogniser.json of the model is damaged"
        if not isinstance(card, dict) or not isinstance(card.get("context"), dict):
            return "recogniser.json of the model is damaged"
        return card


Gate = Callable[[Candidate], Verdict]


def evidence_digest(path: Path) -> str:
    """The fingerprint a run carries of its evidence (tag ``jmml.evidence_digest``): SHA-256 of the file."""
    return sha256_file(path)


def model_digest(folder: Path) -> str:
    """The fingerprint a run carries of its model (tag ``jmml.model_digest``): names and SHA-256 of all files
    of the recogniser's folder, in the order of their names."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    listed = json.dumps([[name, sha256_file(folder / name)] for name in names])
    return hashlib.sha256(listed.encode()).hexdigest()


def held_out_uar(frame: pd.DataFrame, method: str, *, modality: str = "speech") -> float:
    """UAR of a method: per seed over all its folds together, then the mean over seeds; NaN without rows."""
    rows = frame[(frame["method"] == method) & (frame["modality"] == modality)]
    scores = [uar(part["y_true"].tolist(), part["y_pred"].tolist()) for _, part in rows.groupby("seed")]
    return float(np.mean(scores)) if scores else math.nan


def run_finished(candidate: Candidate) -> Verdict:
    """The sweep ran to its end."""
    passed = candidate.status == "FINISHED"
    return Verdict("run finished", passed, f"the run is {candidate.status}")


def evidence_readable(candidate: Candidate) -> Verdict:
    """The held-out predictions are there and valid."""
    found = candidate.evidence
    if isinstance(found, str):
        return Verdict("evidence present", False, found)
    return Verdict("evidence present", True, f"{len(found)} held-out predictions")


def evidence_unchanged(candidate: Candidate) -> Verdict:
    """The held-out predictions are those the sweep wrote."""
    name = "evidence unchanged"
    claimed = candidate.tags.get(EVIDENCE_DIGEST)
    if not claimed:
        return Verdict(name, False, f"the run has no tag {EVIDENCE_DIGEST}")
    if not candidate.evidence_path.is_file():
        return Verdict(name, False, NO_EVIDENCE)
    found = evidence_digest(candidate.evidence_path)
    if found != claimed:
        return Verdict(name, False, f"digest {found[:12]} is not the recorded {claimed[:12]}")
    return Verdict(name, True, f"digest {found[:12]}")


def certificate_clean(candidate: Candidate) -> Verdict:
    """Nothing was fitted on a speaker or subject of the held-out predictions."""
    name = "leakage certificate"
    if isinstance(candidate.evidence, str):
        return Verdict(name, False, NO_EVIDENCE)
    try:
        text = candidate.certificate_path.read_text(encoding="utf-8")
        certificate = Certificate.from_json(text, where="evidence/certificate.json")
        certificate.check(_evaluated(candidate.evidence))
    except FileNotFoundError:
        return Verdict(name, False, "evidence/certificate.json is missing from the run")
    except ProtocolError as error:
        return Verdict(name, False, f"{error.where}: {error.what}")
    return Verdict(name, True, f"{len(certificate.entries)} fitted objects saw no evaluated group")


def model_matches(candidate: Candidate) -> Verdict:
    """The model is the one the sweep logged, made for the fold of the evidence without its groups."""
    name = "model"
    claimed, card = candidate.tags.get(MODEL_DIGEST), candidate.card
    if isinstance(card, str):
        return Verdict(name, False, card)
    missing = [tag for tag in (MODEL_DIGEST, *MADE_FOR) if not candidate.tags.get(tag)]
    if missing:
        return Verdict(name, False, f"the run has no tag {', '.join(missing)}")
    found = model_digest(candidate.model)
    if found != claimed:
        return Verdict(name, False, f"digest {found[:12]} is not the recorded {str(claimed)[:12]}")
    if card.get("method") != SERVED:
        return Verdict(name, False, f"its method is {card.get('method')}, not {SERVED}")
    for tag, key in MADE_FOR.items():
        said, wanted = str(card["context"].get(key)), candidate.tags[tag]
        if said != wanted:
            return Verdict(name, False, f"its {key} is {said}, that of the run {wanted}")
    if isinstance(candidate.evidence, str):
        return Verdict(name, False, NO_EVIDENCE)
    seeds = sorted(candidate.evidence.query("method == @SERVED")["seed"].unique().tolist())
    if card.get("seed") not in seeds:
        return Verdict(name, False, f"its seed {card.get('seed')} is not among those evaluated {seeds}")
    try:
        text = json.dumps(card.get("certificate"))
        Certificate.from_json(text, where="certificate of the model").check(_evaluated(candidate.evidence))
    except ProtocolError as error:
        return Verdict(name, False, f"{error.where}: {error.what}")
    return Verdict(name, True, f"digest {found[:12]}, fitted without the evaluated groups")


def metrics_recomputable(candidate: Candidate) -> Verdict:
    """The run's held-out metrics follow from its evidence."""
    name = "metrics recomputed"
    if isinstance(candidate.evidence, str):
        return Verdict(name, False, NO_EVIDENCE)
    people = candidate.evidence.query("modality == 'speech'")["group"].nunique()
    few = people < MIN_SPEAKERS
    required = REQUIRED if few else REQUIRED + INTERVAL
    missing = [key for key in required if key not in candidate.metrics]
    if missing:
        return Verdict(name, False, f"the run has no metric {', '.join(missing)}")
    for key, method in CLAIMS.items():
        if key in candidate.metrics:
            found = held_out_uar(candidate.evidence, method)
            # Written so that NaN (no rows of the method) fails.
            if not abs(found - candidate.metrics[key]) <= TOLERANCE:
                claim = candidate.metrics[key]
                return Verdict(name, False, f"{key} is {claim:.4f} but its evidence gives {found:.4f}")
    if few:
        said = f"{candidate.metrics['test_uar']:.4f} ({speakers(people)}: {NO_INTERVAL})"
        return Verdict(name, True, f"test_uar {said}")
    low, high = (candidate.metrics[key] for key in INTERVAL)
    if not low <= candidate.metrics["test_uar"] <= high:
        return Verdict(name, False, f"test_uar lies outside its interval [{low:.4f}, {high:.4f}]")
    return Verdict(name, True, f"test_uar {candidate.metrics['test_uar']:.4f} [{low:.4f}, {high:.4f}]")


def control_present(candidate: Candidate) -> Verdict:
    """The label-only control was run on the very samples of the candidate."""
    name = "one-hot control"
    if isinstance(candidate.evidence, str):
        return Verdict(name, False, NO_EVIDENCE)
    samples = {
        method: {(row.seed, row.fold, row.id) for row in part.itertuples()}
        for method, part in candidate.evidence.query("modality == 'speech'").groupby("method")
    }
    if "one-hot" not in samples:
        return Verdict(name, False, "the evidence has no predictions of the one-hot control")
    if samples["one-hot"] != samples.get("jmml"):
        return Verdict(name, False, "the one-hot control was not evaluated on the candidate's samples")
    control = held_out_uar(candidate.evidence, "one-hot")
    gain = held_out_uar(candidate.evidence, "jmml") - control
    note = "" if gain > 0 else ", which JMML does not beat"
    return Verdict(name, True, f"measured: one-hot {control:.4f}, JMML {gain:+.4f} to it{note}")


def nobody_withdrawn(candidate: Candidate) -> Verdict:
    """Nothing in the model was fitted on a person who has withdrawn since."""
    name, card = "nobody withdrawn", candidate.card
    if isinstance(card, str):
        return Verdict(name, False, card)
    try:
        certificate = Certificate.from_json(
            json.dumps(card.get("certificate")), where="certificate of the model"
        )
    except ProtocolError as error:
        return Verdict(name, False, f"{error.where}: {error.what}")
    fitted = [entry for entry in certificate.entries if entry.role == "fit"]
    seen = {(entry.modality, group) for entry in fitted for group in entry.groups}
    for gone in candidate.withdrawn:
        # A model that does not say which corpus it is of may be of this one.
        of_corpus = card["context"].get(f"{gone.modality}_corpus", gone.corpus) == gone.corpus
        if of_corpus and (gone.modality, gone.person) in seen:
            when = f"withdrew on {gone.time[:10]}"
            return Verdict(name, False, f"it was trained on {gone.person} of {gone.corpus}, who {when}")
    return Verdict(name, True, f"{len(candidate.withdrawn)} withdrawals, none of whom it was trained on")


def lineage_recorded(candidate: Candidate) -> Verdict:
    """Code, settings and split of the run are known."""
    name = "lineage recorded"
    missing = [tag for tag in LINEAGE_TAGS if not candidate.tags.get(tag)]
    if missing:
        return Verdict(name, False, f"the run has no tag {', '.join(missing)}")
    sha = candidate.tags["jmml.git_sha"]
    if sha == "none":
        return Verdict(name, False, "the code had no git commit")
    dirty = (
        " with uncommitted changes (kept in lineage/)" if candidate.tags["jmml.git_dirty"] == "true" else ""
    )
    return Verdict(name, True, f"commit {sha[:12]}{dirty}")


GATES: Registry[Gate] = Registry("gates", "gate", home=__name__, error=RegistryError)
for _gate in (
    run_finished,
    evidence_readable,
    evidence_unchanged,
    certificate_clean,
    model_matches,
    metrics_recomputable,
    control_present,
    lineage_recorded,
    nobody_withdrawn,
):
    GATES.register(_gate.__name__.replace("_", "-"), _gate)


def register_gate(name: str) -> Callable[[Gate], Gate]:
    """A decorator that enters a gate under ``name``; it is asked after those of the package, by every promotion.

    Raises
    ------
    ConfigError : the name is taken, or is not that of the module.
    """
    return lambda gate: GATES.register(name, gate)


def judge(candidate: Candidate) -> tuple[Verdict, ...]:
    """The verdict of every gate, in the order of :data:`GATES`; a gate that fails itself does not let pass."""
    own = GATES.own()
    return tuple(
        gate(candidate) if name in own else _asked(name, gate, candidate) for name, gate in GATES.items()
    )


def _asked(name: str, gate: Gate, candidate: Candidate) -> Verdict:
    """The verdict of a gate that is not ours."""
    try:
        found = gate(candidate)
    except Exception as error:
        return Verdict(name, False, f"the gate failed: {type(error).__name__}: {error}")
    if not isinstance(found, Verdict):
        return Verdict(name, False, f"the gate gave {found!r:.60}, and no verdict")
    return found


def _evaluated(frame: pd.DataFrame) -> dict[Modality, list[str]]:
    """Groups by modality; ``both`` is named by the speaker."""
    speech = frame.loc[frame["modality"] != "eeg", "group"].unique().tolist()
    eeg = frame.loc[frame["modality"] == "eeg", "group"].unique().tolist()
    return {"speech": speech} | ({"eeg": eeg} if eeg else {})

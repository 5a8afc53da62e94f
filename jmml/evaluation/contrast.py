"""The primary contrast: what EEG adds beyond the labels that come with it.

    label-only = per outer fold, argmax over {one-hot, prototypes, class-means} of the mean over seeds of inner-fold UAR
    primary    = UAR(claim) - UAR(label-only), on the same utterances, over speakers

A second view that merely knows the label can improve speech too, so a claim about EEG is measured against the best
control that knows nothing else. Which one is best is decided without the outer fold, as any other choice is.

**The composite is a copy, not a new measurement.** Where a control was chosen, its rows and those of ``label-only`` are
the same rows. Chosen in every fold, it differs from the composite by 0 by construction: it gets that difference, no
interval and no p, and does not count in the Holm family. Chosen in some folds, the speakers of those folds contribute
zeros, which can only pull its difference towards 0; it says whether the choice between controls mattered, and nothing
about EEG. Methods other than label-only controls share no row with the composite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from jmml import methods
from jmml.errors import ProtocolError
from jmml.evaluation import evidence as evidence_io
from jmml.evaluation import statistics
from jmml.methods import METHODS, Kind

LABEL_ONLY = "label-only"
BASELINE = "raw"

_DIFFERENCE = ["diff", "diff_low", "diff_high", "p", "p_holm", "dz"]


def order() -> tuple[str, ...]:
    """Every method in the order of all tables, the best label-only control last."""
    return (*METHODS, LABEL_ONLY)


def label_of(method: str) -> str:
    """Display name of a method."""
    if method == LABEL_ONLY:
        return "best label-only control"
    return METHODS[method].label if method in METHODS else method


def kind_of(method: str) -> Kind:
    """Whether a method is a ``peer``, ``ours`` or a ``control`` in place of EEG."""
    return "control" if method == LABEL_ONLY else METHODS[method].kind


def label_only(
    evidence: pd.DataFrame, val_uar: Mapping[tuple[str, int, int], float]
) -> tuple[pd.DataFrame, dict[int, str]]:
    """The best label-only control of each outer fold, as a method of its own.

    Parameters
    ----------
    evidence : rows of at least one of one-hot, prototypes, class-means, whatever else; speech rows count.
    val_uar : inner-fold UAR by method, outer fold and seed.

    Returns
    -------
    rows : the chosen controls' evidence under the method name ``label-only``.
    chosen : the control chosen in each fold; of equals the first of one-hot, prototypes, class-means.

    Raises
    ------
    ProtocolError
        If there is no label-only control, or one lacks a fold, a seed or a finite inner-fold UAR that the choice needs.
    """
    speech = evidence[evidence["modality"] == "speech"]
    present = methods.label_only(set(speech["method"]))
    if not present:
        raise ProtocolError("no label-only control was run", expected=", ".join(methods.label_only()))
    ours = speech[speech["method"].isin(present)]
    folds, seeds = sorted(speech["fold"].unique()), sorted(ours["seed"].unique())
    run = set(zip(ours["method"], ours["fold"], ours["seed"], strict=True))
    chosen = {}
    for fold in folds:
        means = []
        for name in present:
            scores = []
            for seed in seeds:
                if (name, fold, seed) not in run:
                    raise _incomplete(name, fold, seed, "evidence")
                score = val_uar.get((name, int(fold), int(seed)), float("nan"))
                if not np.isfinite(score):
                    raise _incomplete(name, fold, seed, "inner-fold UAR")
                scores.append(score)
            means.append(float(np.mean(scores)))
        # Equal up to rounding counts as equal, so that the order of summation decides nothing.
        chosen[int(fold)] = present[int(np.argmax(np.round(means, 12)))]
    keep = ours["method"] == ours["fold"].map(chosen)
    return ours[keep].assign(method=LABEL_ONLY).reset_index(drop=True), chosen


def study_table(
    evidence: pd.DataFrame,
    *,
    val_uar: Mapping[tuple[str, int, int], float],
    claim: str = "jmml",
    bootstrap: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """One row per method, in the order of :func:`order`, compared with the reference.

    The reference is ``label-only`` where a label-only control was run, else ``raw``, else none. Columns are those of
    :func:`jmml.evaluation.evidence.compare`, and ``kind``, ``label`` (the display name) and ``primary`` (true in the
    row of the claim). ``p_holm`` corrects over all comparisons with the reference that are tests (see above).

    Raises
    ------
    ProtocolError
        As :func:`label_only` and :func:`jmml.evaluation.evidence.compare`.
    """
    run = set(evidence.loc[evidence["modality"] == "speech", "method"])
    copied: set[str] = set()
    reference: str | None = BASELINE if BASELINE in run else None
    if methods.label_only(run):
        rows, chosen = label_only(evidence, val_uar)
        evidence = pd.concat([evidence, rows], ignore_index=True)
        reference = LABEL_ONLY
        copied = set(chosen.values()) if len(set(chosen.values())) == 1 else set()
    table = evidence_io.compare(
        evidence, bootstrap=bootstrap, confidence=confidence, reference_method=reference, seed=seed
    )
    place = {name: number for number, name in enumerate(order())}
    table = table.sort_values("method", key=lambda names: names.map(place), ignore_index=True)
    same = table["method"].isin(copied)
    table.loc[same, _DIFFERENCE] = np.nan
    table.loc[same, "diff"] = 0.0
    table.loc[same, "note"] = [
        "; ".join(filter(None, (note.split("; p cannot")[0], "the reference is a copy of it: no comparison")))
        for note in table.loc[same, "note"]
    ]
    table["p_holm"] = statistics.holm(table["p"].to_numpy(np.float64))
    table["kind"] = [kind_of(name) for name in table["method"]]
    table["label"] = [label_of(name) for name in table["method"]]
    table["primary"] = (table["method"] == claim) & (claim != reference)
    return table


def primary(table: pd.DataFrame, *, confidence: float = 0.95) -> dict[str, Any]:
    """The claim's row as a verdict.

    The claim was named before the study, so its own p and interval decide; ``p_holm``, its p as one of the table's many
    comparisons, stands beside them. EEG is said to add something only if the interval lies above 0,
    p <= 1 - confidence, *and* the speakers' own UAR, which p is about, rises as well (dz > 0).

    Returns
    -------
    dict with ``claim``, ``reference``, ``claim_label``, ``reference_label``, ``uar``, ``reference_uar``, ``diff``,
    ``low``, ``high``, ``p``, ``p_holm``, ``dz``, ``n_groups``, ``n_seeds``, ``outcome`` (``more``, ``none``, ``worse``,
    ``undecidable`` where too few speakers allow no such p, ``missing`` without claim or reference) and ``verdict`` in
    words. Figures that do not exist are nan.
    """
    nothing: dict[str, Any] = dict.fromkeys(
        ("uar", "reference_uar", "diff", "low", "high", "p", "p_holm", "dz"), float("nan")
    )
    rows = table[table["primary"]]
    if rows.empty or pd.isna(rows["reference"].iloc[0]):
        return nothing | {
            "claim": None if rows.empty else str(rows["method"].iloc[0]),
            "reference": None,
            "claim_label": "" if rows.empty else str(rows["label"].iloc[0]),
            "reference_label": "",
            "n_groups": int(table["n_groups"].max()),
            "n_seeds": int(table["n_seeds"].max()),
            "outcome": "missing",
            "verdict": "the study lacks the claim"
            if rows.empty
            else "the study has nothing to compare the claim with",
        }
    row = rows.iloc[0]
    other = table[table["method"] == row["reference"]].iloc[0]
    found: dict[str, Any] = {
        "claim": str(row["method"]),
        "reference": str(row["reference"]),
        "claim_label": str(row["label"]),
        "reference_label": str(other["label"]),
        "uar": float(row["uar"]),
        "reference_uar": float(other["uar"]),
        "diff": float(row["diff"]),
        "low": float(row["diff_low"]),
        "high": float(row["diff_high"]),
        "n_groups": int(row["n_groups"]),
        "n_seeds": int(row["n_seeds"]),
        **{name: float(row[name]) for name in ("p", "p_holm", "dz")},
    }
    found["outcome"] = outcome(found, confidence)
    return found | {"verdict": _verdict(found)}


def outcome(found: Mapping[str, Any], confidence: float) -> str:
    """``more``, ``none``, ``worse`` or ``undecidable``: what ``low``, ``high``, ``p``, ``dz`` and ``n_groups`` of one
    contrast, named beforehand, say together (:func:`primary`)."""
    level, slack = 1 - confidence, 1e-9  # 1 - 0.95 is 0.050000000000000044
    if not np.isfinite(found["low"]) or statistics.smallest_p(found["n_groups"]) > level + slack:
        return "undecidable"
    if found["p"] > level + slack:
        return "none"
    # The interval is of the pooled UAR, p of the speakers' own UAR: where they point apart, nothing is shown.
    if found["low"] > 0 and not found["dz"] < 0:
        return "more"
    return "worse" if found["high"] < 0 and not found["dz"] > 0 else "none"


def _verdict(found: Mapping[str, Any]) -> str:
    if found["reference"] == LABEL_ONLY and METHODS[found["claim"]].eeg:
        return about_eeg(found["outcome"], found["n_groups"])
    claim, reference = found["claim_label"], found["reference_label"]
    reference = f"the {reference}" if found["reference"] == LABEL_ONLY else reference
    if found["outcome"] == "undecidable":
        return _too_few(found["n_groups"])
    if found["outcome"] == "more":
        return f"{claim} beats {reference}"
    if found["outcome"] == "worse":
        return f"{claim} is worse than {reference}"
    return f"no evidence that {claim} beats {reference}"


def about_eeg(found: str, groups: int) -> str:
    """An :func:`outcome` in words, where a method trained with EEG stands against bare labels."""
    return {
        "undecidable": _too_few(groups),
        "more": "EEG added more than labels do",
        "worse": "worse than bare labels",
    }.get(found, "no evidence that EEG added more than labels do")


def _too_few(groups: int) -> str:
    return f"{groups} speaker{' is' if groups == 1 else 's are'} too few to decide"


def _incomplete(method: str, fold: int, seed: int, what: str) -> ProtocolError:
    return ProtocolError(
        f"the label-only control '{method}' has no {what} in fold {fold}, seed {seed}",
        expected="every label-only control in every fold with every seed",
        fix="run the study to its end",
    )

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jmml.evaluation import evidence
from jmml.evaluation.leakage import Certificate
from pipelines.registry import gates
from pipelines.registry.gates import Candidate
from pipelines.workspace.withdrawn import Withdrawal
from tests.pipelines.tracked import (
    SPLIT,
    held_out_metrics,
    make_evidence,
    reference_uar,
    save_model,
    write_evidence,
)

TAGS = {
    "jmml.git_sha": "5" * 40,
    "jmml.git_dirty": "false",
    "jmml.params_digest": "aa",
    "jmml.split_digest": SPLIT,
    "jmml.outer_fold": "0",
}


@pytest.fixture
def good(tmp_path: Path) -> Candidate:
    frame = make_evidence()
    folder = write_evidence(tmp_path / "evidence", frame)
    model = save_model(tmp_path / "model")
    tags = {
        **TAGS,
        gates.EVIDENCE_DIGEST: gates.evidence_digest(folder / "evidence.parquet"),
        gates.MODEL_DIGEST: gates.model_digest(model),
    }
    return Candidate("FINISHED", tags, held_out_metrics(frame), folder, model)


def failed(candidate: Candidate) -> dict[str, str]:
    return {verdict.name: verdict.reason for verdict in gates.judge(candidate) if not verdict.passed}


def changed(candidate: Candidate, **parts: object) -> Candidate:
    values = {name: getattr(candidate, name) for name in ("status", "tags", "metrics", "folder", "model")}
    return Candidate(**(values | parts))


def test_a_complete_candidate_passes_every_gate(good: Candidate) -> None:
    verdicts = gates.judge(good)
    assert [verdict.passed for verdict in verdicts] == [True] * len(gates.GATES)
    assert len({verdict.name for verdict in verdicts}) == len(gates.GATES)


@pytest.mark.parametrize("people", [1, 3])
def test_few_held_out_speakers_have_no_interval_and_need_none(
    good: Candidate, tmp_path: Path, people: int
) -> None:
    few = make_evidence(speakers=people)
    folder = write_evidence(tmp_path / "few", few)
    tags = {**good.tags, gates.EVIDENCE_DIGEST: gates.evidence_digest(folder / "evidence.parquet")}
    metrics = {key: value for key, value in held_out_metrics(few).items() if key not in gates.INTERVAL}
    candidate = changed(good, folder=folder, tags=tags, metrics=metrics)
    assert failed(candidate) == {}
    said = next(v.reason for v in gates.judge(candidate) if v.name == "metrics recomputed")
    assert said.endswith(
        f"({'one speaker' if people == 1 else 'three speakers'}: no interval below four speakers)"
    )


def test_four_held_out_speakers_need_an_interval(good: Candidate) -> None:
    without = {key: value for key, value in good.metrics.items() if key not in gates.INTERVAL}
    assert set(failed(changed(good, metrics=without))) == {"metrics recomputed"}


@pytest.mark.parametrize("status", ["FAILED", "KILLED", "RUNNING"])
def test_a_run_that_did_not_finish_is_refused(good: Candidate, status: str) -> None:
    assert failed(changed(good, status=status)) == {"run finished": f"the run is {status}"}


def test_without_any_evidence_every_gate_that_needs_it_refuses(good: Candidate, tmp_path: Path) -> None:
    assert set(failed(changed(good, folder=tmp_path / "absent"))) == {
        "evidence present",
        "evidence unchanged",
        "leakage certificate",
        "model",
        "metrics recomputed",
        "one-hot control",
    }


def test_a_file_that_is_no_evidence_is_refused(good: Candidate) -> None:
    good.evidence_path.write_bytes(b"no parquet")
    assert "is not a Parquet file" in failed(good)["evidence present"]


def test_one_changed_prediction_is_noticed(good: Candidate) -> None:
    frame = evidence.load(good.evidence_path)
    row = frame.index[frame["y_true"] != frame["y_pred"]][0]
    frame.loc[row, "y_pred"] = frame.loc[row, "y_true"]
    evidence.save(frame, good.evidence_path)
    assert "evidence unchanged" in failed(good)
    # Whoever also writes a new digest is caught by the metrics that no longer follow.
    tags = {**good.tags, gates.EVIDENCE_DIGEST: gates.evidence_digest(good.evidence_path)}
    assert set(failed(changed(good, tags=tags))) == {"metrics recomputed"}


def test_evidence_without_a_recorded_digest_is_refused(good: Candidate) -> None:
    tags = {key: value for key, value in good.tags.items() if key != gates.EVIDENCE_DIGEST}
    assert failed(changed(good, tags=tags)) == {
        "evidence unchanged": "the run has no tag jmml.evidence_digest"
    }


def _remove(candidate: Candidate) -> None:
    candidate.certificate_path.unlink()


def _spoil(candidate: Candidate) -> None:
    candidate.certificate_path.write_text("{}")


def _leak(candidate: Candidate) -> None:
    certificate = Certificate()
    certificate.add("scaler", "speech", ["speaker1", "speaker8"])
    candidate.certificate_path.write_text(certificate.to_json())


def _forget(candidate: Candidate) -> None:
    certificate = Certificate()
    certificate.add("scaler", "eeg", ["subject1"])
    candidate.certificate_path.write_text(certificate.to_json())


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_remove, "certificate.json is missing"),
        (_spoil, "is not a leakage certificate"),
        (_leak, "'scaler' was fitted on groups that are evaluated (speaker1)"),
        (_forget, "nothing is certified"),
    ],
)
def test_a_certificate_that_does_not_clear_the_evaluated_speakers_is_refused(
    good: Candidate, spoil: Callable[[Candidate], None], reason: str
) -> None:
    spoil(good)
    found = failed(good)
    assert set(found) == {"leakage certificate"}
    assert reason in found["leakage certificate"]


@pytest.mark.parametrize("metric", gates.REQUIRED)
def test_every_required_metric_must_be_there(good: Candidate, metric: str) -> None:
    metrics = {key: value for key, value in good.metrics.items() if key != metric}
    assert failed(changed(good, metrics=metrics)) == {"metrics recomputed": f"the run has no metric {metric}"}


@pytest.mark.parametrize("metric", list(gates.CLAIMS))
def test_a_metric_that_does_not_follow_from_the_evidence_is_refused(good: Candidate, metric: str) -> None:
    metrics = {**good.metrics, metric: good.metrics[metric] + 1e-4}
    assert failed(changed(good, metrics=metrics))["metrics recomputed"].startswith(f"{metric} is 0.")


def test_an_estimate_outside_its_interval_is_refused(good: Candidate) -> None:
    metrics = {**good.metrics, "test_uar_ci_low": good.metrics["test_uar"] + 0.01}
    assert "lies outside its interval" in failed(changed(good, metrics=metrics))["metrics recomputed"]


def test_the_label_only_control_must_be_there(good: Candidate, tmp_path: Path) -> None:
    frame = make_evidence(methods=("raw", "jec-ssl", "jmml"))
    folder = write_evidence(tmp_path / "other", frame)
    tags = {**good.tags, gates.EVIDENCE_DIGEST: gates.evidence_digest(folder / "evidence.parquet")}
    found = failed(changed(good, folder=folder, tags=tags))
    assert found["one-hot control"] == "the evidence has no predictions of the one-hot control"
    assert found["metrics recomputed"].endswith("its evidence gives nan")


def test_the_label_only_control_must_be_on_the_same_samples(good: Candidate, tmp_path: Path) -> None:
    frame = evidence.load(good.evidence_path)
    frame = frame[(frame["method"] != "one-hot") | (frame["id"] != "utterance3")]
    folder = write_evidence(tmp_path / "other", frame)
    tags = {**good.tags, gates.EVIDENCE_DIGEST: gates.evidence_digest(folder / "evidence.parquet")}
    metrics = held_out_metrics(frame)
    assert set(failed(changed(good, folder=folder, tags=tags, metrics=metrics))) == {"one-hot control"}


@pytest.mark.parametrize("tag", gates.LINEAGE_TAGS)
def test_every_part_of_the_lineage_must_be_there(good: Candidate, tag: str) -> None:
    tags = {key: value for key, value in good.tags.items() if key != tag}
    assert failed(changed(good, tags=tags))["lineage recorded"] == f"the run has no tag {tag}"


# The model -----------------------------------------------------------------------------------------------


def rewritten(candidate: Candidate, **context: object) -> Candidate:
    """The candidate with another model card, and the digest of that as if the sweep had logged it."""
    path = candidate.model / "recogniser.json"
    card: dict[str, Any] = json.loads(path.read_text())
    card |= {key: context.pop(key) for key in ("method", "seed", "certificate") if key in context}
    card["context"] |= context
    path.write_text(json.dumps(card))
    return changed(
        candidate, tags={**candidate.tags, gates.MODEL_DIGEST: gates.model_digest(candidate.model)}
    )


def test_a_replaced_model_is_refused(good: Candidate, tmp_path: Path) -> None:
    found = failed(changed(good, model=save_model(tmp_path / "other", "raw")))
    assert set(found) == {"model"}
    assert "is not the recorded" in found["model"]


@pytest.mark.parametrize("change", ["rename", "byte", "more", "less"])
def test_every_file_of_the_model_counts(good: Candidate, change: str) -> None:
    weights = sorted(good.model.glob("*.safetensors"))[0]
    if change == "rename":
        weights.rename(weights.with_name("other.safetensors"))
    elif change == "byte":
        data = weights.read_bytes()
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif change == "more":
        (good.model / "folder").mkdir()
        (good.model / "folder" / "more").touch()
    else:
        weights.unlink()
    assert "is not the recorded" in failed(good)["model"]


LEAKED = Certificate()
LEAKED.add("classifier/speech", "speech", ["speaker0", "speaker8"])


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"outer_fold": 1}, "its outer_fold is 1, that of the run 0"),
        ({"split_digest": "bb"}, f"its split_digest is bb, that of the run {SPLIT}"),
        ({"method": "raw"}, "its method is raw, not jmml"),
        ({"seed": 7}, "its seed 7 is not among those evaluated [0, 1]"),
        ({"certificate": None}, "certificate of the model: is not a leakage certificate"),
        ({"certificate": {"entries": []}}, "nothing is certified"),
        (
            {"certificate": json.loads(LEAKED.to_json())},
            "'classifier/speech' was fitted on groups that are evaluated (speaker0)",
        ),
    ],
)
def test_a_model_made_for_something_else_is_refused(
    good: Candidate, said: dict[str, object], reason: str
) -> None:
    found = failed(rewritten(good, **said))
    unsigned = said == {"certificate": None}  # it may have been fitted on anybody
    assert set(found) == ({"model", "nobody withdrawn"} if unsigned else {"model"})
    assert reason in found["model"]


@pytest.mark.parametrize("tag", [gates.MODEL_DIGEST, "jmml.outer_fold"])
def test_a_run_that_does_not_say_what_model_it_made_is_refused(good: Candidate, tag: str) -> None:
    tags = {key: value for key, value in good.tags.items() if key != tag}
    assert failed(changed(good, tags=tags)) == {"model": f"the run has no tag {tag}"}


def test_a_missing_model_is_refused(good: Candidate, tmp_path: Path) -> None:
    missing = "the files of the model are missing"
    found = failed(changed(good, model=tmp_path / "absent"))
    assert found == {"model": missing, "nobody withdrawn": missing}


@pytest.mark.parametrize("text", ["{", "3", "{}", '{"context": 3}', b"\xff"])
def test_a_damaged_model_card_is_refused(good: Candidate, text: str | bytes) -> None:
    (good.model / "recogniser.json").write_bytes(text.encode() if isinstance(text, str) else text)
    damaged = "recogniser.json of the model is damaged"
    assert failed(good) == {"model": damaged, "nobody withdrawn": damaged}


def test_code_without_a_commit_is_refused(good: Candidate) -> None:
    tags = {**good.tags, "jmml.git_sha": "none"}
    assert failed(changed(good, tags=tags)) == {"lineage recorded": "the code had no git commit"}


def test_held_out_uar_agrees_with_scikit_learn() -> None:
    frame = make_evidence(seed=3)
    for method in ("raw", "jec-ssl", "jmml", "one-hot"):
        assert gates.held_out_uar(frame, method) == pytest.approx(reference_uar(frame, method), abs=1e-12)


def test_judging_changes_nothing(good: Candidate) -> None:
    before = {path.name: path.read_bytes() for path in good.folder.iterdir()}
    gates.judge(good)
    assert {path.name: path.read_bytes() for path in good.folder.iterdir()} == before


def gone(person: str, corpus: str = "talk", modality: str = "speech") -> Withdrawal:
    return Withdrawal(person, corpus, modality, "2026-01-02T00:00:00+00:00", "ann", ("ab",))


def test_a_model_of_somebody_who_withdrew_is_refused(good: Candidate) -> None:
    assert failed(changed(good, withdrawn=(gone("speaker7"),))) == {
        "nobody withdrawn": "it was trained on speaker7 of talk, who withdrew on 2026-01-02"
    }
    for other in (gone("speaker0"), gone("speaker7", modality="eeg"), gone("subject7")):
        assert failed(changed(good, withdrawn=(other,))) == {}
    assert "nobody withdrawn" in failed(changed(good, withdrawn=(gone("subject7", modality="eeg"),)))


def test_people_of_another_corpus_may_be_called_the_same(good: Candidate) -> None:
    path = good.model / "recogniser.json"
    card = json.loads(path.read_text())
    card["context"]["speech_corpus"] = "talk"
    path.write_text(json.dumps(card))
    assert "nobody withdrawn" in failed(changed(good, withdrawn=(gone("speaker7"),)))
    assert "nobody withdrawn" not in failed(changed(good, withdrawn=(gone("speaker7", "another"),)))


def test_a_model_without_a_certificate_may_be_of_anybody(good: Candidate) -> None:
    path = good.model / "recogniser.json"
    card = json.loads(path.read_text())
    card["certificate"] = None
    path.write_text(json.dumps(card))
    assert "nobody withdrawn" in failed(changed(good, withdrawn=()))

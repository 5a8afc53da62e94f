"""A report holds the figures of its study, stands alone, escapes what it is given, and comes out the same twice."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from jmml.evaluation.evidence import per_speaker
from jmml.evaluation.wording import interval, number, p_value
from pipelines.study.publish import report, tables, verdict
from pipelines.study.publish.results import StudyResults
from pipelines.study.publish.summary import Summary
from tests.pipelines.study import reported

NASTY = "<script>alert(1)</script> & 100 % of $x_1$"
FILES = ["figures", "per_speaker.csv", "report.html", "table.csv", "table.md", "table.tex"]
VOID = {"meta", "img", "br", "link", "input"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; unbalanced tags are errors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.seen if name == tag]


@pytest.fixture(scope="module")
def results() -> StudyResults:
    label = reported.cells({**reported.SKILLS, "jmml": 0.75})
    few = reported.cells(reported.SKILLS, speakers=4, folds=2)
    return reported.study({"label": label, "few": few})


@pytest.fixture(scope="module")
def folder(results: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("study") / "report"
    report.write_report(path, results)
    return path


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_all_files_are_there_and_nothing_else(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == FILES
    kinds = ("confusion", "correlation", "differences", "embedding", "speakers")
    expected = sorted(f"{task}-{kind}.png" for task in ("label", "few") for kind in kinds)
    assert sorted(path.name for path in (folder / "figures").iterdir()) == expected


@pytest.fixture(scope="module")
def without_reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyResults, Path]:
    """A study that has nothing to compare with, and its report."""
    alone = reported.study({"label": reported.cells({"jec-ssl": 0.4, "jmml": 1.0})})
    path = tmp_path_factory.mktemp("alone") / "report"
    report.write_report(path, alone)
    return alone, path


def test_equal_results_give_equal_bytes_and_other_files_stay(
    without_reference: tuple[StudyResults, Path], tmp_path: Path
) -> None:
    results, folder = without_reference
    (tmp_path / "evidence.parquet").write_text("kept")
    (tmp_path / "table.csv").write_text("old")
    report.write_report(tmp_path, results)
    assert (tmp_path / "evidence.parquet").read_text() == "kept"
    for path in folder.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes()


def test_nothing_changes_when_drawing_fails(
    results: StudyResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    (tmp_path / "report.html").write_text("old")
    monkeypatch.setattr(report, "draw", fail)
    with pytest.raises(OSError, match="disk full"):
        report.write_report(tmp_path, results)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"report.html": "old"}


class TestPage:
    def test_stands_alone(self, folder: Path, page: Page) -> None:
        assert page.all("script") == page.all("link") == page.all("iframe") == []
        assert not re.search(r"https?://|@import|url\(", (folder / "report.html").read_text(encoding="utf-8"))
        images = page.all("img")
        embedded = {
            base64.b64decode(str(image["src"]).removeprefix("data:image/png;base64,")) for image in images
        }
        assert embedded == {path.read_bytes() for path in (folder / "figures").iterdir()}
        assert all(image["alt"] for image in images)

    def test_the_verdict_comes_first(self, results: StudyResults, page: Page) -> None:
        sections = [str(attributes["id"]) for attributes in page.all("section")]
        assert sections == [
            "verdict", "question", "task-label", "task-few", "controls", "leakage", "provenance",
        ]  # fmt: skip
        first = page.text.index("No evidence that EEG added more than labels do")
        assert first < page.text.index("4 speakers are too few to decide") < page.text.index("What was asked")
        found = results.tasks[0].primary
        assert number(found["diff"], signed=True) in page.text
        assert "with eight speakers" in page.text[: page.text.index("What was asked")]
        assert "Only 4 speakers: the interval is rough." in page.text
        assert "p cannot be below 0.125." in page.text

    def test_every_row_is_shown(self, results: StudyResults, page: Page) -> None:
        for task in results.tasks:
            for row in task.table.itertuples():
                assert row.label in page.text
                assert interval(row.ci_low, row.ci_high) in page.text

    def test_controls_that_were_run_are_explained(self, page: Page) -> None:
        controls = page.text[page.text.index("How to read the controls") :]
        for text in ("one-hot labels", "random prototypes", "Gaussian noise", "best label-only control"):
            assert text in controls
        assert "Pairs never" not in controls
        assert "EEG class means" not in controls

    def test_leakage_and_provenance(self, page: Page) -> None:
        assert (
            "48 cells certified, 24 of them also fitted with the evaluated people's data spoilt" in page.text
        )
        assert "classifier/speech" in page.text
        assert "0123456789abcdef" in page.text
        assert "abc1234" in page.text
        assert "name: worlds" in page.text

    def test_what_it_is_given_is_escaped(self, results: StudyResults) -> None:
        nasty = replace(
            results,
            name=NASTY,
            description=NASTY,
            settings={"name": NASTY},
            provenance={NASTY: NASTY},
            tasks=(replace(results.tasks[0], title=NASTY, description={NASTY: NASTY}),),
        )
        page = Page(report.render(nasty, {"label": []}, {}))
        assert page.all("script") == []
        assert page.text.count("<script>alert(1)</script>") >= 7


class TestTables:
    def test_csv_is_exact(self, results: StudyResults, folder: Path) -> None:
        table = pd.read_csv(folder / "table.csv")
        for task in results.tasks:
            mine = table[table["task"] == task.name].reset_index(drop=True)
            assert mine["method"].tolist() == task.table["method"].tolist()
            for column in ("uar", "ci_low", "diff", "diff_high", "p", "p_holm", "dz"):
                np.testing.assert_allclose(mine[column], task.table[column].astype(float), rtol=1e-5)
            assert mine.loc[mine["primary"], "method"].tolist() == ["jmml"]
            assert mine.loc[mine["method"] == "raw", "seconds"].item() == pytest.approx(
                1.5 * sum(cell.method == "raw" for cell in task.cells)
            )
            assert np.isnan(mine.loc[mine["method"] == "label-only", "n_parameters"].item())

    def test_speakers(self, results: StudyResults, folder: Path) -> None:
        speakers = pd.read_csv(folder / "per_speaker.csv")
        expected = per_speaker(results.tasks[1].evidence, results.tasks[1].classes)
        mine = speakers[speakers["task"] == "few"]
        assert mine["group"].tolist() == expected["group"].tolist()
        np.testing.assert_allclose(mine["uar"], expected["uar"], rtol=1e-5)

    def test_markdown_has_one_cell_per_column(self, results: StudyResults, folder: Path) -> None:
        lines = (folder / "table.md").read_text(encoding="utf-8").splitlines()
        rows = [line for line in lines if line.startswith("|")]
        assert {line.count("|") for line in rows} == {14}
        assert len(rows) == sum(2 + len(task.table) for task in results.tasks)
        (bold,) = [line for line in rows[: len(rows) // 2] if "**JMML**" in line]
        read = pd.read_csv(StringIO(bold.replace("*", "")), sep="|", header=None, dtype=str)
        assert float(read[2].item()) == pytest.approx(results.tasks[0].primary["uar"], abs=6e-4)

    def test_latex_is_balanced(self, results: StudyResults) -> None:
        nasty = replace(
            results, tasks=tuple(replace(task, title=f"{NASTY}~^\\#{{") for task in results.tasks)
        )
        text = tables.latex(nasty)
        bare = re.sub(r"\\[\\{}%&#_$]", "", text)
        assert bare.count("{") == bare.count("}")
        assert re.findall(r"\\(?:begin|end)\{(\w+)\}", text) == ["table", "tabular", "tabular", "table"] * 2
        body = [line for line in text.splitlines() if line.endswith(r" \\")]
        assert len(body) == sum(1 + len(task.table) for task in results.tasks)
        assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {7}
        assert text.isascii()
        assert r"100 \% of \$x\_1\$\textasciitilde{}\textasciicircum{}\textbackslash{}\#\{" in text

    def test_a_table_that_cannot_decide_says_so(self, results: StudyResults) -> None:
        last = tables.table(results.tasks[0], 0.95).notes()[-1]
        comparisons = int(results.tasks[0].table["p"].notna().sum())
        assert f"corrected for the {comparisons} comparisons of the table; it cannot be below 0.0" in last
        wide = replace(results.tasks[0], table=pd.concat([results.tasks[0].table] * 2, ignore_index=True))
        assert "describes and decides nothing" in tables.table(wide, 0.95).notes()[-1]


class TestWords:
    """How the verdict is reached is said wherever it is read."""

    def test_the_rule_stands_beside_the_verdict(
        self, results: StudyResults, folder: Path, page: Page
    ) -> None:
        text = " ".join(page.text.split())
        first = text[: text.index("What was asked")]
        assert verdict.RULE in first
        assert verdict.INTERVALS in first
        for name in ("table.md", "table.tex"):
            written = (folder / name).read_text(encoding="utf-8")
            assert written.count(verdict.RULE) == written.count(verdict.INTERVALS) == len(results.tasks)

    def test_latex_has_both_p(self, results: StudyResults) -> None:
        text = tables.latex(results)
        assert "& p & Holm p &" in text
        row = results.tasks[0].table.set_index("method").loc["raw"]
        assert f"& {p_value(row['p'])} & {p_value(row['p_holm'])} &" in text

    @pytest.mark.parametrize(
        ("low", "high", "p", "people", "said"),
        [
            (0.01, 0.1, 0.02, 8, ""),
            (-0.01, 0.1, 0.2, 8, ""),
            (0.01, 0.1, 0.05, 8, ""),
            (0.01, 0.1, 0.125, 8,
             " (the interval excludes 0, the test over 8 speakers does not: p 0.125, above 0.05)"),
            (-0.2, -0.1, 0.125, 4,
             " (the interval excludes 0, the test over 4 speakers does not: p 0.125, and cannot be below 0.125)"),
            (-0.01, 0.1, 0.0004, 12, " (the test over 12 speakers excludes 0, p < 0.001, the interval does not)"),
            (float("nan"), None, 0.01, 8, ""),
        ],
    )  # fmt: skip
    def test_why_a_disagreement_is_no_evidence(
        self, low: float, high: float | None, p: float, people: int, said: str
    ) -> None:
        primary = {"verdict": "no evidence", "low": low, "high": high, "p": p, "n_groups": people}
        assert verdict.words(primary, 0.95) == f"no evidence{said}"

    def test_three_speakers_have_no_interval_anywhere(self, tmp_path: Path) -> None:
        cells = reported.cells(reported.SKILLS, speakers=3, folds=3)
        few = reported.study({"label": cells})
        report.write_report(tmp_path, few)
        page = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
        summary = Summary.of(few, created="")
        terminal = "\n".join([summary.tasks[0].headline(), *summary.tasks[0].table(0.95).notes()])
        texts = [
            page,
            terminal,
            *((tmp_path / name).read_text(encoding="utf-8") for name in ("table.md", "table.tex")),
        ]
        for text in texts:
            assert "no interval below four speakers" in text or "o interval below four" in text
            assert "3 speakers are too few to decide" in text
            assert not re.search(r"0\.\d{3} to [+−-]?\d", text)
        assert (
            pd.read_csv(tmp_path / "table.csv")[["ci_low", "ci_high", "diff_low", "diff_high"]]
            .isna()
            .all(axis=None)
        )
        assert {cells[2] for cells in summary.tasks[0].table(0.95).terminal()[1]} == {"-"}
        assert not [name for name, _ in summary.metrics() if name.endswith(("low", "high"))]

    def test_the_disagreement_is_in_every_verdict(self, results: StudyResults) -> None:
        task = results.tasks[0]
        odd = task.primary | {"low": 0.001, "high": 0.2, "p": 0.125, "outcome": "none"}
        changed = replace(results, tasks=(replace(task, primary=odd),))
        said = "the interval excludes 0, the test over 8 speakers does not: p 0.125"
        summary = Summary.of(changed, created="")
        for text in (report.render(changed, {"label": []}, {}), tables.markdown(changed), tables.latex(changed),
                     summary.tasks[0].headline(0.95)):  # fmt: skip
            assert said in text
        assert "p 0.125 (cannot be below 0.008 with eight speakers), Holm p " in summary.tasks[0].headline(
            0.95
        )
        assert "its own interval and p decide" in summary.tasks[0].footnote()


def test_a_claim_without_eeg_is_not_asked_about_eeg() -> None:
    seeds = reported.study(
        {"label": reported.cells({"jec-ssl": 1.0, "one-hot": 0.4}, seeds=[0])}, claim="jec-ssl"
    )
    page = Page(report.render(seeds, {"label": []}, {}))
    asked = page.text[page.text.index("What was asked") : page.text.index("Results")]
    assert "Whether JEC-SSL only recognises emotion" in asked
    assert "training with EEG" not in page.text
    assert "the best control that has bare labels for a second view" in " ".join(asked.split())
    assert "1 seed" in page.text
    assert "1 seeds" not in page.text


def test_what_the_captions_say(results: StudyResults, page: Page) -> None:
    text = " ".join(page.text.split())
    assert "dotted: equal" in text
    assert "ends at the last epoch that at least half of the method's runs reached" in text
    assert "Controls without EEG as it was recorded have no such line" in text
    assert "and that p corrected for all comparisons (Holm)" in text


def test_a_study_without_a_reference_is_still_reported(without_reference: tuple[StudyResults, Path]) -> None:
    _, folder = without_reference
    names = {path.name for path in (folder / "figures").iterdir()}
    assert "label-speakers.png" not in names
    assert {"label-differences.png", "label-confusion.png", "label-embedding.png"} <= names
    page = Page((folder / "report.html").read_text(encoding="utf-8"))
    assert "The study has nothing to compare the claim with." in page.text
    assert "How to read the controls" not in page.text


def test_a_study_without_two_view_methods_has_no_correlations(tmp_path: Path) -> None:
    speech = reported.study({"label": reported.cells({"raw": 0.2, "mlp": 0.8})}, claim="mlp")
    report.write_report(tmp_path, speech)
    assert "label-correlation.png" not in {path.name for path in (tmp_path / "figures").iterdir()}
    assert speech.tasks[0].primary["reference"] == "raw"

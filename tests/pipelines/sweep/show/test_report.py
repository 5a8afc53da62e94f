"""The report says what the journal says, stands alone, escapes what it is given, and is there for any sweep."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from jmml.errors import SweepError, TrackingError
from jmml.evaluation.wording import interval, number
from pipelines.definitions.spaces import Dimension
from pipelines.sweep.record.folder import SweepFolder
from pipelines.sweep.record.history import Record
from pipelines.sweep.record.journal import Event
from pipelines.sweep.record.state import SweepState
from pipelines.sweep.show import charts, report
from pipelines.sweep.show import page as pages
from pipelines.sweep.show.charts.axes import Axis
from pipelines.sweep.show.importance import importances
from pipelines.sweep.show.page_definition import asked, searched
from pipelines.workspace.project import Project
from tests.pipelines.study.publish.test_report import Page
from tests.pipelines.sweep import journals

NASTY = "<script>alert(1)</script> & 'x' \"y\""
EVENTS = journals.events()
FIGURES = ["parallel", "slices", "importances", "curves", "budget"]


def record_of(events: list[Event], status: str = "finished") -> Record:
    record = Record(SweepState(), status=status)
    for event in events:
        record.apply(event)
    return record


def rendered(events: list[Event], status: str = "finished") -> Page:
    return Page(pages.render(record_of(events, status)))


@pytest.fixture(scope="module")
def record() -> Record:
    return record_of(EVENTS)


@pytest.fixture(scope="module")
def text(record: Record) -> str:
    return pages.render(record)


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def rows(page: Page) -> dict[int, dict[str, str | None]]:
    """Rows of the table of trials by number."""
    return {int(str(row["data-n"])): row for row in page.all("tr") if "data-n" in row}


class TestAlone:
    def test_nothing_is_fetched(self, text: str, page: Page) -> None:
        assert not re.search(
            r"https?://|@import|url\(|\bfetch\b", text.replace("http://www.w3.org/2000/svg", "")
        )
        assert page.all("link") == page.all("iframe") == page.all("img") == []
        assert not any("style" in attributes or "src" in attributes for _, attributes in page.seen)
        assert not any(name.startswith("on") for _, attributes in page.seen for name in attributes)

    def test_its_policy_allows_its_own_style_and_script_alone(self, text: str, page: Page) -> None:
        policy = next(
            m["content"] for m in page.all("meta") if m.get("http-equiv") == "Content-Security-Policy"
        )
        for tag in ("style", "script"):
            found = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
            assert len(found) == 1
            digest = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
            assert f"{tag}-src 'sha256-{digest}'" in str(policy)
        assert str(policy).startswith("default-src 'none'")

    def test_every_text_is_escaped(self) -> None:
        events: list[Event] = json.loads(json.dumps(EVENTS).replace("LinAlgError", NASTY.replace('"', '\\"')))
        first = events[0]
        first |= {"user": NASTY, "team": NASTY, "name": NASTY}
        first["definition"] |= {"description": NASTY}
        first["fingerprint"] |= {"code": NASTY}
        for event in events:
            if "configuration" in event:
                event["configuration"]["classifier.name"] = NASTY
            if event["e"] == "refit":
                event["comparison"][1]["method"] = NASTY
            if event["e"] == "close":
                event["reason"] = NASTY
        html = pages.render(record_of(events, "stopped"))
        assert html.count("<script>") == 1
        assert "alert(1)" in Page(html).text


class TestNumbers:
    def test_what_the_project_decides_is_said_by_the_journal(self) -> None:
        first = json.loads(json.dumps(EVENTS[0]))
        first["definition"] |= {"corpora": {"speech": None, "eeg": {"name": None, "version": "123456"}}}
        first["definition"]["protocol"] = {"seeds": None, "inner_folds": 4, "outer_fold": 0}
        first["fingerprint"] |= {
            "protocol": {"seeds": [7, 8], "inner_folds": 3, "normalisation": "none"},
            "task": {
                "label_space": "discrete",
                "speech": {"corpus": "lab-speech", "rows": 1200, "groups": 6},
                "eeg": {"corpus": "lab-eeg"},
            },
        }
        said = dict(asked(record_of([first, *EVENTS[1:]])))
        assert said["Corpora"] == "speech: lab-speech (1\u202f200 rows of 6 people), eeg: lab-eeg at 123456"
        assert (said["Label space"], said["Inner folds"], said["Normalisation"]) == ("discrete", "4", "none")
        assert said["Seeds of the refit"] == "7, 8"

    def test_cells_of_the_outer_fold_have_labels_for_narrow_screens(self, page: Page) -> None:
        labels = [str(cell["data-label"]) for cell in page.all("td") if "data-label" in cell]
        assert labels[:9] == [
            "UAR", "Interval", "Difference", "Interval", "p", "Holm p", "Accuracy", "Macro F1", "ECE",
        ]  # fmt: skip

    def test_the_score_is_in_view_with_as_many_settings_as_are_usual(self, record: Record) -> None:
        (picture,) = next(f for f in charts.draw(record, importances([], {})) if f.name == "parallel").panels
        width = float(re.search(r'viewBox="0 0 ([\d.]+)', picture)[1])
        assert width <= 1160  # of the page

    def test_the_answer(self, record: Record, page: Page) -> None:
        best = record.state.best
        assert best is not None
        score = number(best.best_score)
        assert (
            f"Trial {best.number} is the best with an inner-fold UAR of {score} at epoch {best.best_epoch}."
            in page.text
        )
        assert "40 of 40 trials ended" in page.text
        lr = best.configuration["stage1.lr"]
        assert f"{lr:.4g}" in page.text
        assert "0.0001 to 0.01, logarithmic" in page.text

    def test_the_outer_fold(self, record: Record, page: Page) -> None:
        assert "The outer fold was opened once. No trial saw it." in page.text
        for row in record.state.refits[-1]["comparison"]:
            assert number(row["uar"]) in page.text
            assert interval(row["ci_low"], row["ci_high"]) in page.text
        assert "9 speakers, 412 utterances, 3 seeds" in page.text
        assert (
            "it cannot be below 0.004 with nine speakers. Holm p: corrected for the 2 comparisons"
            in page.text
        )
        assert "speech: s03, s07; eeg: p11" in page.text

    def test_two_speakers_have_no_interval_even_where_an_earlier_version_wrote_one(self) -> None:
        events: list[Event] = json.loads(json.dumps(EVENTS))
        for event in events:
            if event["e"] == "refit":
                event["comparison"] = [{**row, "n_groups": 2, "note": ""} for row in event["comparison"]]
        page = rendered(events)
        found = page.text[: page.text.index("What was searched")]
        assert "Two speakers: no interval below four." in found
        assert not re.search(r"0\.\d{3} to [+−]?0", found[found.index("Outer fold") :])

    def test_the_table_has_every_trial_the_best_first(self, record: Record, page: Page) -> None:
        found = rows(page)
        scored = [trial.number for trial in record.ranked]
        assert list(found)[: len(scored)] == scored
        assert sorted(found) == sorted(record.state.trials)
        best = record.best
        assert best is not None
        assert [n for n, row in found.items() if row.get("class") == "primary"] == [best.number]
        for trial in record.scored:
            assert f"{trial.best_score:.4f}" in page.text

    def test_failures_with_their_trials(self, record: Record, page: Page) -> None:
        section = page.text[page.text.index("Failures") :]
        for error in journals.ERRORS:
            failed = [t.number for t in record.trials if t.error == error]
            assert re.search(rf"{re.escape(error)}\s*{len(failed)}\s*{', '.join(map(str, failed))}", section)

    def test_how_it_went(self, record: Record, page: Page) -> None:
        section = page.text[page.text.index("How it went") :]
        memo = record.state.memo()
        assert f"{memo['computed']} models" in section
        assert f"{100 * (record.state.hit_rate or 0):.1f} % of {sum(memo.values())}" in section
        assert "eva on lab3" in section
        assert "adam on box" in section
        assert "1 epoch had another score" in section
        assert "Trial 20" in section

    def test_provenance(self, page: Page) -> None:
        section = page.text[page.text.rindex("Provenance") :]
        for value in ("9f8e7d6c5b4a", "0123456789abcdef.dir", "quick-1", "affect"):
            assert value in section

    def test_the_important_setting_comes_first(self, page: Page) -> None:
        assert "stage1.lr matters most, beyond the noise of these estimates." in page.text
        slices = [str(svg["aria-label"]) for svg in page.all("svg") if "Score by " in str(svg["aria-label"])]
        assert slices[0] == "Score by stage1.lr"
        assert set(slices) == {f"Score by {key}" for key in journals.SPACE}


class TestFigures:
    def test_all_are_there(self, page: Page) -> None:
        assert [figure["id"] for figure in page.all("figure")] == FIGURES

    def test_every_trial_is_a_line(self, record: Record) -> None:
        (picture,) = charts.parallel(record).panels
        assert sorted(map(int, re.findall(r'data-n="(\d+)"', picture))) == sorted(record.state.trials)
        assert picture.count('class="none"') == len(record.trials) - len(record.scored)
        last = re.findall(r'class="best" data-n="(\d+)"', picture)
        assert record.best is not None
        assert last == [str(record.best.number)]

    def test_a_line_crosses_its_axes_where_its_values_are(self, record: Record) -> None:
        (picture,) = charts.parallel(record).panels
        best = record.best
        assert best is not None
        data = re.search(rf'd="M([^"]*)" class="best" data-n="{best.number}"', picture)
        assert data is not None
        heights = [float(value) for value in data[1].split()][1::2]
        top, bottom = 62.0, 396.0
        assert heights[-1] == top  # the highest score
        lr = best.configuration["stage1.lr"]
        assert isinstance(lr, float)
        assert heights[1] == pytest.approx(bottom - (math.log10(lr) + 4) / 2 * (bottom - top), abs=0.06)

    def test_learning_curves_are_thinned(self) -> None:
        many = record_of(journals.events(420, epochs=2))
        figure = charts.curves(many)
        assert figure is not None
        drawn = set(map(int, re.findall(r'data-n="(\d+)"', figure.panels[0])))
        assert len(drawn) == 300
        assert {trial.number for trial in many.ranked[:100]} <= drawn
        assert f"300 of {len(many.scored)} trials" in figure.caption

    def test_choices_of_a_number_are_drawn_and_named_as_choices(self, record: Record) -> None:
        assert record.space["stage1.p"] is not None
        assert record.space["stage1.p"].kind == "choice"
        assert all(isinstance(value, int) for value in record.space["stage1.p"].values)
        slices = charts.slices(record, importances([], {}))
        lanes = {
            re.search(r'aria-label="Score by ([^"]*)"', panel)[1]: panel.count('class="band"')  # type: ignore[index]
            for panel in slices.panels
        }
        assert lanes["stage1.p"] == 2  # every other one of 4, 8, 16
        assert lanes["stage1.lr"] == lanes["stage2.k"] == 0
        lines = charts.parallel(record)
        assert lines.panels[0].count('class="bracket"') == 3 + 2 + 2
        for figure in (slices, lines):
            assert "stage1.p, stage2.imagined, classifier.name." in figure.caption
        assert "spread sideways" in slices.caption

    def test_crosses_where_trials_were_stopped(self, record: Record) -> None:
        figure = charts.curves(record)
        assert figure is not None
        crosses = re.search(r'd="([^"]*)" class="cross"', figure.panels[0])
        assert crosses is not None
        assert crosses[1].count("l6 6") == sum(trial.status == "stopped" for trial in record.trials) > 0

    def test_work_excludes_the_time_between_sessions(self, record: Record) -> None:
        assert record.worked(record.now) == pytest.approx(record.state.seconds)
        assert record.state.seconds < 600
        figure = charts.budget(record)
        assert figure is not None
        assert "minutes of work" in figure.panels[1]
        ticks = [float(label) for label in re.findall(r">([\d.]+)</text>", figure.panels[1])]
        assert 0.5 < max(ticks) / (record.state.seconds / 60) <= 1
        assert figure.panels[1].count('class="resumed"') == 1

    def test_pareto_front(self) -> None:
        costly = record_of(journals.events(60, cost=True))
        figure = charts.pareto(costly)
        corners = set(map(int, re.findall(r'class="corner" data-n="(\d+)"', figure.panels[0])))
        assert corners == {trial.number for trial in costly.state.front()}
        for trial in costly.scored:
            beaten = any(
                (o.best_score or 0) >= (trial.best_score or 0)
                and (o.cost or 0) <= (trial.cost or 0)
                and o is not trial
                for o in costly.scored
            )
            assert beaten != (trial.number in corners)

    @pytest.mark.parametrize(
        ("data", "value", "at"),
        [
            ({"loguniform": [1e-4, 1e-2]}, 1e-3, 0.5),
            ({"uniform": [0.0, 2.0]}, 0.5, 0.25),
            ({"int": [2, 6]}, 3, 0.25),
            ({"choice": [8, 4, 16]}, 4, 1 / 6),
            ({"choice": [True, "b", "a", None]}, None, 7 / 8),
            ({"uniform": [0.5, 0.5]}, 0.5, 0.5),
        ],
    )
    def test_axes(self, data: dict[str, Any], value: Any, at: float) -> None:
        axis = Axis.of([value], Dimension.model_validate(data))
        assert axis.place(value) == pytest.approx(at)
        assert 1 <= len(axis.ticks()) <= 8
        assert all(0 <= place <= 1 for place, _ in axis.ticks())


class TestAnySweep:
    @pytest.mark.parametrize(
        ("keep", "status", "words"),
        [
            (1, "interrupted", "No trial has started."),
            (3, "running", "The sweep is running; this is what was known at"),
            (4, "running", "No trial has a score yet."),
        ],
    )
    def test_that_has_hardly_begun(self, keep: int, status: str, words: str) -> None:
        page = rendered(EVENTS[:keep], status)
        assert words in page.text
        assert "There is nothing to draw before a trial has a score." in page.text
        assert "The outer fold has not been opened by this sweep." in page.text

    def test_with_one_trial(self) -> None:
        last = next(i for i, event in enumerate(EVENTS) if event["e"] == "end")
        page = rendered(EVENTS[: last + 1], "stopped")
        assert "Trial 1 is the best" in page.text
        assert "Cannot be told: 1 of the trials has a score; below 10" in page.text
        assert [figure["id"] for figure in page.all("figure")] == [f for f in FIGURES if f != "importances"]

    def test_in_which_everything_failed(self) -> None:
        events = [event for event in EVENTS if event["e"] in ("sweep", "session")][:1]
        for n in (1, 2):
            place = {"t": journals.START, "trial": n}
            start = {"configuration": {"stage2.k": 3}, "epochs": 3, "attempt": 1, "host": "a"}
            events += [
                {"e": "start", **place, **start},
                {"e": "end", **place, "state": "failed", "error": NASTY},
            ]
        page = rendered(events, "failed")
        assert "Every trial failed." in page.text
        assert NASTY in page.text
        assert len(rows(page)) == 2

    def test_that_broke_off_was_extended_and_changed(self) -> None:
        t = EVENTS[-1]["t"]
        changes: list[Event] = [
            {"e": "session", "t": t + 1000, **journals.session("extend")},
            {"e": "extend", "t": t + 1001, "trials": 10, "user": "adam"},
            {"e": "accept", "t": t + 1002, "changes": ["space.stage2.k: int [2, 8] -> int [2, 12]"],
             **{key: EVENTS[0][key] for key in ("definition", "base", "fingerprint")}, "total": 50},
            {"e": "refit", "t": t + 1003, **journals.refit({}, trial=2, opened=3)},
        ]  # fmt: skip
        page = rendered([*EVENTS, *changes], "interrupted")
        assert "The sweep was interrupted, its driver is gone: 40 of 50 trials ended." in page.text
        assert "Extended by 10 trials (adam)." in page.text
        assert "Accepted change: space.stage2.k" in page.text
        assert "The outer fold was opened 3 times: " in page.text
        assert "What was refitted is trial 2;" in page.text
        assert "broke off" in page.text

    @pytest.mark.parametrize(
        ("opened", "said"),
        [
            (1, "opened once. No trial saw it."),
            (2, "opened twice: after the first"),
            (3, "opened 3 times: after the"),
        ],
    )
    def test_that_opened_the_outer_fold_again(self, opened: int, said: str) -> None:
        refit: Event = {"e": "refit", "t": EVENTS[-1]["t"] + 1, **journals.refit({}, trial=2, opened=opened)}
        text = rendered([*EVENTS, refit]).text
        assert f"The outer fold was {said}" in text
        assert ("No trial saw it" in text) == (opened == 1)

    def test_with_scores_that_are_no_numbers(self) -> None:
        events = [*EVENTS[:3]]
        for n in range(1, 13):
            place = {"t": journals.START + n, "trial": n}
            start = {"configuration": {"stage2.k": n % 4 + 2}, "epochs": 1, "attempt": 1, "host": "a"}
            score = math.nan if n % 3 == 0 else math.inf if n == 2 else n / 20
            events += [
                {"e": "start", **place, **start},
                {"e": "report", **place, "epoch": 1, "points": {"loss": math.nan}, "score": score},
                {"e": "end", **place, "state": "finished"},
            ]
        page = rendered(events)
        assert "Trial 11 is the best with an inner-fold UAR of 0.550" in page.text
        assert len(rows(page)) == 12
        assert not re.search(r"\b(nan|inf)\b", " ".join(str(a.get("d")) for _, a in page.seen))

    def test_with_pbt_the_best_settings_are_those_of_the_best_epoch(self) -> None:
        place = {"t": journals.START, "trial": 1}
        start = {"configuration": {"stage1.lr": 0.00125}, "epochs": 3, "attempt": 1, "host": "a"}
        events: list[Event] = [
            EVENTS[0], EVENTS[1], {"e": "start", **place, **start},
            {"e": "report", **place, "epoch": 1, "points": {}, "score": 0.5},
            {"e": "mutate", **place, "epoch": 1, "configuration": {"stage1.lr": 0.0075}, "source": 2},
            {"e": "report", **place, "epoch": 2, "points": {}, "score": 0.4},
        ]  # fmt: skip
        page = rendered(events, "running")
        assert "0.00125" in page.text
        assert "a line shows the last ones" in page.text

    def test_with_settings_that_only_some_trials_had(self) -> None:
        start = {"configuration": {"stage2.epochs": 9}, "epochs": 3, "attempt": 1, "host": "a"}
        t = EVENTS[-1]["t"]
        more: list[Event] = [
            {"e": "start", "t": t, "trial": 41, **start},
            {"e": "report", "t": t, "trial": 41, "epoch": 1, "points": {}, "score": 0.3},
        ]
        page = rendered([*EVENTS, *more], "running")
        assert "in earlier trials" in page.text
        assert 41 in rows(page)

    def test_what_does_not_vary_has_no_axis_unless_trials_differ(self) -> None:
        first = EVENTS[0]
        fixed = {
            **first["definition"]["space"],
            "stage2.epochs": {"choice": [7]},
            "stage2.hidden": {"choice": [9]},
        }
        events = [{**first, "definition": {**first["definition"], "space": fixed}}, *EVENTS[1:]]
        start = {"configuration": {"stage2.hidden": 8}, "epochs": 3, "attempt": 1, "host": "a"}
        also = {"configuration": {"stage2.hidden": 9}, "epochs": 3, "attempt": 1, "host": "a"}
        t = EVENTS[-1]["t"]
        events += [{"e": "start", "t": t, "trial": 41, **start}, {"e": "start", "t": t, "trial": 42, **also}]
        found = record_of(events, "running")
        assert set(found.space) - set(found.varying) == {"stage2.epochs"}
        assert searched(found, "stage2.epochs") == "fixed"

    def test_with_more_trials_than_rows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pages, "MAX_ROWS", 20)
        html = pages.render(record_of(journals.events(26, epochs=3)))
        assert len(rows(Page(html))) == 20
        assert "The best 20 of 26 trials" in html

    @pytest.mark.long
    @pytest.mark.parametrize("trials", [2_500, 10_000])
    def test_of_thousands_of_trials(self, trials: int) -> None:
        html = pages.render(record_of(journals.events(trials, epochs=3)))
        assert len(html) < 8e6
        assert len(rows(Page(html))) == pages.MAX_ROWS
        assert f"The best 2\u202f000 of {trials:,} trials".replace(",", "\u202f") in html


class TestFile:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Project:
        (tmp_path / "params.yaml").write_text("{}")
        (tmp_path / "dvc.yaml").write_text("stages: {}\n")
        project = Project(tmp_path)
        journals.write(SweepFolder.of(project, "quick").journal, EVENTS[:60])
        return project

    @pytest.fixture
    def stored(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        monkeypatch.setattr(report, "_store", lambda project, run_id, page: found.append((run_id, page)))
        return found

    def test_is_written_and_stored(self, project: Project, stored: list[tuple[str, str]]) -> None:
        path = report.write_report(project, "quick")
        assert path == SweepFolder.of(project, "quick").report
        assert stored == [("0123abcd", path.read_text(encoding="utf-8"))]
        assert "The sweep was interrupted" in path.read_text(encoding="utf-8")

    def test_comes_out_the_same_twice(
        self, project: Project, stored: list[tuple[str, str]], tmp_path: Path
    ) -> None:
        first = report.write_report(project, "quick").read_bytes()
        assert report.write_report(project, "quick", tmp_path / "new" / "r.html").read_bytes() == first

    def test_stays_when_the_store_is_away(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_: object) -> None:
            raise TrackingError("does not answer", where="http://lab:5000")

        monkeypatch.setattr(report, "_store", away)
        notes: list[str] = []
        assert report.write_report(project, "quick", note=notes.append).is_file()
        assert len(notes) == 1
        assert "does not answer" in notes[0]

    def test_errors(self, project: Project, stored: list[tuple[str, str]], tmp_path: Path) -> None:
        with pytest.raises(SweepError, match=r"no sweep 'quik'.*quick"):
            report.write_report(project, "quik")
        with pytest.raises(SweepError, match="the report cannot be written"):
            report.write_report(project, "quick", tmp_path / "params.yaml" / "r.html")
        with pytest.raises(SweepError, match="the report cannot be written"):
            report.write_report(project, "quick", tmp_path)
        assert stored == []


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (98_700.0, 101_200.0, ["99000", "99500", "100000", "100500", "101000"]),
        (0.001, 0.0102, ["0.002", "0.004", "0.006", "0.008", "0.01"]),
        (2e6, 4e6, ["2·10⁶", "2.5·10⁶", "3·10⁶", "3.5·10⁶", "4·10⁶"]),
    ],
)
def test_labels_of_an_axis_differ_from_each_other(low, high, expected):
    assert [label for _, label in Axis("linear", low, high).ticks()] == expected

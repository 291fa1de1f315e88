"""Every format out and in again, against data.decisions.states of the log that was written."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from data.decisions import ACTIONS, Decision, SampleState, standing, states
from data.exchange import FORMATS, WHATS, load, load_log, recognise, save
from tests.data.audit_logs import stored_logs
from tests.data.exchange.sets import small

NAMES = small()
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
CARRIED = tuple(action for action in ACTIONS if action != "soften")


def meaning(log: list[Decision]) -> dict[int, tuple]:
    """Of each sample that is not undecided: its label, soft label, prune, who settled it, and kept or skipped."""
    found = {sample: of_state(state) for sample, state in states(log).items()}
    return {sample: said for sample, said in found.items() if said != (None, None, False, "", "")}


def of_state(state: SampleState) -> tuple:
    word = "kept" if state.settled_by and state.label is None and state.soft_label is None else ""
    if not state.pruned and not state.settled_by and state.last is not None and state.last.action == "skip":
        word = "skipped"
    return state.label, state.soft_label, state.pruned, state.settled_by, word


def there_and_back(log: list[Decision], what: str, name: str, folder: Path) -> list[Decision]:
    out = folder / f"decisions{FORMATS[name].SUFFIX}"
    save(log, what, name, NAMES, out)
    assert recognise(out) == name or not out.read_bytes(), "where nothing stands, lines are none"
    matched = load(out, name, NAMES)
    assert matched.problems == ()
    return list(matched.decisions)


def record(entry: Decision) -> tuple:
    return entry.sample_id, entry.action, entry.label, entry.reason, entry.annotator, entry.seconds, entry.at


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "label-studio"])
@pytest.mark.parametrize("what", WHATS)
@QUICK
@given(log=stored_logs())
def test_states_come_back(tmp_path, name, what, log):
    assert meaning(there_and_back(log, what, name, tmp_path)) == meaning(log)


@pytest.mark.parametrize("what", WHATS)
@QUICK
@given(log=stored_logs(actions=CARRIED))
def test_states_come_back__from_label_studio_without_soft_labels(tmp_path, what, log):
    assert meaning(there_and_back(log, what, "label-studio", tmp_path)) == meaning(log)


@pytest.mark.parametrize("name", ["jsonl", "parquet", "csv"])
@QUICK
@given(log=stored_logs())
def test_log__comes_back_entry_by_entry(tmp_path, name, log):
    left = {id(entry) for entries in standing(log).values() for entry in entries}
    back = there_and_back(log, "log", name, tmp_path)
    assert [record(entry) for entry in back] == [record(entry) for entry in log if id(entry) in left]
    assert [entry.soft_label for entry in back] == [entry.soft_label for entry in log if id(entry) in left]


@pytest.mark.parametrize("name", ["jsonl", "parquet"])
@QUICK
@given(log=stored_logs())
def test_whole_log__comes_back_with_what_was_taken_back(tmp_path, name, log):
    out = tmp_path / "log"
    save(log, "log", name, NAMES, out)
    assert load_log(out, name, NAMES) == log


def test_soft_labels__are_left_out_for_label_studio_with_what_they_replaced(tmp_path):
    soft = (0.5, 0.5, 0.0, 0.0, 0.0)
    log = [Decision(0, "relabel", label=1, id=1), Decision(0, "soften", soft_label=soft, id=2), Decision(1, "prune", id=3)]
    notes = save(log, "log", "label-studio", NAMES, tmp_path / "out.json")
    assert notes == ("1 softened labels are left out: Label Studio has no place for them.",)
    assert [task["data"]["sample_id"] for task in json.loads((tmp_path / "out.json").read_text())] == [1]


def test_parquet__has_typed_columns_and_moments_that_others_read(tmp_path):
    out = tmp_path / "log.parquet"
    log = [
        Decision(2, "relabel", label=0, annotator="ann", seconds=1.5, at="2026-11-01T10:00:00.250+00:00", id=1),
        Decision(4, "keep", at="one morning", id=2),
    ]
    save(log, "log", "parquet", NAMES, out)
    table = pd.read_parquet(out)
    assert str(table["at_utc"].dtype).startswith("datetime64") and str(table["at_utc"].dtype).endswith("UTC]")
    assert table["at_utc"][0] == pd.Timestamp("2026-11-01T10:00:00.250Z") and pd.isna(table["at_utc"][1])
    seen = duckdb.sql(
        f"select sample_id, label, seconds, given_label, class_name, undoes from '{out}' order by id"
    ).fetchall()
    assert seen == [(2, 0, 1.5, "dog", "cat", None), (4, None, None, "fish", None, None)]


def test_csv__no_cell_is_a_formula(tmp_path):
    out = tmp_path / "state.csv"
    log = [Decision(i, "relabel", label=4, annotator=who) for i, who in enumerate(("=A1", "+1", "-1", "@x"))]
    save(log, "state", "csv", NAMES, out)
    cells = pd.read_csv(out, dtype=str, keep_default_na=False).to_numpy().ravel()
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]
    assert {"'=A1", "'+1", "'-1", "'@x", "'=1+1"} <= set(cells)


def test_fiftyone__is_its_samples_with_tags_and_a_classification(tmp_path):
    save(
        [Decision(0, "relabel", label=1, annotator="ann"), Decision(2, "prune")], "state", "fiftyone", NAMES, tmp_path / "s"
    )
    first, second = json.loads((tmp_path / "s").read_text())["samples"]
    assert (first["filepath"], first["tags"]) == ("cat/1.png", ["relabelled"])
    assert (first["ground_truth"]["_cls"], first["ground_truth"]["label"]) == ("Classification", "dog")
    assert (second["filepath"], second["tags"], second["ground_truth"]["label"]) == ("dog/1.png", ["pruned"], "dog")

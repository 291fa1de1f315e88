"""The decisions log against a brute-force replay written independently, and its way to a file and back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.decisions import ACTIONS, LARGEST_INDEX, REASONS, Decision, as_json, read_jsonl, states, write_jsonl
from data.errors import UnreadableInput

SAMPLES = 3
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
DISTRIBUTIONS = st.sampled_from([(1.0, 0.0, 0.0), (0.5, 0.25, 0.25), (1, 0, 0), (0.1, 0.2, 0.7)])


@st.composite
def decisions(draw, samples=st.integers(0, SAMPLES - 1)) -> Decision:
    action = draw(st.sampled_from(ACTIONS))
    return Decision(
        sample_id=draw(samples),
        action=action,
        label=draw(st.integers(0, 2)) if action == "relabel" else None,
        soft_label=draw(DISTRIBUTIONS) if action == "soften" else None,
        reason=draw(st.none() | st.sampled_from(REASONS)),
        annotator=draw(TEXT),
        seconds=draw(st.none() | st.floats(0, 1e6) | st.integers(0, 100)),
        at=draw(TEXT),
        finding=draw(st.none() | TEXT),
    )


@st.composite
def logs(draw) -> list[Decision]:
    """Entries numbered as a store numbers them; some undos name the entry that they take back, of any sample."""
    entries = [replace(entry, id=i) for i, entry in enumerate(draw(st.lists(decisions(), max_size=25)))]
    named = draw(st.lists(st.none() | st.integers(0, 25), min_size=len(entries), max_size=len(entries)))
    return [replace(e, undoes=u) if e.action == "undo" else e for e, u in zip(entries, named, strict=True)]


def replay(log: list[Decision], sample: int) -> tuple | None:
    """(pruned, label, soft label, last entry's id) by striking entries out and walking what is left; None for nothing."""
    struck = [False] * len(log)
    for now, entry in enumerate(log):
        if entry.sample_id != sample or entry.action != "undo":
            continue
        for earlier in reversed(range(now)):
            candidate = log[earlier]
            eligible = candidate.sample_id == sample and candidate.action != "undo" and not struck[earlier]
            if eligible and (entry.undoes is None or entry.undoes == candidate.id):
                struck[earlier] = True
                break
    pruned, label, soft, last = False, None, None, None
    for gone, entry in zip(struck, log, strict=True):
        if gone or entry.sample_id != sample or entry.action == "undo":
            continue
        last = entry.id
        if entry.action == "prune":
            pruned = True
        elif entry.action != "skip":
            pruned = False
        if entry.action in ("keep", "relabel", "soften"):
            label, soft = entry.label, entry.soft_label
    return None if last is None else (pruned, label, soft, last)


@settings(max_examples=300, deadline=None)
@given(logs())
def test_states__equal_a_replay_by_striking_out(log):
    found = states(log)
    for sample in range(SAMPLES):
        state = found.get(sample)
        seen = None if state is None else (state.pruned, state.label, state.soft_label, state.last.id)
        assert seen == replay(log, sample)


@settings(max_examples=100, deadline=None)
@given(logs())
def test_states__name_the_decision_that_caused_them(log):
    for state in states(log).values():
        assert (state.cause is not None) == state.changes
        if state.pruned:
            assert state.cause.action == "prune"
        elif state.changes:
            assert (state.cause.label, state.cause.soft_label) == (state.label, state.soft_label)


@settings(max_examples=100, deadline=None)
@given(logs())
def test_states__undoing_every_entry_leaves_nothing(log):
    undone = log + [Decision(sample, "undo") for sample in range(SAMPLES) for _ in log]
    assert states(undone) == {}


@settings(max_examples=100, deadline=None)
@given(logs(), decisions())
def test_states__an_entry_and_its_undo_change_nothing(log, entry):
    if entry.action == "undo":
        return
    new = replace(entry, id=1000)
    expected = states(log)
    assert states([*log, new, Decision(new.sample_id, "undo")]) == expected
    assert states([*log, new, Decision(new.sample_id, "undo", undoes=1000)]) == expected


def test_states__undo_by_name_reaches_past_later_entries():
    log = [Decision(0, "relabel", label=1, id=1), Decision(0, "prune", id=2), Decision(0, "undo", undoes=1, id=3)]
    state = states(log)[0]
    assert state.pruned and state.label is None


def test_states__restore_puts_back_without_losing_the_label():
    log = [Decision(4, "relabel", label=2), Decision(4, "prune"), Decision(4, "restore")]
    state = states(log)[4]
    assert (state.pruned, state.label, state.cause.action) == (False, 2, "relabel")


def test_states__skip_settles_nothing():
    state = states([Decision(1, "skip")])[1]
    assert not state.changes and state.last.action == "skip" and state.cause is None


@settings(max_examples=100, deadline=None)
@given(log=st.lists(decisions(samples=st.integers(0, LARGEST_INDEX)), max_size=10))
def test_jsonl__comes_back_as_it_went(tmp_path_factory, log):
    place = tmp_path_factory.mktemp("log") / "d.jsonl"
    write_jsonl(log, place)
    assert read_jsonl(place) == log
    assert len(place.read_text(encoding="utf-8").split("\n")) == len(log) + 1


def test_jsonl__is_plain_json_without_what_is_not_said():
    line = as_json(Decision(7, "relabel", label=0, reason="wrong label", annotator="Zoë"))
    assert json.loads(line) == {"sample_id": 7, "action": "relabel", "label": 0, "reason": "wrong label", "annotator": "Zoë"}
    assert "Zoë" in line


def test_read_jsonl__skips_blank_lines_and_a_byte_order_mark(tmp_path):
    place = tmp_path / "d.jsonl"
    place.write_bytes(b'\xef\xbb\xbf{"sample_id": 0, "action": "prune"}\r\n\r\n{"sample_id": 1, "action": "keep"}')
    assert [(d.sample_id, d.action) for d in read_jsonl(place)] == [(0, "prune"), (1, "keep")]


BAD = {
    "not JSON": "prune 3",
    "a list": '[0, "prune"]',
    "nothing but a number": "3",
    "no action": '{"sample_id": 0}',
    "no sample": '{"action": "prune"}',
    "unknown field": '{"sample_id": 0, "action": "prune", "colour": "red"}',
    "unknown action": '{"sample_id": 0, "action": "delete"}',
    "action of another type": '{"sample_id": 0, "action": ["prune"]}',
    "unknown reason": '{"sample_id": 0, "action": "prune", "reason": "ugly"}',
    "sample as float": '{"sample_id": 1.0, "action": "prune"}',
    "sample as bool": '{"sample_id": true, "action": "prune"}',
    "sample as text": '{"sample_id": "1", "action": "prune"}',
    "sample as null": '{"sample_id": null, "action": "prune"}',
    "negative sample": '{"sample_id": -1, "action": "prune"}',
    "sample past 64 bits": '{"sample_id": 9223372036854775808, "action": "prune"}',
    "sample of 5000 digits": '{"sample_id": ' + "9" * 5000 + ', "action": "prune"}',
    "relabel without label": '{"sample_id": 0, "action": "relabel"}',
    "label with prune": '{"sample_id": 0, "action": "prune", "label": 1}',
    "label as float": '{"sample_id": 0, "action": "relabel", "label": 1.0}',
    "soften without label": '{"sample_id": 0, "action": "soften"}',
    "soft label of sum 0.9": '{"sample_id": 0, "action": "soften", "soft_label": [0.5, 0.4]}',
    "negative soft label": '{"sample_id": 0, "action": "soften", "soft_label": [1.5, -0.5]}',
    "NaN soft label": '{"sample_id": 0, "action": "soften", "soft_label": [NaN, 1.0]}',
    "infinite soft label": '{"sample_id": 0, "action": "soften", "soft_label": [Infinity, 0]}',
    "empty soft label": '{"sample_id": 0, "action": "soften", "soft_label": []}',
    "soft label of texts": '{"sample_id": 0, "action": "soften", "soft_label": ["1", "0"]}',
    "soft label as text": '{"sample_id": 0, "action": "soften", "soft_label": "10"}',
    "soft label as number": '{"sample_id": 0, "action": "soften", "soft_label": 1}',
    "huge soft label": '{"sample_id": 0, "action": "soften", "soft_label": [1' + "0" * 400 + ", 0]}",
    "annotator of another type": '{"sample_id": 0, "action": "prune", "annotator": 5}',
    "annotator as null": '{"sample_id": 0, "action": "prune", "annotator": null}',
    "half a character": '{"sample_id": 0, "action": "prune", "annotator": "\\ud800"}',
    "NaN seconds": '{"sample_id": 0, "action": "prune", "seconds": NaN}',
    "negative seconds": '{"sample_id": 0, "action": "prune", "seconds": -1}',
    "id as text": '{"sample_id": 0, "action": "prune", "id": "1"}',
    "nested past all depth": "[" * 100_000,
}


@pytest.mark.parametrize("line", BAD.values(), ids=BAD.keys())
def test_read_jsonl__names_the_line_that_is_wrong(tmp_path, line):
    place = tmp_path / "d.jsonl"
    place.write_text('{"sample_id": 0, "action": "keep"}\n' + line + "\n")
    with pytest.raises(UnreadableInput, match="line 2") as caught:
        read_jsonl(place)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("content", "says"), [(None, "No such file"), (b"\xff\xfe\x00", "UTF-8"), ("folder", "not a regular file")]
)
def test_read_jsonl__not_a_text_file(tmp_path, content, says):
    place = tmp_path / "d.jsonl"
    if content == "folder":
        place.mkdir()
    elif content is not None:
        place.write_bytes(content)
    with pytest.raises(UnreadableInput, match=says):
        read_jsonl(place)


def test_read_jsonl__a_line_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("data.decisions.LONGEST_LINE", 1000)
    place = tmp_path / "d.jsonl"
    place.write_text(" " * 5000)
    with pytest.raises(UnreadableInput, match="1,000 characters"):
        read_jsonl(place)


@pytest.mark.parametrize("sample_id", [1.0, True, "1", -1, None])
def test_decision__sample_must_be_an_index(sample_id):
    with pytest.raises(ValueError, match="sample_id"):
        Decision(sample_id, "prune")


def test_decision__soft_label_may_be_off_by_rounding_only():
    Decision(0, "soften", soft_label=(0.3333, 0.3333, 0.3333))
    with pytest.raises(ValueError, match="sum to 1"):
        Decision(0, "soften", soft_label=(0.33, 0.33, 0.33))


def test_stamped__says_who_and_when_only_where_that_is_missing():
    stamped = Decision(0, "prune").stamped("ann")
    assert stamped.annotator == "ann" and stamped.at.endswith("+00:00")
    assert Decision(0, "prune", annotator="bob", at="2026-01-01").stamped("ann").annotator == "bob"


def test_write_jsonl__refuses_nan_made_behind_the_checks(tmp_path: Path):
    entry = Decision(0, "prune", seconds=1.0)
    object.__setattr__(entry, "seconds", math.nan)
    with pytest.raises(ValueError):
        write_jsonl([entry], tmp_path / "d.jsonl")


def test_read_jsonl__more_than_fit(tmp_path, monkeypatch):
    monkeypatch.setattr("data.decisions.MOST_DECISIONS", 3)
    log = tmp_path / "log.jsonl"
    log.write_text('{"sample_id": 0, "action": "keep"}\n' * 3)
    assert len(read_jsonl(log)) == 3
    log.write_text('{"sample_id": 0, "action": "keep"}\n' * 4)
    with pytest.raises(UnreadableInput, match="more than 3 decisions"):
        read_jsonl(log)

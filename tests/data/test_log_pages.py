"""The paged log of a real workspace, in either store, against the whole log, filtered and replayed in Python."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from data.decisions import Decision, standing, states
from data.errors import ImpossibleRequest
from data.log_pages import Held, LogQuery
from data.workspace import Workspace
from tests.data.workspaces import CLASSES, write_set

N = 20


@pytest.fixture(scope="module")
def workspace(tmp_path_factory, store) -> Iterator[Workspace]:
    """Three annotators, 240 entries, some taken back, beside another set whose log must not show."""
    folder = tmp_path_factory.mktemp("log")
    with Workspace.open(folder / "workspace", decisions=store) as opened:
        set_id = opened.add_set(write_set(folder / "set.npz", N))
        other = opened.add_set(write_set(folder / "other.npz", N))
        draw = np.random.default_rng(0)
        for number in range(240):
            opened.decide(set_id, made(draw, number))
            if number % 7 == 0:
                opened.undo(set_id, ("ann", "bea", "cy")[number % 3])
            if number % 20 == 0:
                opened.decide(other, Decision(0, "prune", annotator="elsewhere"))
        opened.decide_many(set_id, [Decision(i, "prune", annotator="ann") for i in range(4)])
        opened.undo(set_id, "ann")
        yield opened


@pytest.fixture(scope="module")
def set_id(workspace) -> str:
    return next(record.id for record in workspace.sets() if record.name == "set")


def made(draw: np.random.Generator, number: int) -> Decision:
    action = str(draw.choice(["keep", "relabel", "soften", "prune", "restore", "skip"]))
    return Decision(
        int(draw.integers(N)),
        action,
        label=int(draw.integers(CLASSES)) if action == "relabel" else None,
        soft_label=(0.0, 0.25, 0.75, 0.0, 0.0) if action == "soften" else None,
        annotator=("ann", "bea", "cy")[int(draw.integers(3))],
        seconds=float(draw.random()) if number % 3 else None,
        at=f"2026-11-{1 + number // 20:02d}T10:00:{number % 60:02d}.000+00:00",
        finding=(None, "map", "label_errors")[number % 3],
    )


QUERIES = {
    "everything": LogQuery(),
    "one annotator": LogQuery(annotator="bea"),
    "one action": LogQuery(action="undo"),
    "given or chosen class": LogQuery(classes=(2,)),
    "no class": LogQuery(classes=()),
    "finding": LogQuery(finding="map"),
    "span": LogQuery(since="2026-11-03", until="2026-11-05"),
    "sample": LogQuery(sample_id=3),
    "taken back": LogQuery(undone=True),
    "standing": LogQuery(undone=False, annotator="ann"),
    "nothing": LogQuery(annotator="nobody"),
}


def fits(entry: Decision, query: LogQuery, gone: set[int]) -> bool:
    return all(
        (
            query.annotator in (None, entry.annotator),
            query.action in (None, entry.action),
            query.finding in (None, entry.finding),
            query.sample_id in (None, entry.sample_id),
            query.since is None or entry.at >= query.since,
            query.until is None or entry.at < query.until,
            query.classes is None or {entry.sample_id % CLASSES, entry.label} & set(query.classes),
            query.undone is None or query.undone == (entry.id in gone),
        )
    )


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_page__count_and_totals_are_those_of_the_filtered_log(workspace, set_id, query):
    log = workspace.decisions(set_id)
    gone = {entry.undoes for entry in log if entry.undoes is not None}
    expected = [entry for entry in log if fits(entry, query, gone)]
    pages = workspace.log(set_id)
    assert pages.count(query) == len(expected)
    assert [row.decision for row in pages.page(query)] == expected[::-1][: query.limit]
    totals = pages.totals(query)
    by_both = Counter((entry.annotator, entry.action) for entry in expected)
    assert {(t.annotator, t.action): t.entries for t in totals} == by_both
    assert sum(t.undone for t in totals) == sum(entry.id in gone for entry in expected)
    assert sum(t.timed for t in totals) == sum(entry.seconds is not None for entry in expected)
    assert sum(t.seconds for t in totals) == pytest.approx(sum(entry.seconds or 0 for entry in expected))


def test_page__pages_join_to_the_whole_log(workspace, set_id):
    pages = workspace.log(set_id)
    joined = [row for offset in range(0, 400, 37) for row in pages.page(LogQuery(offset=offset, limit=37))]
    assert [row.decision for row in joined] == workspace.decisions(set_id)[::-1]
    assert pages.page(LogQuery(offset=10_000)) == []


def test_page__says_how_the_sample_stood_and_who_took_the_entry_back(workspace, set_id):
    log = workspace.decisions(set_id)
    undo_of = {entry.undoes: entry for entry in log if entry.undoes is not None}
    for row in workspace.log(set_id).page(LogQuery(limit=1000)):
        place = log.index(row.decision)
        sample = row.decision.sample_id
        for held, until in ((row.before, place), (row.after, place + 1)):
            state = states(log[:until]).get(sample)
            assert held == (Held() if state is None else Held(state.label, state.soft_label, state.pruned))
        assert row.undone_by == undo_of.get(row.decision.id)


def test_chunks__are_the_log_in_order(workspace, set_id):
    chunks = list(workspace.log(set_id).chunks(50))
    assert [len(chunk) for chunk in chunks[:-1]] == [50] * (len(chunks) - 1)
    assert [entry for chunk in chunks for entry in chunk] == workspace.decisions(set_id)


def test_standing__is_what_the_log_leaves(workspace, set_id):
    expected = [e for sample, entries in standing(workspace.decisions(set_id)).items() if sample in (1, 3) for e in entries]
    assert workspace.log(set_id).standing([1, 3]) == sorted(expected, key=lambda entry: entry.id)


def test_named__lists_annotators_and_findings_of_this_set(workspace, set_id):
    pages = workspace.log(set_id)
    assert pages.named("annotator") == ["ann", "bea", "cy"]
    assert pages.named("finding") == ["label_errors", "map"]
    with pytest.raises(ImpossibleRequest, match="annotator or finding"):
        pages.named("id; drop table decisions")


def test_take_back__undoes_an_import_as_one_whoever_signed_it(tmp_path, store):
    with Workspace.open(tmp_path / "workspace", decisions=store) as opened:
        set_id = opened.add_set(write_set(tmp_path / "set.npz"))
        opened.decide(set_id, Decision(0, "prune", annotator="ann"))
        before = opened.states(set_id)
        said = [
            Decision(0, "keep", annotator="ann"),
            Decision(1, "prune", annotator="bea"),
            Decision(2, "skip", annotator="cy"),
        ]
        opened.decide_many(set_id, [Decision(**{**vars(entry), "finding": "import: x.csv"}) for entry in said])
        opened.decide(set_id, Decision(7, "prune", annotator="bea", finding="import: one.csv"))
        opened.undo_sample(set_id, 2, "cy")
        one, batch = opened.log(set_id).imports()
        assert (batch.finding, batch.entries, batch.left) == ("import: x.csv", 3, 2)
        assert (one.finding, one.entries, one.left) == ("import: one.csv", 1, 1)
        assert opened.take_back(set_id, one.batch, "dee") == 1
        assert opened.take_back(set_id, batch.batch, "dee") == 2
        assert opened.take_back(set_id, batch.batch, "dee") == 0
        assert opened.states(set_id) == before
        assert [part.left for part in opened.log(set_id).imports()] == [0, 0]
        assert [entry.annotator for entry in opened.decisions(set_id) if entry.action == "undo"] == [
            "cy",
            "dee",
            "dee",
            "dee",
        ]


@pytest.mark.slow
def test_page__of_a_million_entries_is_quick(tmp_path):
    entries = 1_000_000
    with Workspace.open(tmp_path / "workspace") as opened:
        set_id = opened.add_set(write_set(tmp_path / "set.npz", 50_000))
        with opened._database.writing() as execute:
            execute(
                "insert into decisions select i, ?, null, i % 50000, case i % 3 when 0 then 'keep' when 1 then 'prune' else "
                "'skip' end, null, null, null, 'person ' || (i % 5), 1.5, '2026-11-01T10:00:00.000+00:00', null, null "
                "from numbers",
                [set_id],
                numbers={"i": pa.array(np.arange(1, entries + 1))},
            )
        pages = opened.log(set_id)
        for query in (LogQuery(), LogQuery(offset=900_000), LogQuery(annotator="person 3", classes=(1,), undone=False)):
            began = time.monotonic()
            pages.count(query), pages.page(query), pages.totals(query)
            assert time.monotonic() - began < 3, "a tenth of that on a quiet machine"

"""Shared queues, on both stores. The oracle is counted anew from the whole log and the raw table of leases each time."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
import time
from collections import Counter
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.decisions import CRITIC, Decision, standing
from data.errors import ImpossibleRequest
from data.leases import Clock
from data.queues import QueuePlan, Queues
from data.workspace import Workspace
from data.workspace_tables import LOGS
from tests.data.queueing import crowd, crowd_process
from tests.data.workspaces import write_set

N = 20
LEASE = 600.0
_numbers = itertools.count()


class Told(Clock):
    """The time that a test says it is."""

    def __init__(self) -> None:
        self.at = 1e9

    @property
    def known(self) -> bool:
        return True

    def read(self, execute) -> float:
        return self.at

    def estimate(self) -> float:
        return self.at


@pytest.fixture(scope="module")
def place(tmp_path_factory, store):
    folder = tmp_path_factory.mktemp("queues")
    with Workspace.open(folder / "w", decisions=store) as workspace:
        workspace.queues = Queues(workspace._log, workspace._bounds, Told())
        yield workspace, folder


@pytest.fixture
def there(place):
    """(workspace, its queues, the id of a new set of N samples, the clock)."""
    return new_set(place)


def new_set(place):
    workspace, folder = place
    set_id = workspace.add_set(write_set(folder / f"{next(_numbers)}.npz", N))
    return workspace, workspace.queues, set_id, workspace.queues._clock


def plan(samples=range(N), **more) -> QueuePlan:
    return QueuePlan("Round 1", np.array(list(samples)), **{"lease_seconds": LEASE, **more})


def decide(workspace, set_id, who, ids, action="keep") -> None:
    for i in np.asarray(ids).tolist():
        workspace.decide(set_id, Decision(i, action, annotator=who))


def answered(log, since) -> dict[int, set[str]]:
    """Who has a standing answer about each sample, by the rules of data.annotations: a prune counts as one, too."""
    found: dict[int, set[str]] = {}
    for sample, entries in standing([e for e in log if e.id > since]).items():
        for who in {e.annotator for e in entries} - {CRITIC}:
            settled = pruned = False
            for entry in (e for e in entries if e.annotator == who):
                settled |= entry.action in ("keep", "relabel", "soften")
                if entry.action != "skip":
                    pruned = entry.action == "prune"
            if settled or pruned:
                found.setdefault(sample, set()).add(who)
    return found


def done(log, since) -> set[tuple[int, str]]:
    kept = standing([e for e in log if e.id > since])
    return {(sample, entry.annotator) for sample, entries in kept.items() for entry in entries}


def holders(workspace, queue, at) -> dict[str, set[int]]:
    rows = workspace._log.rows("select who, samples, until from leases where queue = ? order by id", [queue])
    latest = {who: (samples, until) for who, samples, until in rows}
    return {who: set(samples) for who, (samples, until) in latest.items() if until > at}


def test_make__what_it_is_comes_back_as_it_was_made(there):
    workspace, queues, set_id, _ = there
    asked = plan([7, 3, 11], overlap=2, blind=True, quota=2, source="flagged", finding="label_errors")
    made = queues.make(set_id, asked, "rev")
    other = Queues(workspace._log, workspace._bounds)  # as another process reads it
    (read,) = other.of_set(set_id)
    assert (read.id, read.set_id, read.made_by, read.at, read.since) == (made.id, set_id, "rev", made.at, made.since)
    assert read.plan.samples.tolist() == [7, 3, 11]
    for name in ("title", "overlap", "lease_seconds", "blind", "quota", "source", "finding"):
        assert getattr(read.plan, name) == getattr(asked, name)
    assert other.of_set("another") == []


def test_blind__counts_only_what_was_decided_in_it(there):
    """What somebody said with the label in sight is no independent answer; they are asked again."""
    workspace, queues, set_id, _ = there
    blind, open_one = (queues.make(set_id, plan([3, 4], blind=hidden), "rev") for hidden in (True, False))
    workspace.decide(set_id, Decision(3, "keep", annotator="ann", seconds=1, finding="label_errors"))
    workspace.decide(set_id, Decision(4, "keep", annotator="ann", seconds=1))
    assert queues.claim(blind.id, "ann", 4).ids.tolist() == [3, 4] and queues.said(blind.id, "ann") == {}
    assert queues.claim(open_one.id, "ann", 4).why == "done"
    workspace.decide(set_id, Decision(3, "keep", annotator="ann", seconds=2, finding=blind.under))
    assert queues.claim(blind.id, "ann", 4).ids.tolist() == [4]
    assert queues.said(blind.id, "ann") == {"keep": (1, 2.0)} and queues.progress(blind.id).answers == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"samples": []}, "nothing to decide"),
        ({"samples": [1, 1]}, "named twice"),
        ({"overlap": 0}, "between 1 and 100"),
        ({"lease_seconds": 0.5}, "a lease"),
        ({"lease_seconds": float("nan")}, "a lease"),
        ({"quota": 0}, "for each person"),
    ],
)
def test_plan__refuses_what_makes_no_sense(change, sentence):
    with pytest.raises(ImpossibleRequest, match=sentence):
        plan(**change)


@pytest.mark.parametrize("samples", [[N], [-1]])
def test_make__refuses_samples_that_the_set_does_not_have(there, samples):
    _, queues, set_id, _ = there
    with pytest.raises(ImpossibleRequest, match="does not exist"):
        queues.make(set_id, plan(samples), "rev")
    assert queues.of_set(set_id) == []


def test_plan__needs_a_title():
    with pytest.raises(ImpossibleRequest, match="title"):
        QueuePlan(" \n", np.array([1]))


def test_claim__two_people_never_hold_the_same_and_keep_the_order(there):
    workspace, queues, set_id, _ = there
    queue = queues.make(set_id, plan(range(N - 1, -1, -1)), "rev").id
    a, b = queues.claim(queue, "a", 5).ids.tolist(), queues.claim(queue, "b", 5).ids.tolist()
    assert (a, b) == ([19, 18, 17, 16, 15], [14, 13, 12, 11, 10])
    assert queues.claim(queue, "a", 5).ids.tolist() == a  # the same again, and nothing written
    assert len(workspace._log.rows("select id from leases where queue = ?", [queue])) == 2


def test_claim__with_an_overlap_of_two_both_are_asked_and_no_third(there):
    workspace, queues, set_id, _ = there
    queue = queues.make(set_id, plan([4, 5], overlap=2), "rev").id
    for who in "ab":
        assert queues.claim(queue, who, 10).ids.tolist() == [4, 5]
    third = queues.claim(queue, "c", 10)
    assert (len(third.ids), third.why, third.left) == (0, "held", 2)
    decide(workspace, set_id, "a", [4, 5])
    assert queues.claim(queue, "a", 10).why == "done"
    decide(workspace, set_id, "b", [4, 5])
    assert queues.claim(queue, "c", 10).why == "done" and queues.left(queue, "c") == 0


def test_claim__a_lease_that_ended_hands_over_and_the_late_decision_still_counts(there):
    workspace, queues, set_id, clock = there
    queue = queues.make(set_id, plan([4, 5]), "rev").id
    assert queues.claim(queue, "a", 10).ids.tolist() == [4, 5]
    held = queues.claim(queue, "b", 10)
    assert held.why == "held" and held.free_at == clock.at + LEASE
    clock.at += LEASE + 1
    assert queues.claim(queue, "b", 10).ids.tolist() == [4, 5]
    decide(workspace, set_id, "b", [4])
    decide(workspace, set_id, "a", [4])
    found = queues.progress(queue)
    assert (found.complete, found.answers, found.wanted, found.beyond) == (1, 1, 2, 1)
    assert [(w.who, w.answered, w.holding) for w in found.workers] == [("a", 1, 0), ("b", 1, 1)]


def test_claim__who_works_on_keeps_the_lease(there):
    workspace, queues, set_id, clock = there
    queue = queues.make(set_id, plan(range(8)), "rev").id
    first = queues.claim(queue, "a", 8).ids
    for sample in first[:3]:
        clock.at += LEASE * 0.6
        decide(workspace, set_id, "a", [sample])
        assert sample not in queues.claim(queue, "a", 8).ids
    assert not set(queues.claim(queue, "b", 8).ids.tolist()) & set(first.tolist())


def test_claim__a_skip_is_done_for_one_but_leaves_the_item_to_others(there):
    workspace, queues, set_id, _ = there
    queue = queues.make(set_id, plan([4]), "rev").id
    assert queues.claim(queue, "a", 10).ids.tolist() == [4]
    decide(workspace, set_id, "a", [4], "skip")
    assert queues.claim(queue, "a", 10).why == "done"
    assert queues.claim(queue, "b", 10).ids.tolist() == [4]
    assert queues.progress(queue).of("a").skipped == 1 and queues.progress(queue).answers == 0


def test_claim__an_undo_opens_the_item_again(there):
    workspace, queues, set_id, _ = there
    queue = queues.make(set_id, plan([4, 5]), "rev").id
    decide(workspace, set_id, "a", queues.claim(queue, "a", 10).ids)
    assert queues.claim(queue, "a", 10).why == "done"
    workspace.undo_sample(set_id, 4, "a")
    assert queues.claim(queue, "a", 10).ids.tolist() == [4]


def test_claim__what_was_decided_before_the_queue_was_made_is_asked_again(there):
    workspace, queues, set_id, _ = there
    decide(workspace, set_id, "a", [4, 5])
    queue = queues.make(set_id, plan([4, 5]), "rev").id
    assert queues.claim(queue, "a", 10).ids.tolist() == [4, 5]


def test_claim__the_critic_is_no_person(there):
    workspace, queues, set_id, _ = there
    queue = queues.make(set_id, plan([4]), "rev").id
    decide(workspace, set_id, CRITIC, [4])
    assert queues.claim(queue, "a", 10).ids.tolist() == [4] and queues.progress(queue).answers == 0


def test_claim__a_quota_ends_it_for_one_person_only(there):
    workspace, queues, set_id, _ = there
    queue = queues.make(set_id, plan(range(10), quota=3), "rev").id
    ids = queues.claim(queue, "a", 10).ids
    assert len(ids) == 3
    decide(workspace, set_id, "a", ids[:2])
    decide(workspace, set_id, "a", ids[2:], "skip")
    assert (queues.claim(queue, "a", 10).why, queues.left(queue, "a"), queues.left(queue, "b")) == ("quota", 0, 3)


def test_claim__a_quota_counts_what_was_decided_beside_the_lease(there):
    workspace, queues, set_id, _ = there
    queue = queues.make(set_id, plan(range(10), quota=5), "rev").id
    assert queues.claim(queue, "a", 10).ids.tolist() == [0, 1, 2, 3]
    decide(workspace, set_id, "a", [7, 8])  # from Browse
    claim = queues.claim(queue, "a", 10)
    assert (claim.ids.tolist(), claim.left) == ([0, 1, 2], 3)


def test_claim__towards_the_end_the_last_items_are_shared_out(there):
    _, queues, set_id, _ = there
    queue = queues.make(set_id, plan(), "rev").id
    shares = [len(queues.claim(queue, who, 40).ids) for who in "abc"]
    assert shares[0] < N and min(shares) >= 4 and sum(shares) <= N


def test_release__gives_back_at_once(there):
    _, queues, set_id, _ = there
    queue = queues.make(set_id, plan([4]), "rev").id
    queues.release(queue, "a")  # who holds nothing gives nothing back
    queues.claim(queue, "a", 10)
    assert queues.claim(queue, "b", 10).why == "held"
    queues.release(queue, "a")
    assert queues.claim(queue, "b", 10).ids.tolist() == [4]


def test_close__hands_out_nothing_more_until_it_is_reopened(there):
    workspace, queues, set_id, _ = there
    queue = queues.make(set_id, plan(range(9)), "rev").id
    held = queues.claim(queue, "a", 4).ids
    queues.close(queue, "rev")
    queues.close(queue, "rev")
    assert queues.open_of(set_id) == [] and queues.claim(queue, "b", 4).why == "closed"
    assert queues.claim(queue, "a", 4).ids.tolist() == held.tolist()  # these are being looked at
    decide(workspace, set_id, "a", held)
    assert queues.claim(queue, "a", 4).why == "closed"
    queues.reopen(queue, "rev")
    assert [q.id for q in queues.open_of(set_id)] == [queue] and len(queues.claim(queue, "b", 4).ids) == 4
    what = workspace._log.rows("select what from queue_events where queue = ? order by id", [queue])
    assert what == [("close",), ("reopen",)]


def test_entries_that_come_to_light_after_a_later_one_count(tmp_path):
    with Workspace.open(tmp_path / "w") as workspace:
        set_id, clock = workspace.add_set(write_set(tmp_path / "s.npz", N)), Told()
        queues = Queues(workspace._log, workspace._bounds, clock)
        queue = queues.make(set_id, plan([4, 5, 6]), "rev").id
        add_entries(workspace, queue, set_id, "b", 5, 2, clock.at + LEASE)
        assert queues.progress(queue).answers == 1
        add_entries(workspace, queue, set_id, "a", 4, 1, clock.at + LEASE)
        found = queues.progress(queue)
        assert (found.answers, [(worker.who, worker.holding) for worker in found.workers]) == (2, [("a", 1), ("b", 1)])


def add_entries(workspace, queue, set_id, who, sample, number, until) -> None:
    """An answer, and a lease of sample 6, each under that ``number``."""
    said = {"id": number, "set_id": set_id, "sample_id": sample, "action": "keep", "annotator": who, "at": "2026-01-01"}
    held = {"id": number, "queue": queue, "who": who, "samples": [6], "until": until}
    with workspace._log.writing() as execute:
        execute.insert("decisions", {name: [value] for name, value in said.items()})
        execute.insert("leases", {name: [value] for name, value in held.items()})


def test_what_others_decided_just_before_the_server_went_away_counts_once_it_is_back(postgres, tmp_path):
    url, path = postgres.new_database(), write_set(tmp_path / "s.npz", N)
    with Workspace.open(tmp_path / "a", decisions=url) as here, Workspace.open(tmp_path / "b", decisions=url) as there:
        set_id = here.add_set(path)
        queue = here.queues.make(set_id, plan([4, 5]), "rev").id
        assert (here.queues.progress(queue).answers, there.add_set(path)) == (0, set_id)
        decide(there, set_id, "b", [4])
        decide(here, set_id, "a", [5])
        postgres.stop("immediate")
        try:
            assert here.queues.progress(queue).answers == 1  # what it wrote itself
        finally:
            postgres.start()
        give_up = time.monotonic() + 60
        while here.trouble and time.monotonic() < give_up:
            time.sleep(0.05)
        assert here.queues.progress(queue).answers == 2


def test_get__a_queue_that_is_not_there(there):
    with pytest.raises(ImpossibleRequest, match="there is no queue 99999"):
        there[1].claim(99_999, "a", 5)


_step = st.tuples(
    st.sampled_from(
        ["claim", "claim", "keep", "keep", "skip", "prune", "restore", "undo", "late", "release", "wait", "wait"]
    ),
    st.sampled_from("abc"),
    st.integers(0, 3),
)


@settings(max_examples=40)
@given(steps=st.lists(_step, min_size=15, max_size=40), overlap=st.integers(1, 2), quota=st.sampled_from([None, 3]))
def test_whatever_people_do_nobody_is_handed_what_enough_others_have(place, steps, overlap, quota):
    workspace, queues, set_id, clock = new_set(place)
    decide(workspace, set_id, "a", [2, 5])
    made = queues.make(set_id, plan([5, 2, 9, 0], overlap=overlap, quota=quota), "rev")
    order = made.plan.samples.tolist()
    shown: dict[str, list[int]] = {}
    for what, who, number in steps:
        sample = order[number]
        if what == "claim":
            shown[who] = check_claim(workspace, made, who, clock.at)
        elif what == "wait":
            clock.at += LEASE * (0.1 + 0.35 * number)
        elif what == "release":
            queues.release(made.id, who)
        elif what == "undo":
            workspace.undo_sample(set_id, sample, who)
        elif what in ("late", "restore"):  # on a sample that perhaps nobody gave them
            decide(workspace, set_id, who, [sample], "keep" if what == "late" else what)
        elif number < len(shown.get(who, [])):
            decide(workspace, set_id, who, [shown[who][number]], what)
    check_figures(workspace, made)


def check_claim(workspace, made, who, at) -> list[int]:
    log, since = workspace.decisions(made.set_id), made.since
    told, finished, held = answered(log, since), done(log, since), holders(workspace, made.id, at)
    free = [
        sample
        for sample in made.plan.samples.tolist()
        if (sample, who) not in finished
        and len(told.get(sample, ())) < made.plan.overlap
        and len(told.get(sample, set()) | {o for o in held if sample in held[o] and (sample, o) not in finished} - {who})
        < made.plan.overlap
    ]
    quota_left = N if made.plan.quota is None else made.plan.quota - sum(person == who for _, person in finished)
    offered = workspace.queues.offers(made.id, who)
    claim = workspace.queues.claim(made.id, who, 6)
    ids = claim.ids.tolist()
    own = [s for s in held.get(who, ()) if (s, who) not in finished and len(told.get(s, ())) < made.plan.overlap]
    assert [sample for sample in made.plan.samples.tolist() if sample in ids] == ids
    assert all(sample in free or sample in own for sample in ids)
    assert all((sample, who) not in finished for sample in ids)
    assert len(ids) <= max(quota_left, 0)
    assert len(ids) <= 6 or set(ids) <= set(own)
    assert offered == bool(ids) == (bool(free or own) and quota_left > 0)
    if ids:
        assert claim.why == "" and set(ids) == holders(workspace, made.id, at)[who] & set(ids)
    return ids


def check_figures(workspace, made) -> None:
    log = workspace.decisions(made.set_id)
    told = {s: len(who) for s, who in answered(log, made.since).items() if s in made.plan.samples}
    found = workspace.queues.progress(made.id)
    k = made.plan.overlap
    assert found.complete == sum(n >= k for n in told.values())
    assert (found.answers, found.wanted) == (sum(min(n, k) for n in told.values()), 4 * k)
    assert found.beyond == sum(n > k for n in told.values())
    by_person = Counter(who for s, people in answered(log, made.since).items() if s in told for who in people)
    finished = Counter(who for s, who in done(log, made.since) if s in made.plan.samples)
    assert {w.who: w.answered for w in found.workers if w.answered} == by_person
    assert {w.who: w.answered + w.skipped for w in found.workers if w.answered + w.skipped} == finished


@pytest.mark.parametrize("overlap", [1, 3])
def test_a_crowd_in_threads_decides_each_item_exactly_as_often_as_asked(there, overlap):
    workspace, queues, set_id, _ = there
    made = queues.make(set_id, plan(overlap=overlap), "rev")
    crowd(workspace, made.id, list("abcde"))
    log = [entry for entry in workspace.decisions(set_id) if entry.id > made.since]
    assert Counter(entry.sample_id for entry in log) == dict.fromkeys(range(N), overlap)
    assert len({(entry.sample_id, entry.annotator) for entry in log}) == len(log)


def test_two_processes_share_a_queue_over_postgresql(postgres, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))  # a process that is started would run it first
    processes, url, path = (
        multiprocessing.get_context("forkserver"),
        postgres.new_database(),
        write_set(tmp_path / "s.npz", 60),
    )
    with Workspace.open(tmp_path / "w", decisions=url) as workspace:
        set_id = workspace.add_set(path)
        made = workspace.queues.make(set_id, plan(range(60), overlap=2), "rev")
        start = processes.Barrier(2)
        started = [
            processes.Process(target=crowd_process, args=(tmp_path / name, url, path, start, made.id)) for name in ("x", "y")
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(120)
        assert [process.exitcode for process in started] == [0, 0]
        log = workspace.decisions(set_id)
        assert Counter(entry.sample_id for entry in log) == dict.fromkeys(range(60), 2)
        assert len({(entry.sample_id, entry.annotator) for entry in log}) == len(log)
        assert {entry.annotator[0] for entry in log} == {"x", "y"}
        assert workspace.queues.progress(made.id).complete == 60


def test_a_store_made_before_there_were_queues_gets_them(postgres, tmp_path):
    url, path = postgres.new_database(), write_set(tmp_path / "s.npz", N)
    added = ("queues", "queue_events", "leases")
    with Workspace.open(tmp_path / "w", decisions=url) as workspace:
        set_id = workspace.add_set(path)
        kept = workspace.decide(set_id, Decision(3, "keep", annotator="a"))
        with workspace._database.writing() as execute:
            execute("".join(f"drop table stillroom.main.{log};" for log in added))
    postgres.execute("".join(f"drop table stillroom.{log};" for log in added), _database(url))
    with Workspace.open(tmp_path / "w", decisions=url) as workspace:
        assert workspace.decisions(set_id) == [kept]
        made = workspace.queues.make(set_id, plan(), "rev")
        assert made.since == kept.id and len(workspace.queues.claim(made.id, "a", 3).ids) == 3
    unique = postgres.execute("select tablename from pg_indexes where schemaname = 'stillroom'", _database(url))
    assert {log for (log,) in unique} >= set(LOGS)
    with Workspace.open(tmp_path / "w") as workspace:  # the file's own
        assert workspace.queues.of_set(set_id) == []


def _database(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


def test_a_project_that_comes_to_be_shared_keeps_its_queues(postgres, tmp_path):
    with Workspace.open(tmp_path / "w") as workspace:
        set_id = workspace.add_set(write_set(tmp_path / "s.npz", N))
        made = workspace.queues.make(set_id, plan(), "rev")
        decide(workspace, set_id, "a", [0, 1])
    with Workspace.open(tmp_path / "w", decisions=postgres.new_database()) as workspace:
        assert [queue.id for queue in workspace.queues.of_set(set_id)] == [made.id]
        assert workspace.queues.progress(made.id).complete == 2
        assert workspace.queues.claim(made.id, "b", 4).ids.tolist() == [2, 3, 4, 5]

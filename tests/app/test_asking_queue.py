"""The queues that ask for what is worth most: what they hold, in what order, and what a decision changes."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.asking import SECONDS_A_DECISION, Pace
from app.asking_queue import QUOTA, RIGHT, TIME, WRONG, Asking, pace_of, seconds_spent, settled_of, suspicion, waiting
from app.queue import AHEAD, FLAGGED, IN_HAND, SKIPPED, Queue, next_ids
from data.decisions import Decision
from tests.app.workspaces import opened
from tests.data.workspaces import CLASSES, add_run

N = 30
SCORE = np.linspace(0.02, 0.98, N)  # sample 0 is the most suspicious
PACE = Pace()


@pytest.fixture
def there(tmp_path):
    """A workspace in which label errors were looked for: six labels flagged."""
    with opened(tmp_path, N) as (services, set_id):
        add_run(services.workspace, set_id, "label_errors", {"score": SCORE, "flag": np.arange(N) < 6})
        yield services.workspace, set_id


def decide(workspace, set_id, *ids, action="keep", **more):
    workspace.decide_many(set_id, [Decision(i, action, annotator="ann", **more) for i in ids])


def test_waiting__the_most_suspicious_first_without_what_is_decided_or_skipped(there):
    workspace, set_id = there
    decide(workspace, set_id, 0, 2)
    decide(workspace, set_id, 1, action="skip")
    left = waiting(set_id, Asking(TIME, seconds=1e9), PACE)
    assert left.tolist() == list(range(3, N))


def test_suspicion__adds_up_to_what_confident_learning_counts(there):
    _, set_id = there
    now = suspicion(set_id)
    assert now.source == "label_errors" and not now.corrected
    assert now.p_wrong.sum() == pytest.approx(6) and (np.diff(now.p_wrong) < 0).all()


def test_suspicion__prefers_combined_evidence_and_leaves_its_probabilities_alone(there):
    workspace, set_id = there
    add_run(workspace, set_id, "combined_evidence", {"score": np.full(N, np.nan)})
    assert suspicion(set_id).source == "label_errors", "combined evidence says nothing of any sample"


def test_suspicion__nobody_says_anything(tmp_path):
    with opened(tmp_path, N) as (_, set_id):
        assert suspicion(set_id).source is None
        assert waiting(set_id, Asking(WRONG), PACE).tolist() == list(range(N))
        assert waiting(set_id, Asking(RIGHT), PACE).tolist() == []


def test_waiting__wrong_and_right_lie_apart(there):
    _, set_id = there
    wrong, right = (waiting(set_id, Asking(way), PACE) for way in (WRONG, RIGHT))
    p_wrong = suspicion(set_id).p_wrong
    assert (p_wrong[right] < 0.5).all() and len(right) == (p_wrong < 0.5).sum()
    assert p_wrong[wrong[:5]].mean() > 3 * p_wrong[right[:5]].mean()


def test_waiting__a_quota_counts_what_each_class_has_already(there):
    workspace, set_id = there
    labels = np.arange(N) % CLASSES
    decide(workspace, set_id, 0, 5)  # both of class 0
    left = waiting(set_id, Asking(QUOTA, quota=2), PACE)
    assert np.bincount(labels[left], minlength=CLASSES).tolist() == [0, 2, 2, 2, 2]
    assert left.tolist() == [1, 2, 3, 4, 6, 7, 8, 9], "one of every class, then the second of every class"


def test_next_ids__a_quota_asks_no_class_twice_where_the_order_changes_meanwhile(there):
    workspace, set_id = there
    labels, asking, queue = np.arange(N) % CLASSES, Asking(QUOTA, quota=1), Queue(QUOTA)
    shown, _ = next_ids(set_id, queue, asking, "ann", [])
    assert sorted(labels[shown]) == list(range(CLASSES))
    # Findings arrive that put every class into the opposite order.
    add_run(workspace, set_id, "label_errors", {"score": np.linspace(0.9, 0.1, N), "flag": np.zeros(N, bool)})
    for left in range(CLASSES - 1, 0, -1):
        decide(workspace, set_id, shown[0])
        asked, (shown, total) = shown, next_ids(set_id, queue, asking, "ann", shown)
        assert shown[0] == asked[1], "the card in hand stays"
        assert len(set(labels[shown])) == len(shown) == total == left


def test_waiting__time_is_a_number_of_decisions_at_the_persons_pace(there):
    _, set_id = there
    assert len(waiting(set_id, Asking(TIME, seconds=7 * SECONDS_A_DECISION), PACE)) == 7
    assert len(waiting(set_id, Asking(TIME, seconds=60.0), Pace(10.0, 10.0, 9))) == 6
    assert len(waiting(set_id, Asking(TIME, seconds=-3.0), PACE)) == 0


def test_waiting__only_the_classes_asked_for(there):
    _, set_id = there
    left = waiting(set_id, Asking(WRONG, classes=(2, 3)), PACE)
    assert set(left % CLASSES) == {2, 3} and len(left) == 2 * N // CLASSES


def test_waiting__the_order_changes_only_with_a_whole_batch(there):
    workspace, set_id = there
    # Another analysis that marks every fourth sample, and a person who finds just those wrong.
    add_run(workspace, set_id, "map", {"score": np.where(np.arange(N) % 4 == 0, 0.0, 1.0)})
    asking = Asking(TIME, seconds=1e9, batch=12)
    first = waiting(set_id, asking, PACE)
    decide(workspace, set_id, 0, 4, 8, action="relabel", label=3)
    decide(workspace, set_id, 1, 2, 3, 5, 6, 7, 9, 10)
    assert waiting(set_id, asking, PACE).tolist() == [i for i in first if i > 10], "eleven decisions: the order as it was"
    decide(workspace, set_id, 11)
    assert suspicion(set_id, 12).corrected
    assert waiting(set_id, asking, PACE)[:3].tolist() == [12, 16, 20], "what is like the errors found comes first now"


def test_next_ids__the_cards_in_hand_stay_in_front_of_a_new_order(there):
    workspace, set_id = there
    queue, asking = Queue(WRONG), Asking(WRONG)
    decide(workspace, set_id, 21)
    ids, total = next_ids(set_id, queue, asking, "ann", [21, 25, 20, 11, 12])
    assert ids[:IN_HAND] == [25, 20, 11], "21 is decided, 12 is one card too many"
    assert len(ids) == len(set(ids)) == min(AHEAD, N - 1) and total == N - 1


@pytest.mark.parametrize("queue", [Queue(FLAGGED, "label_errors"), Queue(SKIPPED)])
def test_next_ids__other_queues_keep_the_card_too_but_never_a_decided_one(there, queue):
    workspace, set_id = there
    decide(workspace, set_id, 4, 3, action="skip")
    decide(workspace, set_id, 4)
    shown = [4, 5] if queue.way == FLAGGED else [4, 3]
    ids, _ = next_ids(set_id, queue, Asking(queue.way), "ann", shown)
    assert ids == ([5, 0, 1, 2] if queue.way == FLAGGED else [3])


def test_next_ids__an_empty_queue_holds_nothing(there):
    workspace, set_id = there
    decide(workspace, set_id, *range(N))
    assert next_ids(set_id, Queue(WRONG), Asking(WRONG), "ann", [1, 2]) == ([], 0)


def test_pace_of__is_the_persons_own(there):
    workspace, set_id = there
    for i in range(8):
        workspace.decide(set_id, Decision(i, "keep", annotator="ann", seconds=2.0))
        workspace.decide(set_id, Decision(i, "keep", annotator="bob", seconds=20.0))
    assert pace_of(set_id, "ann") == Pace(2.0, 2.0, 8) and pace_of(set_id, "eve") == Pace()
    assert seconds_spent(set_id, "ann", 0) == 16.0
    assert seconds_spent(set_id, "ann", workspace.decisions(set_id)[3].id) == 12.0


def test_settled_of__in_the_order_decided(there):
    workspace, set_id = there
    decide(workspace, set_id, 7)
    decide(workspace, set_id, 2, action="relabel", label=4)
    done = settled_of(set_id)
    assert done.ids.tolist() == [7, 2] and done.wrong.tolist() == [False, True]

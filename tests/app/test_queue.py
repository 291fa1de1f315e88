"""The decision queue: what it holds."""

from __future__ import annotations

from app.asking_queue import QUOTA, WAYS
from app.queue import FLAGGED, LOWEST, SKIPPED, STORED, Queue, queue_meaning, queue_title, queues


def test_queues__label_errors_come_first_and_the_whole_set_is_always_there():
    offered = queues(["diversity", "label_errors"])
    assert offered[0] == Queue(FLAGGED, "label_errors")
    assert {queue.way for queue in offered} == {FLAGGED, LOWEST, STORED, SKIPPED, *WAYS}
    assert [queue.way for queue in queues([])] == [QUOTA, STORED, SKIPPED]
    assert [queue.way for queue in queues(["diversity"])] == [FLAGGED, LOWEST, QUOTA, STORED, SKIPPED]
    assert len({queue_title(queue) for queue in offered}) == len(set(offered)) == len(offered)


def test_queue_meaning__every_queue_says_what_it_does():
    assert all(queue_meaning(queue).endswith(".") for queue in queues(["diversity", "label_errors"]))


def test_query__flagged_worst_first_among_undecided():
    query = Queue(FLAGGED, "label_errors", (1,)).query
    assert (query.flagged_by, query.sort_by, query.decision) == ("label_errors", ("label_errors", "score"), "undecided")
    assert query.classes == (1,) and not query.descending

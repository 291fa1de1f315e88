"""Which entries of a log settle a label."""

from __future__ import annotations

import numpy as np

from data.decisions import CRITIC, Decision, states
from data.verdicts import verdicts

GIVEN = np.array([4, 3, 2, 1, 0, 5])


def test_verdicts__keeps_and_relabels_settle_and_nothing_else_does():
    log = [
        Decision(5, "keep"),
        Decision(0, "relabel", label=1),
        Decision(1, "prune"),
        Decision(2, "skip"),
        Decision(3, "soften", soft_label=(0.5, 0.5, 0, 0, 0, 0)),
        Decision(4, "keep"),
        Decision(4, "undo"),
        Decision(9, "keep"),
    ]
    found = verdicts(states(log), GIVEN)
    assert (found.ids.tolist(), found.labels.tolist(), found.pruned.tolist()) == ([0, 5], [1, 5], [1])
    assert found.wrong(GIVEN).tolist() == [True, False]


def test_verdicts__a_relabelled_sample_that_was_pruned_later_still_says_its_class():
    log = [Decision(2, "relabel", label=0), Decision(2, "prune")]
    assert verdicts(states(log), GIVEN).labels.tolist() == [0]


def test_verdicts__a_keep_after_a_relabel_means_the_given_label():
    log = [Decision(2, "relabel", label=0), Decision(2, "keep")]
    assert verdicts(states(log), GIVEN).labels.tolist() == [2]


def test_verdicts__none():
    assert len(verdicts({}, GIVEN)) == 0 and verdicts({}, GIVEN).empty


def test_verdicts__a_sample_left_out_is_something_said_though_no_label():
    found = verdicts(states([Decision(1, "prune"), Decision(3, "prune"), Decision(3, "restore")]), GIVEN)
    assert found.pruned.tolist() == [1] and not len(found) and not found.empty
    assert found.of_labels().empty


def test_digest__same_for_the_same_verdicts_only():
    settled = verdicts(states([Decision(0, "keep"), Decision(1, "relabel", label=2)]), GIVEN)
    detour = [Decision(1, "relabel", label=2), Decision(0, "prune"), Decision(0, "undo"), Decision(0, "keep")]
    assert verdicts(states(detour), GIVEN).digest == settled.digest
    others = [[Decision(0, "keep")], [Decision(0, "keep"), Decision(1, "keep")], []]
    assert settled.digest not in [verdicts(states(log), GIVEN).digest for log in others]


def test_digest__changes_with_what_was_left_out_and_only_then():
    keep = [Decision(0, "keep")]
    settled, pruned = (verdicts(states([*keep, *more]), GIVEN) for more in ([], [Decision(1, "prune")]))
    assert pruned.digest != settled.digest and pruned.of_labels().digest == settled.digest


def test_verdicts__what_the_critic_adopted_is_nobodys():
    log = [Decision(0, "relabel", label=2, annotator=CRITIC), Decision(1, "keep", annotator=CRITIC)]
    assert verdicts(states(log), GIVEN).empty
    pruned_after = [*log, Decision(0, "prune", annotator="me")]
    assert len(verdicts(states(pruned_after), GIVEN)) == 0 and verdicts(states(pruned_after), GIVEN).pruned.tolist() == [0]
    assert verdicts(states([*log, Decision(0, "keep", annotator="me")]), GIVEN).labels.tolist() == [GIVEN[0]]

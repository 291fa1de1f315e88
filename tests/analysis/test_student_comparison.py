"""A repair that matters is seen to matter, one that does not is not, and every number is what the marks say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_rel

from analysis import student_comparison as module
from analysis.context import Context
from analysis.registry import find, run
from data.decisions import Decision, states
from data.errors import ImpossibleRequest
from data.verdicts import verdicts
from tests.analysis.made_sets import made_set
from tests.analysis.students.made_marks import trainer

LINEAR = {"network": "linear", "steps": 40, "seeds": 4, "augment": False}
TINY = {"network": "linear", "steps": 2, "seeds": 3}


@pytest.fixture(scope="module")
def ordinary():
    return made_set(n_per_class=(12, 9, 6), test=True)


def figure(found, label):
    return next(f for f in found.summary if f.label == label)


def decided(distilled_set, log) -> Context:
    return Context(verdicts=verdicts(states(log), distilled_set.labels))


def test_student_comparison__repaired_labels_teach_more():
    right = made_set(n_per_class=(10, 10, 10), test=True)
    labels = right.labels.copy()
    labels[::2] = (labels[::2] + 1) % 3
    wrong = replace(right, labels=labels)
    log = [Decision(i, "relabel", label=int(right.labels[i])) for i in range(0, 30, 2)]
    found = run("student_comparison", wrong, decided(wrong, log), **LINEAR)
    difference = figure(found, "After less before (chance of seeds)")
    assert difference.value > 20 and difference.low > 0
    assert figure(found, "After less before (chance of test images)").low > 0
    assert (found.per_sample["before_label"] != found.per_sample["after_label"]).sum() == 15
    assert not any("not told apart" in caveat for caveat in found.caveats)


def test_student_comparison__the_same_labels_are_not_told_apart(ordinary):
    same = {"before": "teacher 0", "after": "given", "losses": "soft only"}
    found = run("student_comparison", ordinary, **LINEAR, **same)
    assert figure(found, "After less before (chance of test images)").value == 0
    assert figure(found, "After less before (chance of seeds)").interval == "", "seeds that all agree say nothing"
    assert any("not told apart" in caveat for caveat in found.caveats)


def test_student_comparison__pruned_images_are_learnt_from_no_more(ordinary):
    found = run("student_comparison", ordinary, decided(ordinary, [Decision(4, "prune")]), **TINY)
    assert found.per_sample["after_label"].tolist()[4] == -1 and found.tables["students"]["images"].tolist() == [27, 26]
    assert found.per_sample["score"].isna().all() and not found.per_sample["flag"].any()


def test_student_comparison__every_number_is_what_the_marks_say(ordinary, monkeypatch):
    right = {
        "hard labels": lambda seed: [4, 5, 6, 5, 7][seed] / 9,
        "soft labels, 'given'": lambda seed: [6, 6, 8, 7, 9][seed] / 9,
    }
    monkeypatch.setattr(module, "train", trainer(right))
    found = run("student_comparison", ordinary)
    before, after = (np.array([share(seed) for seed in range(5)]) for share in right.values())
    oracle = ttest_rel(after, before)
    row = found.tables["differences"].iloc[0]
    assert row["difference"] == pytest.approx((after - before).mean())
    assert row["t_test_p_value"] == pytest.approx(oracle.pvalue)
    assert (row["difference_low"], row["difference_high"]) == pytest.approx(tuple(oracle.confidence_interval()))
    assert row["seed_flips_p_value"] == pytest.approx(2 / 2**5)
    assert found.tables["students"]["accuracy"].tolist() == pytest.approx([before.mean(), after.mean()])
    shown = figure(found, "After less before (chance of seeds)")
    assert shown.value == pytest.approx(100 * row["difference"]) and shown.unit == "percentage points"
    # The exam asks class 0 first, then 1, then 2, six each, and made students know the first ones.
    by_hand = np.clip(np.rint(18 * after)[:, None] - [0, 6, 12], 0, 6) / 6
    assert found.per_class["after"].tolist() == pytest.approx(by_hand.mean(axis=0))
    groups = found.tables["groups"].set_index(["students", "group"])["accuracy"]
    assert groups["soft labels, 'given'", "tail"] == pytest.approx(by_hand[:, 2].mean())
    curve = found.tables["learning curve"]
    assert curve["group"].unique().tolist() == list(right) and curve["step"].tolist() == [1, 2, 1, 2]


def test_student_comparison__many_losses_are_corrected_for_their_number(ordinary):
    found = run("student_comparison", ordinary, losses="all eight", **TINY)
    table = found.tables["differences"]
    assert len(table) == 7 and (table["p_value_after_holm"].dropna() >= table["larger_p_value"].dropna() - 1e-12).all()
    assert any("7 comparisons" in caveat for caveat in found.caveats)


def test_student_comparison__nothing_to_compare_is_said_and_the_accuracy_still_told():
    bare = made_set(n_per_class=(4, 4), teachers=0, test=True)
    found = run("student_comparison", bare, **TINY)
    difference = figure(found, "After less before")
    assert difference.value is None and "nothing to compare" in difference.basis
    assert figure(found, "Accuracy").value is not None and "differences" not in found.tables
    assert "group" not in found.per_class, "two classes of one count have no head and no tail"


def test_student_comparison__two_seeds_give_no_interval(ordinary):
    found = run("student_comparison", ordinary, **{**TINY, "seeds": 2})
    assert figure(found, "After less before (chance of seeds)").low is None
    assert any("too few for an interval" in caveat for caveat in found.caveats)


def test_student_comparison__classes_that_the_exam_does_not_ask(ordinary):
    keep = np.flatnonzero(ordinary.test.labels != 1)
    test = replace(ordinary.test, images=replace(ordinary.test.images, store=ordinary.test.images.store.take(keep)))
    found = run("student_comparison", replace(ordinary, test=replace(test, labels=ordinary.test.labels[keep])), **TINY)
    assert np.isnan(found.per_class["after"][1]) and found.per_class["test_images"].tolist() == [6, 0, 6]
    assert any("asks nothing of 1 of 3" in caveat for caveat in found.caveats)


def test_student_comparison__waits_until_asked_and_ages_with_decisions(ordinary):
    entry = find("student_comparison")
    settled = verdicts(states([Decision(0, "keep"), Decision(1, "prune")]), ordinary.labels)
    assert entry.takes_minutes and entry.heard(settled).digest == settled.digest
    assert find("combined_evidence").heard(settled).digest == settled.of_labels().digest != settled.digest
    assert find("map").heard(settled).empty


def test_student_comparison__needs_a_test_split(ordinary):
    with pytest.raises(ImpossibleRequest, match="test split"):
        run("student_comparison", replace(ordinary, test=None))

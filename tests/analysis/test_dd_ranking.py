"""DD-Ranking's scores from made marks, by hand; and what its students really learn from."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis import dd_ranking as module
from analysis.registry import run
from analysis.students import draws
from analysis.students.real_lessons import real_images
from data.distilled_set import Reference
from data.errors import ImpossibleRequest
from tests.analysis.made_sets import made_set
from tests.analysis.students.made_marks import trainer

TINY = {"network": "linear", "steps": 2, "seeds": 3, "width": 4}
SHARES = dict(zip(module.NAMES, (14, 11, 12, 9, 10, 8), strict=True))


@pytest.fixture(scope="module")
def ordinary():
    return made_set(n_per_class=(6, 5, 4), test=True)


def figure(found, label):
    return next(f for f in found.summary if f.label == label)


def normalised(value: float) -> float:
    return (math.exp(value) - math.exp(-1)) / (math.e - math.exp(-1))


def test_dd_ranking__scores_by_hand_on_fractions(ordinary, monkeypatch):
    right = {name: (lambda seed, known=known: (known + seed % 2) / 18) for name, known in SHARES.items()}
    for place in (module, draws):
        monkeypatch.setattr(place, "train", trainer(right))
    monkeypatch.setattr(
        module, "real_images", lambda s, most, soft, width, context: real_images(s, most, False, width, context)
    )
    monkeypatch.setattr("analysis.students.real_lessons.RealImages.some", lambda self, name, *rest: self.all(name))
    found = run("dd_ranking", ordinary, ior_weight=0.25, augmented_weight=0.75, seeds=3)
    assert figure(found, "HLR").value == pytest.approx(3 / 18) and figure(found, "IOR").value == pytest.approx(3 / 18)
    assert figure(found, "LRS").value == pytest.approx(normalised(0.25 * 3 / 18 - 0.75 * 3 / 18))
    assert figure(found, "ARS").value == pytest.approx(normalised(0.75 * 3 / 18 + 0.25 * 2 / 18))
    assert found.tables["students"]["students"].tolist() == list(module.NAMES)
    assert found.tables["scores"]["score"].tolist() == ["LRS", "ARS", "HLR", "IOR"]


@pytest.mark.parametrize("protocol", ["usual", "hard labels"])
def test_dd_ranking__scores_are_shares_and_say_what_they_rest_on(ordinary, protocol):
    found = run("dd_ranking", ordinary, protocol=protocol, **TINY)
    assert all(0 <= figure(found, name).value <= 1 for name in ("LRS", "ARS"))
    assert any("90 of the reference's 90; the set was made from 1,500" in caveat for caveat in found.caveats)
    assert any("last step" in caveat for caveat in found.caveats)
    assert any("another teacher" in caveat for caveat in found.caveats) == (protocol == "usual")
    rows = found.tables["students"].set_index("students")["accuracy"]
    if protocol == "hard labels":
        assert rows[module.NAMES[module.OWN]] == rows[module.NAMES[module.HARD]], "the set's own way is hard labels here"


def test_dd_ranking__too_small_a_reference_is_said(ordinary):
    few = Reference(
        replace(ordinary.reference.images, store=ordinary.reference.images.store.take(np.arange(0, 90, 30))), np.arange(3)
    )
    found = run("dd_ranking", replace(ordinary, reference=few), protocol="hard labels", **TINY)
    assert any("12 images smaller" in caveat for caveat in found.caveats)


def test_dd_ranking__soft_labels_are_asked_for_only_where_there_are_some():
    bare = made_set(n_per_class=(3, 3), teachers=0, test=True)
    assert figure(run("dd_ranking", bare, **TINY), "LRS").value is not None
    with pytest.raises(ImpossibleRequest, match="no soft labels"):
        run("dd_ranking", bare, protocol="soft labels", **TINY)


def test_dd_ranking__an_exam_that_was_taught_is_said(ordinary):
    asked = len(ordinary.test.labels)
    for reference, warned in ((ordinary.test, True), (ordinary.reference, False)):
        caveats = run("dd_ranking", replace(ordinary, reference=reference), protocol="hard labels", **TINY).caveats
        assert any(f"{asked} of the exam's {asked} images are in the reference" in said for said in caveats) is warned

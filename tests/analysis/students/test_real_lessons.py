"""Real images beside a set: drawn as it is, seen as it is, and labelled by who has learnt from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.context import Context
from analysis.students.real_lessons import real_images
from analysis.students.task import Loss
from data.errors import ImpossibleRequest
from tests.analysis.made_sets import made_set


@pytest.fixture(scope="module")
def ordinary():
    return made_set(n_per_class=(6, 5, 4), test=True)


def test_real_images__drawn_as_the_set_is_and_seen_as_it_is(ordinary):
    real = real_images(ordinary, 60, False, 4, Context())
    assert len(real) == 60 and real.of == 90 and np.bincount(real.labels).tolist() == [20, 20, 20]
    drawn = real.some("random", ordinary.per_class, 0, Loss("hard"))
    assert torch.bincount(drawn.labels).tolist() == [6, 5, 4]
    assert torch.equal(real.all("all").images, real.images)
    stored = ordinary.reference.images.stored(np.arange(3))
    torch.testing.assert_close(real_images(ordinary, 90, False, 4, Context()).images[:3], (stored - 0.5) / 0.25)
    assert real.short_of(np.array([25, 1, 22])) == 7


def test_real_images__soft_labels_name_the_class(ordinary):
    real = real_images(ordinary, 90, True, 4, Context())
    assert real.logits.shape == (90, 3)
    assert (real.logits.argmax(dim=1).numpy() == real.labels).mean() > 0.9
    torch.testing.assert_close(real.logits.exp().sum(dim=1), torch.ones(90), atol=1e-4, rtol=0)


def test_real_images__without_a_reference_there_are_none(ordinary):
    with pytest.raises(ImpossibleRequest, match="no reference"):
        real_images(replace(ordinary, reference=None), 10, False, 4, Context())

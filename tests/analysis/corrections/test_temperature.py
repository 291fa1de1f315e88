"""The plainest correction: one temperature for all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.corrections import correct
from data.errors import ImpossibleRequest
from data.formats import open_set
from data.soft_labels import DenseSoftLabels
from tests.analysis.made_sets import made_set
from tests.data.trees import make_tree


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("kind", ["logits", "probabilities", "scores"])
def test_temperature__is_what_the_source_says_at_it(temperature, kind):
    made = made_set((4, 3, 2))
    values = made.label_sources["given"].values
    source = DenseSoftLabels(values.softmax(dim=1) if kind == "probabilities" else values, kind)
    made = replace(made, label_sources={"given": source})
    found = correct("temperature", made, temperature=temperature).logits(np.arange(9)).softmax(dim=1)
    torch.testing.assert_close(found, source.probabilities(np.arange(9), temperature), atol=1e-6, rtol=0)


def test_temperature__of_a_relabelled_tree_is_of_its_images_labels(tmp_path):
    make_tree("sre2l", tmp_path)
    opened = open_set(tmp_path)
    source = next(iter(opened.label_sources.values()))
    found = correct("temperature", opened, temperature=1.0).logits(np.arange(len(opened))).softmax(dim=1)
    torch.testing.assert_close(found, source.probabilities(np.arange(len(opened))), atol=1e-6, rtol=1e-5)


def test_temperature__out_of_bounds_is_refused():
    with pytest.raises(ImpossibleRequest, match="temperature lies between"):
        correct("temperature", made_set((2, 2)), temperature=0)

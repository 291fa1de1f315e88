"""The shortlist, against sorting whole rows."""

import numpy as np
import pytest
import torch

from analysis.confident.rows import Rows
from analysis.judging.row_shortlist import KEPT, REST, shortlist
from data.soft_labels import DenseSoftLabels


def listed(probabilities: np.ndarray, labels: np.ndarray):
    source = DenseSoftLabels(torch.from_numpy(probabilities), "probabilities")
    return shortlist(labels, Rows(source, torch.device("cpu")))


@pytest.mark.parametrize("classes", [2, 5, KEPT, KEPT + 1, 100])
def test_shortlist__equals_sorting_each_row(classes: int) -> None:
    rng = np.random.default_rng(classes)
    probabilities, labels = rng.dirichlet(np.full(classes, 0.3), 40), rng.integers(0, classes, 40)
    probabilities = (probabilities + 1e-6) / (1 + classes * 1e-6)
    short = listed(probabilities, labels)
    kept = min(KEPT, classes)
    assert short.classes.shape == (40, kept + 1) and short.rest == classes - kept
    for row, label, ids, logs in zip(probabilities, labels, short.classes, short.log_probability, strict=True):
        others = [k for k in np.argsort(-row) if k != label][: kept - 1]
        assert ids.tolist() == [label, *others, REST]
        np.testing.assert_allclose(logs[:-1], np.log(row[ids[:-1]]), rtol=1e-4, atol=1e-6)
        if short.rest:
            left = np.delete(row, ids[:-1])
            assert np.exp(logs[-1]) == pytest.approx(left.mean(), rel=1e-2)


def test_shortlist__nothing_is_impossible() -> None:
    probabilities = np.array([[0.8, 0.2, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    short = listed(probabilities, np.array([2, 1]))
    np.testing.assert_allclose(np.exp(short.log_probability[:, 0]), [0.2 / 4, 1 / 4], rtol=1e-6)


def test_shortlist__pairs_number_what_is_labelled_as_what() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.5, 0.2, 0.3], [0.1, 0.5, 0.4]])
    short = listed(probabilities, np.array([0, 0, 2]))
    seen: dict[tuple[int, int], set[int]] = {}
    for given, others, numbers in zip(short.classes[:, 0], short.classes[:, 1:-1], short.pairs, strict=True):
        for other, number in zip(others, numbers, strict=True):
            seen.setdefault((other, given), set()).add(int(number))
    assert all(len(numbers) == 1 for numbers in seen.values())
    assert len(set.union(*seen.values())) == len(seen)

"""cleanlab itself in the place of our own confident learning: slower, and all probabilities in memory, but the reference."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse

from analysis.confident.learning import Filter, Ranking
from analysis.confident.rows import Rows
from analysis.device import free_bytes
from data.errors import ImpossibleRequest
from data.soft_labels import SoftLabels

TIMES_THE_INPUT = 3
"""What cleanlab holds beside the probabilities, by their size (measured: twice, at 50,000 x 1,000 float32)."""


@dataclass(frozen=True)
class CleanlabAnswer:
    """``found`` bool (N,), ``scores`` (N,) and ``joint`` (C, C) int64, as cleanlab returns them."""

    found: np.ndarray
    scores: np.ndarray
    joint: sparse.csr_array


def ask_cleanlab(labels: np.ndarray, source: SoftLabels, filter_by: Filter, ranking: Ranking) -> CleanlabAnswer:
    """cleanlab's answer for given ``labels`` int64 (N,) and the probabilities of ``source`` (N, C), stored ones as they are.

    Raises ImpossibleRequest where they do not fit in memory, or where cleanlab refuses them.
    """
    from cleanlab.count import compute_confident_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    cpu = torch.device("cpu")
    rows = Rows(source, cpu)
    needed = TIMES_THE_INPUT * len(source) * source.num_classes * source.dtype.itemsize
    if needed > free_bytes(cpu):
        raise ImpossibleRequest(
            f"cleanlab needs about {needed / 2**30:.1f} GiB of memory for these probabilities, more than is free; take the "
            "backend 'stillroom', which gives the same answer."
        )
    probabilities = rows.of(slice(0, len(source))).numpy()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = find_label_issues(labels, probabilities, filter_by=filter_by, n_jobs=1)
            scores = get_label_quality_scores(labels, probabilities, method=ranking)
            joint = compute_confident_joint(labels, probabilities)
    except (ValueError, TypeError) as error:
        raise ImpossibleRequest(f"cleanlab refuses this set ({error}); take the backend 'stillroom'.") from error
    return CleanlabAnswer(found, scores, sparse.csr_array(joint))

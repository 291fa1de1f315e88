"""More labels or better labels: what a budget of decisions gives, answered once, or several times, or by a reviewer.

The trade-off of Mallen and Belrose (Balancing Label Quantity and Quality for Scalable Elicitation, arXiv 2410.13215): a
fixed budget buys many labels of low quality or few of high quality, and which is better depends on prices and accuracies.
They train a model on each mixture; here only the labels are counted, by a closed formula:

    right(a, k) = sum over i > k/2 of binom(k, i) a^i (1 - a)^(k - i), and half of the term i = k/2 where k is even
    samples(k)  = min(samples there are, budget / (k price))
    worth(k)    = samples(k) (right(a, k) - cost (1 - right(a, k)))

It assumes that annotators err independently, each on every sample with the same probability 1 - a, and that those who err on
a sample name the same wrong class. The last is the hardest case: errors that scatter over classes are outvoted sooner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Worker:
    """Who could answer: right with probability ``accuracy``, known to lie in [``low``, ``high``]; ``price`` is what one
    answer costs, in answers of an annotator. ``most`` is how many of them can answer the same sample."""

    name: str
    accuracy: float
    low: float
    high: float
    price: float = 1.0
    most: int = 5


def majority_right(accuracy: float, k: int) -> float:
    """The probability that the majority of ``k`` independent answers is right; a tie is drawn by lot."""
    terms = [math.comb(k, i) * accuracy**i * (1 - accuracy) ** (k - i) for i in range(k + 1)]
    return math.fsum(terms[k // 2 + 1 :]) + (0.5 * terms[k // 2] if k % 2 == 0 else 0.0)


def plan(workers: Sequence[Worker], budget: int, samples: int, cost: float) -> pd.DataFrame:
    """What each worker's k answers a sample make of ``budget`` annotators' answers, one row for each worker and k.

    ``samples`` are there at most to label. ``cost`` is what a wrong consensus costs where a right one is worth 1.
    ``right_consensus`` and ``wrong_consensus`` are expected numbers of samples; the interval of the former comes from that
    of the accuracy. ``chosen`` marks the row of the highest ``worth``, the fewest answers first where several share it.
    """
    rows = [_row(worker, k, budget, samples, cost) for worker in workers for k in range(1, worker.most + 1)]
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    table["chosen"] = np.arange(len(table)) == int(table["worth"].argmax()) if len(table) else []
    return table


_COLUMNS = (
    *("k", "group", "labelled", "right_consensus", "right_consensus_low", "right_consensus_high"),
    *("wrong_consensus", "p_right", "worth"),
)


def _row(worker: Worker, k: int, budget: int, samples: int, cost: float) -> tuple:
    labelled = min(samples, int(budget / (k * worker.price)))
    right, low, high = (majority_right(a, k) for a in (worker.accuracy, worker.low, worker.high))
    worth = labelled * (right - cost * (1 - right))
    expected = (labelled * right, labelled * low, labelled * high, labelled * (1 - right))
    return k, worker.name, labelled, *expected, right, worth

"""Which of several choices are worth their cost."""

from __future__ import annotations

import numpy as np


def dominated(costs: np.ndarray, better: np.ndarray) -> np.ndarray:
    """Whether some choice that costs no more is better: bool (n,) from ``costs`` (n, m), m of each, and ``better`` bool
    (n, n), whose entry [i, j] says that i is better than j, however sure one wants that to be."""
    no_dearer = (costs[:, None, :] <= costs[None, :, :]).all(axis=2)
    return (no_dearer & better).any(axis=0)


def on_front(costs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Whether no choice has at least the value for less, or more value for no more: bool (n,), by ``values`` (n,) as they
    are. Choices of the same costs and value are all on it or none."""
    cheaper = (costs[:, None, :] <= costs[None, :, :]).all(axis=2) & (costs[:, None, :] < costs[None, :, :]).any(axis=2)
    no_dearer = (costs[:, None, :] <= costs[None, :, :]).all(axis=2)
    as_good, more = values[:, None] >= values[None, :], values[:, None] > values[None, :]
    return ~((cheaper & as_good) | (no_dearer & more)).any(axis=0)

"""The smallest value of a curve that costs a pass over the labels to look at, at however many places at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from analysis.context import Context

PLACES_A_PASS = 41
PASSES = 4
"""Each pass looks between the neighbours of the best place so far: the last steps are 20 ** 3 times finer than the first."""


def smallest(values_at: Callable[[np.ndarray, Context], np.ndarray], low: float, high: float, context: Context) -> float:
    """The place between ``low`` and ``high`` where ``values_at(places (T,), context)`` float64 (T,) is smallest.

    An even grid, then finer ones around the best of the last: a section search in 41 parts instead of golden section's two,
    as a pass over the labels costs hardly more for many places than for one. Of equal values the first; NaN is none.
    """
    for number in range(PASSES):
        grid = np.linspace(low, high, PLACES_A_PASS)
        found = values_at(grid, context.part(number / PASSES, (number + 1) / PASSES))
        at = int(np.argmin(np.nan_to_num(found, nan=np.inf)))
        best, low, high = float(grid[at]), grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    return best

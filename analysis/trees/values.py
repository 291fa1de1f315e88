"""What a pass adds up of each row, and the adding up, compiled: small work on many rows, which numpy does in many steps."""

from __future__ import annotations

import numpy as np

from analysis.trees.kernel import compiled
from analysis.trees.sums import VALUES

_ROWS, _GIVEN, _SQUARED, _ENTROPY, _OTHER, _CONFIDENCE, _MARGIN, _FIRST_REGION = range(8)


@compiled
def row_values(
    facts: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    top: np.ndarray,
    shown: tuple[np.ndarray, np.ndarray],
    thresholds: tuple[float, float, float],
) -> np.ndarray:
    """VALUES of n rows, float64 (n, len(VALUES)).

    ``facts`` are confidence, margin, entropy and the probability of the given class, float64 (n,); ``top`` int64 (n,) the
    first choices; ``shown`` int64 (n,) the classes of the row's image and of its partner's (its own again in an unmixed
    row), negative where not known: nothing is another class then. ``thresholds`` as ``regions.Thresholds``.
    """
    confidence, margin, entropy, given = facts
    own, partner = shown
    low, middle, highest = thresholds
    values = np.zeros((len(top), len(VALUES)))
    for row in range(len(top)):
        values[row, _ROWS] = 1
        values[row, _GIVEN] = given[row]
        values[row, _SQUARED] = given[row] * given[row]
        values[row, _ENTROPY] = entropy[row]
        known = own[row] >= 0 and partner[row] >= 0
        values[row, _OTHER] = known and top[row] != own[row] and top[row] != partner[row]
        values[row, _CONFIDENCE] = confidence[row]
        values[row, _MARGIN] = margin[row]
        region = int(confidence[row] >= low) + int(confidence[row] >= middle)
        region += region == 2 and confidence[row] > highest
        values[row, _FIRST_REGION + region] = 1
    return values


@compiled
def add_by_image(sums: np.ndarray, images: np.ndarray, values: np.ndarray, weights: np.ndarray) -> None:
    """``sums[images[r], w, v] += weights[w] * values[r, v]``, one row after another; all float64."""
    for row, image in enumerate(images):
        for w, weight in enumerate(weights):
            for v in range(values.shape[1]):
                sums[image, w, v] += weight * values[row, v]


@compiled
def add_choices(top: np.ndarray, values: np.ndarray, seen: np.ndarray, histogram: np.ndarray) -> int:
    """Marks the first choices ``top`` int64 (n,) in ``seen`` bool (C,) and counts each row's largest probability in
    ``histogram`` int64 (bins,) from 0 to 1; gives the number of different first choices."""
    here = np.zeros(len(seen), np.bool_)
    for row in range(len(top)):
        here[top[row]] = True
        histogram[min(int(values[row, _CONFIDENCE] * len(histogram)), len(histogram) - 1)] += 1
    seen |= here
    return here.sum()

"""Changes to soft labels as a person asks for them: set, move, mix, sharpen. Pure functions of distributions.

Distributions are float64 (..., C), non-negative, each with the sum 1; whatever comes out has been divided by its sum, so
that it is one to the last digits. ``app/components/label_editor/mass.js`` does the same in the browser, and a test compares
the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import entr


def normalised(values: np.ndarray) -> np.ndarray:
    """``values`` (..., C) >= 0, each row divided by its sum. Raises ValueError where one is negative, not finite, or a row
    holds no mass."""
    rows = np.asarray(values, np.float64)
    if not np.isfinite(rows).all() or (rows < 0).any():
        raise ValueError("a distribution holds finite numbers from 0 on")
    # Relative to the largest first: the sum of the smallest or the largest floats would not be one.
    largest = rows.max(axis=-1, keepdims=True)
    if not (largest > 0).all():
        raise ValueError("a distribution needs some mass")
    rows = rows / largest
    return rows / rows.sum(axis=-1, keepdims=True)


def apply_edit(base: np.ndarray, classes: Sequence[int], values: Sequence[float]) -> np.ndarray:
    """``base`` (C,) or zeros, with ``classes`` set to ``values`` (k,): float64 (C,).

    The classes not named share what is left in the proportions they have in ``base``:
    q_c = (1 - sum(values)) * base_c / sum of base over the unnamed. Where ``base`` gives them nothing, q is ``values``
    divided by their sum. Raises ValueError where a class is named twice or is not there, a value is negative or not finite,
    they sum to more than 1 + 1e-6, or nothing gets any mass.
    """
    named, given = np.asarray(classes, np.int64), np.asarray(values, np.float64)
    base = np.asarray(base, np.float64)
    if len(np.unique(named)) != len(named) or ((named < 0) | (named >= len(base))).any():
        raise ValueError(f"an edit names each class once, from 0 to {len(base) - 1}")
    if not np.isfinite(given).all() or (given < 0).any() or given.sum() > 1 + 1e-6:
        raise ValueError("an edit gives each class a number from 0 on, all together at most 1")
    rest = base.copy()
    rest[named] = 0.0
    left = max(1.0 - given.sum(), 0.0)
    if rest.max(initial=0.0) > 0:
        edited = normalised(rest) * left
        edited[named] = given
    else:
        edited = np.zeros_like(base)
        edited[named] = given
    return normalised(edited)


def sharpened(p: np.ndarray, temperature: float) -> np.ndarray:
    """``p ** (1 / temperature)``, renormalised: below 1 sharper, above 1 softer, and the order of the classes stays.

    Equals softmax(logits / temperature) where p = softmax(logits). Raises ValueError unless the temperature is positive.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be positive, not {temperature}")
    rows = np.asarray(p, np.float64)
    if temperature == 1:
        return normalised(rows)
    # Relative to the largest: small probabilities alone would all vanish at low temperatures.
    return normalised((rows / rows.max(axis=-1, keepdims=True)) ** (1.0 / temperature))


def mixed(p: np.ndarray, q: np.ndarray, weight: float) -> np.ndarray:
    """``(1 - weight) * p + weight * q``. Raises ValueError unless the weight lies in [0, 1]."""
    if not 0 <= weight <= 1:
        raise ValueError(f"a weight lies between 0 and 1, not {weight}")
    return normalised((1.0 - weight) * np.asarray(p, np.float64) + weight * np.asarray(q, np.float64))


def moved(p: np.ndarray, a: int, b: int, mass: float) -> np.ndarray:
    """``mass`` taken from class ``a`` and given to class ``b``, at most what ``a`` has."""
    rows = np.array(p, np.float64)
    taken = np.minimum(max(mass, 0.0), rows[..., a])
    rows[..., a] -= taken
    rows[..., b] += taken
    return normalised(rows)


def between_top_two(p: np.ndarray) -> np.ndarray:
    """Half for each of the two most probable classes of every row of ``p`` (n, C); ties go to the lower number."""
    order = np.argsort(-np.asarray(p, np.float64), axis=-1, kind="stable")[..., :2]
    halves = np.zeros(np.shape(p))
    np.put_along_axis(halves, order, 0.5, axis=-1)
    return normalised(halves)


def one_hot(labels: Sequence[int] | np.ndarray, num_classes: int) -> np.ndarray:
    """All mass on one class a row, float64 (n, C)."""
    hot = np.zeros((len(labels), num_classes))
    hot[np.arange(len(labels)), np.asarray(labels, np.int64)] = 1.0
    return hot


def with_top(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each row of ``p`` (n, C) with the values of its most probable class and of ``labels`` (n,) exchanged, as a relabel is
    written into a stored soft label (data/curation.py)."""
    rows, each = np.array(p, np.float64), np.arange(len(p))
    top = rows.argmax(axis=1)
    rows[each, top], rows[each, labels] = rows[each, labels], rows[each, top]
    return rows


def entropy(p: np.ndarray) -> np.ndarray:
    """``-sum(p log p)`` of each row, in nats, float64 (...); what has no mass adds nothing."""
    return entr(np.maximum(np.asarray(p, np.float64), 0.0)).sum(axis=-1) + 0.0


def total_variation(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """``sum |p - q| / 2`` of each row: how much mass lies elsewhere, from 0 to 1."""
    return np.abs(np.asarray(p, np.float64) - np.asarray(q, np.float64)).sum(axis=-1) / 2

"""The tables of class overlap: pairs, super-classes, the tree they were cut from and the order of its tips."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.findings import Matrix
from analysis.overlap.class_neighbours import Mixing
from analysis.overlap.pairs import Judged
from analysis.overlap.super_classes import Tree

MOST_NAMED = 20
"""A group of more classes is named by its first so many."""


def pairs_table(judged: Judged, names: tuple[str, ...], mixing: Mixing | None, most: int) -> pd.DataFrame:
    """The ``most`` pairs of the highest joint probability, then of the most mass exchanged; one row a pair."""
    pairs, exchange = judged.pairs, judged.exchange
    exchanged = exchange.exchanged(pairs.a, pairs.b)
    rows = np.lexsort((pairs.b, pairs.a, -exchanged, -judged.joint.value))[:most]
    a, b = pairs.a[rows], pairs.b[rows]
    table = pd.DataFrame(
        {
            "class_a": a,
            "class_b": b,
            "name_a": [names[c] for c in a],
            "name_b": [names[c] for c in b],
            "proposal": judged.proposal[rows],
            "joint_probability": judged.joint.value[rows],
            "joint_low": judged.joint.low[rows],
            "joint_high": judged.joint.high[rows],
            "n": (pairs.n_a + pairs.n_b)[rows],
            "overlap": judged.overlap.value[rows],
            "overlap_low": judged.overlap.low[rows],
            "overlap_high": judged.overlap.high[rows],
            "a_taken_for_b": pairs.ab[rows],
            "b_taken_for_a": pairs.ba[rows],
            "direction": _direction(judged)[rows],
            "corrected_p": judged.q[rows],
            "mass_exchanged": exchanged[rows],
            "mass_of_a_on_b": exchange.onto(a, b),
            "mass_of_b_on_a": exchange.onto(b, a),
        }
    )
    return table if mixing is None else table.assign(**_neighbours(mixing, a, b))


def super_class_table(judged: Judged, names: tuple[str, ...]) -> pd.DataFrame:
    """One row a super-class: its classes, its samples and why it is proposed."""
    merged = {tuple(sorted(join.left + join.right)): join for join in judged.tree.joins}
    rows = [
        {
            "super_class": number,
            "class_ids": ", ".join(map(str, members)),
            "members": _named(members, names),
            "classes": len(members),
            "n": int(judged.per_class[list(members)].sum()),
            "overlap": merged[members].overlap,
            "reason": (
                f"{_named(merged[members].left, names)} and {_named(merged[members].right, names)} overlap by at least "
                f"{merged[members].overlap:.0%}, in the mean over their pairs; {judged.rules.merge_at:.0%} was asked for."
            ),
        }
        for number, members in enumerate(judged.groups)
    ]
    return pd.DataFrame(rows, columns=["super_class", "class_ids", "members", "classes", "n", "overlap", "reason"])


def tree_table(tree: Tree, names: tuple[str, ...]) -> pd.DataFrame:
    """One row a join, from the largest overlap down."""
    rows = [
        (step, _named(join.left, names), _named(join.right, names), join.overlap, len(join.left) + len(join.right))
        for step, join in enumerate(tree.joins)
    ]
    return pd.DataFrame(rows, columns=["join", "left", "right", "overlap", "classes"])


def order_table(judged: Judged, names: tuple[str, ...]) -> pd.DataFrame:
    """The classes that join any other, as the tips of the tree follow each other."""
    order, joined_at = judged.tree.order(), judged.tree.joined_at()
    order = order[~np.isnan(joined_at[order])]
    return pd.DataFrame(
        {
            "position": np.arange(len(order)),
            "class_id": order,
            "class_name": [names[c] for c in order],
            "super_class": judged.super_class[order],
            "joined_at": joined_at[order],
        }
    )


def overlap_matrix(judged: Judged, names: tuple[str, ...]) -> Matrix:
    """The overlap of every two classes with enough samples, in the order of the tree; 1 with itself, NaN where unknown."""
    values = np.zeros((len(names), len(names)))
    pairs = judged.pairs
    values[pairs.a, pairs.b] = values[pairs.b, pairs.a] = judged.overlap.value
    np.fill_diagonal(values, 1)
    values[~judged.enough], values[:, ~judged.enough] = np.nan, np.nan
    order = judged.tree.order()
    ordered = tuple(names[c] for c in order)
    return Matrix("Overlap of classes", values[np.ix_(order, order)], "Class", "Class", ordered, ordered)


def _direction(judged: Judged) -> np.ndarray:
    """Which way samples go; "" where none do, "unclear" where those that do go one way but might by chance."""
    ab, ba, leaning = judged.pairs.ab, judged.pairs.ba, judged.pairs.leaning()
    cases = [ab + ba == 0, leaning > 0, leaning < 0, (ab > 0) & (ba > 0)]
    return np.select(cases, ["", "a taken for b", "b taken for a", "both ways"], "unclear").astype(object)


def _neighbours(mixing: Mixing, a: np.ndarray, b: np.ndarray) -> dict[str, np.ndarray]:
    across = mixing.across(a, b)
    return {
        "neighbours_across": across.value,
        "neighbours_low": across.low,
        "neighbours_high": across.high,
        "neighbours_if_one_class": mixing.expected(a, b),
        "neighbours_n": mixing.sampled[a] + mixing.sampled[b],
    }


def _named(members: tuple[int, ...], names: tuple[str, ...]) -> str:
    more = f" and {len(members) - MOST_NAMED} more" if len(members) > MOST_NAMED else ""
    return ", ".join(names[c] for c in members[:MOST_NAMED]) + more

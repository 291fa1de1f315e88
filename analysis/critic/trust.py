"""How far to trust each judge: its answers held against what people settled, and what its vote is worth.

A pair is checked where one of its two labels is what people settled for its sample: then one of its two answers is right.
It counts 1 where the judge preferred people's label, however little, 0 where it preferred the other, a tie 1/2. A pair
nobody could check, and one the judge did not answer, say nothing of it; nor does a label against "something else", of which
verdicts could only ever bear out the label: where people gave another one, that is asked about instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.class_groups import GROUPS, group_classes
from analysis.critic.votes import Preferences
from analysis.intervals import ratio, wilson
from data.pair_answers import NOTHING
from data.verdicts import Verdicts

PRIOR_ACCURACY = 0.75
"""What a judge nobody could check yet is taken for: better than chance, worse than one worth following blindly."""
PRIOR_ANSWERS = 4.0
"""How many checked pairs that assumption weighs as much as."""
FEWEST_CHECKED = 5
"""Of fewer checked pairs a class or a group gets an interval only."""
SAME = 1e-9
"""Sides of a pair that differ by less are a tie: rounding alone leaves so much."""


@dataclass(frozen=True, eq=False)
class Classes:
    """The classes of the set whose labels are judged: ``given`` int64 (N,), ``names`` (C,), and ``counts`` (C,), how many
    images each has: of the original training set where known, else of this one."""

    given: np.ndarray
    names: tuple[str, ...]
    counts: np.ndarray


@dataclass(frozen=True, eq=False)
class Checked:
    """Parallel arrays (n,), one row a judge and pair that was both checked and answered: ``judge`` object (str),
    ``sample_id`` int64, ``right`` float64: 1, 0 or 1/2."""

    judge: np.ndarray
    sample_id: np.ndarray
    right: np.ndarray


def sides(preferences: Preferences) -> np.ndarray:
    """Which label each preference is for, all rounds together, float64 (n,): 1 the first, -1 the second, 0 neither more than
    the other; NaN where it was not answered."""
    lead = preferences.for_first - preferences.for_second
    return np.where(preferences.answered > 0, np.where(np.abs(lead) > SAME, np.sign(lead), 0.0), np.nan)


def rightness(preferences: Preferences, verdicts: Verdicts) -> np.ndarray:
    """How right each preference is, float64 (n,): 1, 0 or 1/2; NaN where it was not answered or cannot be checked."""
    if not len(verdicts):
        return np.full(len(preferences), np.nan)
    place = np.minimum(np.searchsorted(verdicts.ids, preferences.sample_id), len(verdicts) - 1)
    known, settled = verdicts.ids[place] == preferences.sample_id, verdicts.labels[place]
    known &= preferences.first != NOTHING  # which always stands first
    on_first, on_second = known & (preferences.first == settled), known & (preferences.second == settled)
    side = np.where(on_first, 1.0, -1.0) * sides(preferences)
    return np.where(on_first | on_second, (1 + side) / 2, np.nan)


def checked(preferences: Preferences, verdicts: Verdicts) -> Checked:
    """The preferences that people's verdicts can be held against."""
    right = rightness(preferences, verdicts)
    rows = ~np.isnan(right)
    return Checked(preferences.judge[rows], preferences.sample_id[rows], right[rows])


def trust(preferences: Preferences, verdicts: Verdicts) -> pd.DataFrame:
    """One row a judge, by name: ``judge``; ``asked``, ``answered``, ``ties`` and ``no_answer``, all its pairs;
    ``agreement``, the mean confidence that repeated votes give to an answered pair (``Preferences.agreement``), NaN where it
    answered none; and of the checked ones ``right``, ``n``, ``accuracy`` with ``accuracy_low`` and ``accuracy_high``, as
    ``accuracies`` has them."""
    names, judge = np.unique(preferences.judge.astype(str), return_inverse=True)
    side = sides(preferences)

    def pairs(rows: np.ndarray) -> np.ndarray:
        return np.bincount(judge[rows], minlength=len(names))

    right = rightness(preferences, verdicts)
    told, voted, agreement = ~np.isnan(right), ~np.isnan(side), preferences.agreement
    return pd.DataFrame(
        {
            "judge": names.astype(object),
            "asked": np.bincount(judge, minlength=len(names)),
            "answered": pairs(~np.isnan(side)),
            "ties": pairs(side == 0),
            "no_answer": pairs(np.isnan(side)),
            "agreement": ratio(*(np.bincount(judge[voted], part, len(names)) for part in (agreement[voted], None))),
            **accuracies(judge[told], preferences.sample_id[told], right[told], len(names)),
        }
    )


def trust_by_class(found: Checked, classes: Classes) -> pd.DataFrame:
    """The same by the given label of the sample: ``judge``, ``class_id``, ``class_name``, then as ``accuracies``; a row only
    where a pair was checked, and no ``accuracy`` of fewer than FEWEST_CHECKED."""
    table = _by_part(found, classes.given[found.sample_id], len(classes.names), "class_id")
    table.insert(2, "class_name", [classes.names[c] for c in table["class_id"]])
    return table


def trust_by_group(found: Checked, classes: Classes) -> pd.DataFrame:
    """The same by head, medium and tail, each a third of the classes by their counts: ``judge``, ``group``, ``classes`` (how
    many are in it), then as ``accuracies``."""
    group = group_classes(classes.counts, "thirds")
    table = _by_part(found, group[classes.given[found.sample_id]], len(GROUPS), "code")
    table.insert(1, "group", [GROUPS[g] for g in table["code"]])
    table.insert(2, "classes", np.bincount(group, minlength=len(GROUPS))[table["code"]])
    return table.drop(columns="code")


def weights(table: pd.DataFrame) -> dict[str, float]:
    """What a vote of each judge in ``trust``'s table is worth: see ``vote_worth``."""
    return dict(zip(table["judge"], vote_worth(table["right"], table["n"]).tolist(), strict=True))


def unchecked_weight() -> float:
    """What a vote of a judge that nobody could check is worth."""
    return float(vote_worth(np.zeros(1), np.zeros(1))[0])


def vote_worth(right: np.ndarray, n: np.ndarray) -> np.ndarray:
    """The log-odds of an accuracy of ``right`` of ``n``, never below 0: a judge at chance or worse counts nothing.

    The best weight of independent votes on two choices (Nitzan, Paroush, 1982, doi 10.2307/2526438). The accuracy is
    shrunk, as if PRIOR_ANSWERS more pairs had been checked and PRIOR_ACCURACY of them were right, so that few lucky
    answers do not outvote everybody; a judge that nobody could check has the weight of that.
    """
    right, n = np.asarray(right, float), np.asarray(n, float)
    accuracy = (right + PRIOR_ANSWERS * PRIOR_ACCURACY) / (n + PRIOR_ANSWERS)
    return np.maximum(np.log(accuracy / (1 - accuracy)), 0.0)


def accuracies(group: np.ndarray, sample_id: np.ndarray, right: np.ndarray, groups: int) -> dict[str, np.ndarray]:
    """Of checked pairs (n,) by ``group`` int64 (n,): ``right`` (their sum), ``n`` (pairs), ``accuracy``, ``accuracy_low``
    and ``accuracy_high``, each (groups,); NaN where a group is empty.

    The bounds are Wilson's at the number of independent answers, which ``independent`` says.
    """
    n, total = np.bincount(group, minlength=groups), np.bincount(group, right, groups)
    accuracy, free = ratio(total, n), independent(group, sample_id, groups)
    low, high = wilson(accuracy * free, free)
    return {"accuracy": accuracy, "accuracy_low": low, "accuracy_high": high, "right": total, "n": n}


def independent(group: np.ndarray, sample_id: np.ndarray, groups: int) -> np.ndarray:
    """How many independent answers the pairs (n,) of each group are worth at least, float64 (groups,).

    Pairs of the same sample tend to be right or wrong together, so they are taken to do so always: by Kish's effective
    sample size (Survey Sampling, 1965), (sum m)^2 / sum m^2 for samples of m pairs each; n where each sample has one.
    """
    samples, sample = np.unique(sample_id, return_inverse=True)
    cells, size = np.unique(group * len(samples) + sample, return_counts=True)
    of_group = cells // max(len(samples), 1)
    total, squares = np.bincount(of_group, size, groups), np.bincount(of_group, size**2, groups)
    return np.divide(total**2, squares, out=np.zeros(groups), where=squares > 0)


def _by_part(found: Checked, part: np.ndarray, parts: int, name: str) -> pd.DataFrame:
    """``accuracies`` for each judge and each of the ``parts`` that has any."""
    judges, judge = np.unique(found.judge.astype(str), return_inverse=True)
    cells, group = np.unique(judge * parts + part, return_inverse=True)
    table = pd.DataFrame(accuracies(group, found.sample_id, found.right, len(cells)))
    table.insert(0, "judge", judges[cells // parts].astype(object))
    table.insert(1, name, cells % parts)
    table.loc[table["n"] < FEWEST_CHECKED, "accuracy"] = np.nan
    return table

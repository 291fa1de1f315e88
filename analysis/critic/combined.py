"""All judges together on each pair, weighted by trust, and whether that beats the best of them, without judging itself.

Weights learnt from the verdicts that then check the vote would flatter it. So each sample is voted on with the weights that
all other samples' verdicts give: its own pairs are taken out of its judges' counts, which needs no second pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm

from analysis.critic.trust import SAME, independent, rightness, sides, trust, vote_worth, weights
from analysis.critic.votes import Preferences
from analysis.findings import SHARE, Figure
from analysis.intervals import LEVEL
from data.verdicts import Verdicts

COMBINED = "combined"


@dataclass(frozen=True)
class AgainstBest:
    """The combination against the best single ``judge`` on the ``n`` checked pairs that judge answered, ``samples`` many
    samples: their ``accuracy`` each, the ``difference`` (combined - judge) with ``low`` and ``high``, and ``p`` of the exact
    sign test over samples."""

    judge: str
    combined_accuracy: float
    judge_accuracy: float
    difference: float
    low: float
    high: float
    p: float
    n: int
    samples: int


def judges_table(preferences: Preferences, verdicts: Verdicts) -> pd.DataFrame:
    """``trust``'s table with the ``weight`` of each judge, and a last row COMBINED for all of them (its weight and
    agreement NaN); no such row where there is no judge."""
    table = trust(preferences, verdicts)
    table["weight"] = list(weights(table).values())
    together = trust(combined(preferences, verdicts), verdicts)
    together = together.assign(weight=np.nan, agreement=np.nan)  # of one vote a pair
    return pd.concat([table, together], ignore_index=True) if len(table) else table


def combined(preferences: Preferences, verdicts: Verdicts) -> Preferences:
    """The weighted vote of all judges on each pair, one round a pair, by the judge COMBINED.

    A judge has one vote, for the side it prefers however surely: how sure judges say they are is on a scale of each one's
    own, while the weight is what that preference has proved to be worth, the sample's own verdict left out. A tie where both
    sides weigh the same, which also no weight at all makes; unanswered where no judge answered.
    """
    pairs, pair = _pairs(preferences)
    count = pairs.shape[1]
    side = sides(preferences)
    score = np.bincount(pair, np.nan_to_num(side) * _worth_without_own(preferences, verdicts), count)
    known = np.bincount(pair, ~np.isnan(side), count) > 0
    first, second = known & (score > SAME), known & (score < -SAME)
    return _votes(COMBINED, pairs, first, second, known)


def against_best(preferences: Preferences, verdicts: Verdicts) -> AgainstBest | None:
    """The combination against the judge of the greatest weight, pair by pair; None where no pair could be checked.

    That judge is chosen by the same verdicts, which favours it. The interval is Agresti and Min's for matched pairs (2005,
    doi 10.1002/sim.1781; half an observation added to each cell) at the number of independent answers; half a difference, of
    a tie, counts as half a discordant pair, which widens it.
    """
    table = trust(preferences, verdicts)
    table = table[table["n"] > 0]
    if not len(table):
        return None
    best = table["judge"].iloc[int(vote_worth(table["right"], table["n"]).argmax())]
    ours, own, samples = _paired(preferences.take(preferences.judge == best), combined(preferences, verdicts), verdicts)
    gain = ours - own
    free = float(independent(np.zeros(len(gain), np.int64), samples, 1)[0])
    low, high = matched_interval(np.maximum(gain, 0).mean() * free, np.maximum(-gain, 0).mean() * free, free)
    signs = np.sign(np.bincount(np.unique(samples, return_inverse=True)[1], gain).round(9))
    wins, losses = int((signs > 0).sum()), int((signs < 0).sum())
    p = float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    figures = (float(ours.mean()), float(own.mean()), float(gain.mean()), low, high, p)
    return AgainstBest(str(best), *figures, len(gain), len(signs))


def against_best_figure(found: AgainstBest | None) -> Figure:
    """``against_best`` in words."""
    label = "Combined judges less the best single judge"
    if found is None:
        return Figure(label, None, "no judge answered a pair that people's verdicts could check", 0, SHARE)
    basis = (
        f"accuracy {found.combined_accuracy:.1%} against {found.judge_accuracy:.1%} of '{found.judge}' on the same pairs of "
        f"{found.samples:,} samples people settled, each voted on with weights from the other samples only (sign test p = "
        f"{found.p:.2g})"
    )
    return Figure(label, found.difference, basis, found.n, SHARE, found.low, found.high)


def matched_interval(better: float, worse: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Agresti and Min's interval of ``(better - worse) / n``, the difference of two shares of ``n`` matched pairs, in
    [-1, 1]; it has a width also where no pair differs."""
    b, c, total = better + 0.5, worse + 0.5, n + 2.0
    difference = (b - c) / total
    half = norm.ppf((1 + level) / 2) * np.sqrt((b + c) / total - difference**2) / np.sqrt(total)
    return float(max(difference - half, -1.0)), float(min(difference + half, 1.0))


def _pairs(preferences: Preferences) -> tuple[np.ndarray, np.ndarray]:
    """Every pair once, int64 (3, pairs): sample, first, second; and which of them each preference is about, int64 (n,)."""
    rows = np.stack([preferences.sample_id, preferences.first, preferences.second])
    return np.unique(rows, axis=1, return_inverse=True)


def _votes(judge: str, pairs: np.ndarray, first: np.ndarray, second: np.ndarray, known: np.ndarray) -> Preferences:
    """One round of ``judge`` on each of ``pairs`` (3, n): for the first, the second or, where ``known``, neither."""
    outcome = (first, second, known & ~first & ~second, ~known)
    return Preferences(*pairs, np.full(len(known), judge, object), *(said.astype(np.float64) for said in outcome))


def _worth_without_own(preferences: Preferences, verdicts: Verdicts) -> np.ndarray:
    """``vote_worth`` of each row's judge, float64 (n,), from its checked pairs of all samples but the row's own."""
    right = rightness(preferences, verdicts)
    told = ~np.isnan(right)
    hits = np.where(told, right, 0.0)
    _, judge = np.unique(preferences.judge.astype(str), return_inverse=True)
    samples, sample = np.unique(preferences.sample_id, return_inverse=True)
    _, own = np.unique(judge * len(samples) + sample, return_inverse=True)

    def without_own(values: np.ndarray) -> np.ndarray:
        return np.bincount(judge, values)[judge] - np.bincount(own, values)[own]

    return vote_worth(without_own(hits), without_own(told.astype(np.float64)))


def _paired(judge: Preferences, together: Preferences, verdicts: Verdicts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How right the combination and the ``judge`` are on the checked pairs that this one answered, and of which samples:
    three times (n,)."""
    keys = ["sample_id", "first", "second"]
    ours, own = (
        pd.DataFrame({**{key: getattr(part, key) for key in keys}, "right": rightness(part, verdicts)})
        for part in (together, judge)
    )
    both = own.dropna().merge(ours, on=keys, suffixes=("_own", "_ours"))
    return both["right_ours"].to_numpy(), both["right_own"].to_numpy(), both["sample_id"].to_numpy()

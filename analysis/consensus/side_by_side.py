"""Every method of consensus over the same votes, and how they compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from scipy import sparse

from analysis.consensus.methods import average, crowdlab, dawid_skene, fits_crowdlab, glad, majority, mean_of_annotators
from analysis.consensus.said import Said, said
from analysis.consensus.votes import UNDECIDED, Gold, Votes
from analysis.context import Context
from analysis.findings import Matrix
from analysis.intervals import share, wilson
from analysis.label_sources import choose
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

Consensus = Literal["mean of methods", "mean of annotators", "majority", "Dawid-Skene", "GLAD", "CROWDLAB"]
METHODS: tuple[Consensus, ...] = get_args(Consensus)
MEAN_OF_METHODS, MEAN_OF_ANNOTATORS, MAJORITY, DAWID_SKENE, GLAD, CROWDLAB = METHODS
ROWS_AT_ONCE = 4_096


@dataclass(frozen=True, eq=False)
class SideBySide:
    """What each method that could be computed says, by name in the order of METHODS. ``skilled`` are Dawid-Skene's
    distributions (n, C) and ``quality`` (M,) CROWDLAB's annotator qualities, None where left out; ``caveats`` say why."""

    said: Mapping[str, Said]
    skilled: sparse.csr_array | None
    quality: np.ndarray | None
    caveats: tuple[str, ...]

    def of(self, name: Consensus) -> Said:
        """What the method ``name`` says. Raises ImpossibleRequest where it was left out."""
        if name not in self.said:
            raise ImpossibleRequest(
                f"there is no consensus by {name} for these answers ({' '.join(self.caveats)}); choose another consensus."
            )
        return self.said[name]

    @property
    def differ(self) -> np.ndarray:
        """Whether two methods that have a label for a sample have different ones, bool (n,)."""
        labels = np.stack([one.label for one in self.said.values()])
        known = labels != UNDECIDED
        low = np.where(known, labels, np.iinfo(np.int64).max).min(axis=0)
        return known.any(axis=0) & (low != labels.max(axis=0))


def side_by_side(votes: Votes, distilled_set: DistilledSet, source: str, context: Context) -> SideBySide:
    """Every method over ``votes``, n >= 1; ``source`` names the label source that CROWDLAB takes for a classifier's."""
    context.report(0.0, "Counting answers")
    found: dict[str, sparse.csr_array] = {MAJORITY: majority(votes), MEAN_OF_ANNOTATORS: mean_of_annotators(votes)}
    caveats: list[str] = []
    slow: tuple[tuple[str, float, Callable[[Votes], sparse.csr_array | None]], ...] = (
        (DAWID_SKENE, 0.1, dawid_skene),
        (GLAD, 0.4, glad),
    )
    for name, start, method in slow:
        context.report(start, f"Finding the consensus by {name}")
        result = method(votes)
        if result is None:
            caveats.append(_left_out(name, votes))
        else:
            found[name] = result
    context.report(0.8, f"Finding the consensus by {CROWDLAB}")
    predicted, why = _predicted(votes, distilled_set, source)
    caveats += why
    quality = None
    if predicted is not None:
        found[CROWDLAB], quality = crowdlab(votes, predicted)
    found[MEAN_OF_METHODS] = average([found[name] for name in METHODS if name in found])
    context.report(0.95, "Comparing the methods")
    told = {name: said(found[name]) for name in METHODS if name in found}
    return SideBySide(told, found.get(DAWID_SKENE), quality, tuple(caveats))


def methods_table(found: SideBySide, chosen: Said, votes: Votes, gold: Gold, given: np.ndarray) -> pd.DataFrame:
    """One row a method: how many samples it gives one label, how often that is the ``chosen`` consensus' and not the
    ``given`` one int64 (n,), and where labels are known how often it is right, with a Wilson interval."""
    truth = gold.of(votes.samples)
    rows = []
    for name, one in found.said.items():
        known = one.label != UNDECIDED
        both, checked = known & (chosen.label != UNDECIDED), known & (truth != UNDECIDED)
        right = int((one.label == truth)[checked].sum())
        low, high = wilson(right, int(checked.sum()))
        row = {
            "method": name,
            "labelled": int(known.sum()),
            "same_as_chosen": float(share(int((one.label == chosen.label)[both].sum()), int(both.sum()))),
            "differs_from_given": float(share(int((one.label != given)[known].sum()), int(known.sum()))),
            "mean_risk": float(np.mean(one.risk[known])) if known.any() else np.nan,
        }
        on_gold = {"gold_accuracy": float(share(right, int(checked.sum()))), "gold_accuracy_low": float(low)}
        on_gold |= {"gold_accuracy_high": float(high), "gold_n": int(checked.sum())}
        rows.append(row | (on_gold if len(gold) else {}))
    return pd.DataFrame(rows)


def methods_matrix(found: SideBySide) -> Matrix:
    """How often each two methods have the same label, of the samples for which both have one."""
    labels = [one.label for one in found.said.values()]
    values = np.array([[_same(one, other) for other in labels] for one in labels])
    names = tuple(found.said)
    return Matrix("Methods with the same label", values, "method", "method", names, names)


def _same(one: np.ndarray, other: np.ndarray) -> float:
    both = (one != UNDECIDED) & (other != UNDECIDED)
    return float(share(int((one == other)[both].sum()), int(both.sum())))


def _left_out(name: str, votes: Votes) -> str:
    named = len(np.unique(votes.label[votes.hard]))
    if named < 2:
        return f"{name} is left out: all answers name one and the same class."
    return f"{name} is left out: {len(votes.hard):,} answers that name {named:,} classes are more than it is made for."


def _predicted(votes: Votes, distilled_set: DistilledSet, source: str) -> tuple[np.ndarray | None, list[str]]:
    """Distributions (n, C) of the label source for the votes' samples, and what to know of them; None, and why, without."""
    if not distilled_set.selectable_sources:
        return None, [f"{CROWDLAB} is left out: it needs a classifier's soft labels, and the set has none."]
    if not fits_crowdlab(votes):
        return None, [f"{CROWDLAB} is left out: it needs samples with two answers, and not more than it is made for."]
    chosen = choose(distilled_set, source)
    parts = [
        chosen.labels.probabilities(votes.samples[start : start + ROWS_AT_ONCE]).double().cpu().numpy()
        for start in range(0, len(votes.samples), ROWS_AT_ONCE)
    ]
    predicted = np.concatenate(parts).clip(min=0)
    if not np.isfinite(predicted).all() or not (predicted.sum(axis=1) > 0).all():
        return None, [f"{CROWDLAB} is left out: some rows of the label source '{chosen.name}' are not distributions."]
    told = [
        f"{CROWDLAB} takes the label source '{chosen.name}' for a classifier that has not seen these labels.",
        *chosen.caveats,
    ]
    if (predicted.argmax(axis=1) == distilled_set.labels[votes.samples]).all():
        told.append(
            f"'{chosen.name}' never contradicts a given label here, so for {CROWDLAB} it is one more vote for each of them."
        )
    return predicted, told

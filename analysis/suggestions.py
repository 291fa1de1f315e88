"""What to do about each given label: keep it, take another, mix the two, or neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd

from analysis.answers.top_two import Answers, answers, given_rates
from analysis.confident.learning import ConfidentLearning, learn
from analysis.context import Context
from analysis.device import pick
from analysis.findings import Figure, Findings, per_class_table, per_sample_table
from analysis.intervals import mean_figure, ratio, share, share_figure, wilson
from analysis.label_sources import few_samples_caveat
from analysis.overlap.class_pairs import confusion
from analysis.registry import Between, LabelSource, analysis
from analysis.sources.mean_source import Combine, voices
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.verdicts import Verdicts

GIVEN, SUGGESTED, BOTH, NEITHER = KINDS = ("given", "suggested", "both", "neither")
UNTOLD = ""
MOST_PAIRS = 100
ALWAYS_CERTAIN = 0.999
"""Mean highest probability above which a source can hardly show that nothing fits."""


@dataclass(frozen=True)
class _Suggested:
    """The answers for all N samples, and the suggestion for each as one of KINDS (object, (N,)); all UNTOLD where the
    sources know no more of the labels than chance."""

    learned: ConfidentLearning
    found: Answers
    kind: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        return self.learned.labels

    @property
    def told(self) -> bool:
        return bool((self.kind != UNTOLD).any())


@analysis(
    title="Suggestions",
    meaning=(
        "Suggests for each image whether its given label stands, another class is right, both are (a mixed soft label), or "
        "neither is. It weighs what the label sources see against how often each class is mislabelled; only a person "
        "decides."
    ),
    paper=(
        "Top-two answers and confusion probability (Jeong, Chung, arXiv 2301.00006), with the noise rates of Confident "
        "Learning (arXiv 1911.00068); the thresholds are Stillroom's choice"
    ),
    needs=("soft labels",),
    reads_verdicts=True,
)
def suggestions(
    distilled_set: DistilledSet,
    context: Context,
    *,
    combine: Combine = "mean of others",
    source: Annotated[str, LabelSource()] = "",
    given_counts: bool = True,
    both_from: Annotated[float, Between(0.0, 0.5)] = 1 / 3,
    neither_below: Annotated[float, Between(0.0, 1.0)] = 0.5,
    strength: Annotated[float, Between(0.01, 1e6)] = 10.0,
) -> Findings:
    """The four-way suggestion for each sample, from one label source or the mean of several.

    "suggested" is the likeliest class other than the given one; its share of the two is q = p_s / (p_s + p_g). The
    suggestion is "both" for ``both_from`` <= q <= 1 - ``both_from`` (``both_share`` is then q, the weight of the suggested
    class in a mixed label), else the larger of the two. It is "neither" where the sources' two likeliest classes together
    have less than ``neither_below`` of what that is on average where the same class leads.

    ``given_counts``: the given label is an answer too, as reliable as the confident joint says, each class's rates shrunk
    towards the pooled one as by ``strength`` samples; without it q is that of the sources alone. The score is the
    probability of the given label.
    """
    if distilled_set.num_classes < 2:
        raise ImpossibleRequest(f"{distilled_set.name} has one class, so there is no other answer to suggest.")
    chosen = voices(distilled_set, combine, source)
    device, mean = pick(context.device), chosen.mean
    learned = learn(distilled_set.labels, mean, device, context.part(0, 0.6))
    rates = given_rates(learned.joint, strength) if given_counts else None
    found = answers(distilled_set.labels, mean, rates, device, context.part(0.6, 1))
    informed, n = learned.informed, len(distilled_set)
    kind = suggest(found, both_from, neither_below, strength) if informed else np.full(n, UNTOLD, object)
    judged = _Suggested(learned, found, kind)
    return Findings(
        per_sample=_per_sample(judged),
        per_class=_per_class(distilled_set, judged),
        summary=_summary(judged, chosen.basis, context.verdicts),
        caveats=(*chosen.caveats, *_caveats(distilled_set, judged, neither_below)),
        headline="doubted",
        tables={"confused pairs": _pairs(distilled_set, learned)} if informed else {},
    )


def suggest(found: Answers, both_from: float, neither_below: float, strength: float) -> np.ndarray:
    """One of KINDS for each sample, object (N,); see ``suggestions`` for the rule.

    ``strength``: each class's usual mass is shrunk towards the mean of all as by so many samples.
    """
    q = found.rival_share
    kind = np.where(q > 0.5, SUGGESTED, GIVEN).astype(object)
    kind[(q >= both_from) & (q <= 1 - both_from)] = BOTH
    kind[found.mass < neither_below * _usual_mass(found, strength)[found.seen_as]] = NEITHER
    return kind


def _usual_mass(found: Answers, strength: float) -> np.ndarray:
    """The mean mass of the two likeliest classes by the likeliest, for all classes that lead somewhere, (C,)."""
    total = np.bincount(found.seen_as, found.mass)
    return (total + strength * found.mass.mean()) / (np.bincount(found.seen_as) + strength)


def _per_sample(judged: _Suggested) -> pd.DataFrame:
    found, labels = judged.found, judged.labels

    def label(values: np.ndarray) -> np.ndarray:
        return values if judged.told else np.full(len(labels), -1, np.int64)

    def number(values: np.ndarray) -> np.ndarray:
        return values if judged.told else np.full(len(labels), np.nan)

    return per_sample_table(
        number(found.p_given.clip(0, 1)),
        ~np.isin(judged.kind, (GIVEN, UNTOLD)),
        given_label=labels,
        suggestion=judged.kind,
        suggested_label=label(found.rival),
        p_given=number(found.p_given),
        p_suggested=number(found.p_rival),
        both_share=np.where(judged.kind == BOTH, found.rival_share, np.nan),
        top_label=label(found.top),
        p_top=number(found.p_top),
        second_label=label(found.second),
        p_second=number(found.p_second),
        confusion=number(found.confusion),
        pair_confusion=number(_pair_rate(judged)),
    )


def _pair_rate(judged: _Suggested) -> np.ndarray:
    """How often the sample's two likeliest classes are confused in this set, float64 (N,); NaN where it cannot be told."""
    classes = judged.learned.num_classes
    keys = np.minimum(judged.found.top, judged.found.second) * classes + np.maximum(judged.found.top, judged.found.second)
    wanted, which = np.unique(keys, return_inverse=True)
    pairs = confusion(judged.learned.counts, np.stack(np.divmod(wanted, classes), axis=1))
    rate = np.where((pairs.n_a > 0) & (pairs.n_b > 0), pairs.overlap().value, np.nan)
    return rate[np.searchsorted(pairs.a * classes + pairs.b, wanted)][which]


def _per_class(distilled_set: DistilledSet, judged: _Suggested) -> pd.DataFrame:
    labels, classes, n = judged.labels, distilled_set.num_classes, distilled_set.per_class
    counts = {kind: np.bincount(labels[judged.kind == kind], minlength=classes) for kind in KINDS}
    told = n * judged.told
    doubted = counts[SUGGESTED] + counts[BOTH] + counts[NEITHER]
    low, high = wilson(doubted, told)
    return per_class_table(
        distilled_set.class_names,
        n,
        doubted=share(doubted, told),
        doubted_low=low,
        doubted_high=high,
        **{f"n_{kind}": count for kind, count in counts.items()},
        mean_p_given=ratio(np.bincount(labels, judged.found.p_given, classes), told),
        mean_confusion=ratio(np.bincount(labels, judged.found.confusion, classes), told),
    )


def _pairs(distilled_set: DistilledSet, learned: ConfidentLearning) -> pd.DataFrame:
    """The pairs of classes confused most often: P(of b | given a) + P(of a | given b), with its interval."""
    pairs = confusion(learned.counts)
    overlap, names = pairs.overlap(), np.array(distilled_set.class_names, dtype=object)
    order = np.lexsort((pairs.b, pairs.a, -overlap.value))[:MOST_PAIRS]
    columns = {
        "class": names[pairs.a],
        "other_class": names[pairs.b],
        "given_class_surely_other": pairs.ab,
        "given_other_surely_class": pairs.ba,
        "confusion": overlap.value,
        "confusion_low": overlap.low,
        "confusion_high": overlap.high,
    }
    return pd.DataFrame({name: values[order] for name, values in columns.items()})


def _summary(judged: _Suggested, basis: str, verdicts: Verdicts) -> tuple[Figure, ...]:
    n = len(judged.labels)
    agreement = share_figure("Sources' first answer is the given label", judged.learned.agreeing, n, basis)
    if not judged.told:
        nothing = "the sources know no more of the labels than chance"
        return Figure("Labels with another suggestion", None, nothing, n), agreement
    words = {SUGGESTED: "another class", BOTH: "both, mixed", NEITHER: "neither"}
    counts = [share_figure(f"Suggested: {said}", int((judged.kind == kind).sum()), n, basis) for kind, said in words.items()]
    between = mean_figure("Mean confusion of the two likeliest answers", judged.found.confusion, basis, "", 0.5)
    return (
        share_figure("Labels with another suggestion", int((judged.kind != GIVEN).sum()), n, basis),
        *counts,
        between,
        agreement,
        *_confirmed(judged, verdicts),
    )


def _confirmed(judged: _Suggested, verdicts: Verdicts) -> tuple[Figure, ...]:
    """How often people's verdicts say what was suggested; none where nobody has judged yet.

    A verdict names one class, so it can bear out "given" and "suggested" only.
    """
    if not len(verdicts):
        return ()
    kind, ids = judged.kind[verdicts.ids], verdicts.ids
    named = np.where(kind == GIVEN, judged.labels[ids], np.where(kind == SUGGESTED, judged.found.rival[ids], -1))
    one = named >= 0
    basis = "samples people have settled whose suggestion names one class; they chose which to look at"
    return (
        share_figure("Suggestions that people bore out", int((named == verdicts.labels)[one].sum()), int(one.sum()), basis),
    )


def _caveats(distilled_set: DistilledSet, judged: _Suggested, neither_below: float) -> tuple[str, ...]:
    few = few_samples_caveat(distilled_set.per_class)
    if not judged.told:
        return (
            "The sources agree with the given labels no more surely than the same answers dealt out at random would, so "
            "nothing is suggested: choose another source.",
            *few,
        )
    caveats = list(few)
    if neither_below and distilled_set.num_classes == 2:
        caveats.append("Of two classes one is always likely, so 'neither' cannot be told here.")
    elif neither_below and judged.found.mass.mean() > ALWAYS_CERTAIN:
        caveats.append(
            "The sources are almost always certain, also of what belongs to no class of the set, so 'neither' will seldom "
            "be suggested where it is right."
        )
    caveats.append(
        "On crowd-checked candidates of the MNIST and CIFAR-10 test sets such suggestions were right for 82 % and, from two "
        "sources, 89 %, where keeping every label is right for 85 % and 90 %; from CIFAR-10's cross-validated predictions "
        "alone for 45 %. They say where to look first, not what is right."
    )
    return tuple(caveats)

"""Where a set's label sources disagree, as distributions and not by their winners only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import pandas as pd

from analysis.context import Context
from analysis.findings import Figure, Findings, Matrix, per_class_table, per_sample_table
from analysis.intervals import mean_figure, mean_intervals, ratio, share, share_figure, wilson
from analysis.label_sources import choose, few_samples_caveat
from analysis.registry import Between, LabelSource, analysis
from analysis.sources.committee_names import RULES, committee_name, is_committee, possible_rules
from analysis.sources.committee_sources import committee
from analysis.sources.disagreement_scan import scan
from analysis.sources.side_by_side import SideBySide
from analysis.sources.standing_out import Judged, judge
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.soft_labels import SoftLabels

Committees = Literal["mean", "prior", "norm-matched", "most confident", "most expert", "every", "none"]
MANY = 0.5
LOG_2 = float(np.log(2))
"""The largest divergence of two sources, in nats."""


@analysis(
    title="Disagreement of label sources",
    meaning=(
        "Holds all label sources of a set against each other, sample by sample, and says how far their distributions are "
        "apart and which source stands alone. The score is 1 where all agree, so the lowest are the samples that teachers "
        "see differently: ambiguous images, wrong labels, or a source that knows less."
    ),
    paper=(
        "Divergence Measures Based on the Shannon Entropy (Lin, doi:10.1109/18.61115); committees of MEAL V2 (arXiv "
        "2009.08453), CV-DD (arXiv 2501.07575), G-VBSM (arXiv 2311.17950) and FedLabel (arXiv 2307.08809)"
    ),
    needs=("soft labels",),
)
def source_disagreement(
    distilled_set: DistilledSet,
    context: Context,
    *,
    first: Annotated[str, LabelSource()] = "",
    second: Annotated[str, LabelSource()] = "",
    committees: Committees = "mean",
    temperature: Annotated[float, Between(0.01, 100)] = 1.0,
    floor: Annotated[float, Between(1e-12, 1e-2)] = 1e-6,
    outlier: Annotated[float, Between(0, 20)] = 3.5,
    min_per_class: Annotated[int, Between(3, 1000)] = 10,
) -> Findings:
    """Jensen-Shannon divergence among all sources; both Kullback-Leibler divergences between ``first`` and ``second``.

    By default these two are the given source and the next one. A sample is flagged where the sources name different
    classes, which no difference in temperature explains, and where the square root of their divergence, a metric, lies more
    than ``outlier`` robust standard deviations above the median of its class (3.5: Iglewicz and Hoaglin, 1993); classes
    with fewer than ``min_per_class`` samples share the median of all. ``committees`` are compared with the sources but
    have no voice of their own. Probabilities below ``floor`` count as that much in Kullback-Leibler divergences, which else
    were infinite.
    """
    own = dict(distilled_set.label_sources)
    if len(own) < 2:
        raise ImpossibleRequest(f"{distilled_set.name} has one label source, '{next(iter(own))}'; a second one is needed.")
    sources, how = _with_committees(distilled_set, committees, (first, second), context.part(0, 0.3))
    names = tuple(sources)
    pair = _named_pair(distilled_set, sources, first, second)
    compared = SideBySide(sources, temperature)
    found = scan(compared, len(own), pair, distilled_set.labels, floor, context.part(0.3, 1))
    judged = judge(found, distilled_set.labels, distilled_set.num_classes, outlier, min_per_class)
    at = f" at temperature {temperature:g}" if temperature != 1 else ""
    return Findings(
        per_sample=_per_sample(judged, names),
        per_class=_per_class(distilled_set, judged, names),
        summary=_summary(judged, names, pair, f"{len(own)} label sources{at}", floor),
        caveats=(*how, *compared.caveats, *_caveats(distilled_set, judged, names, min_per_class)),
        matrices=_matrices(judged, names, floor),
        headline="disagreement",
        tables={"sources": _sources_table(judged, names)},
    )


def _with_committees(
    distilled_set: DistilledSet, committees: Committees, named: tuple[str, str], context: Context
) -> tuple[dict[str, SoftLabels], tuple[str, ...]]:
    """The set's sources and then the committees asked for, with the sentences that say how those decide."""
    rules = possible_rules(distilled_set) if committees == "every" else tuple(rule for rule in RULES if rule == committees)
    sources, how = dict(distilled_set.label_sources), []
    wanted = [*map(committee_name, rules), *(name for name in named if is_committee(name))]
    wanted = [name for name in dict.fromkeys(wanted) if name not in sources]
    for place, name in enumerate(wanted):
        sources[name], _, said = committee(distilled_set, name, context.part(place / len(wanted), (place + 1) / len(wanted)))
        how.append(said)
    return sources, tuple(how)


def _named_pair(distilled_set: DistilledSet, sources: Mapping[str, SoftLabels], first: str, second: str) -> tuple[int, int]:
    """Places in ``sources``; by default of the given source and the next that is not the same one by another name."""
    names = list(sources)
    left, right = (name if name in sources else choose(distilled_set, name).name for name in (first, second))
    if not second:
        others = (name for name in names if name != left)
        right = min(others, key=lambda name: sources[name] is sources[left])
    if left == right:
        raise ImpossibleRequest(f"first and second are both '{left}'; name two different label sources.")
    return names.index(left), names.index(right)


def _per_sample(judged: Judged, names: tuple[str, ...]) -> pd.DataFrame:
    found, of_voices = judged.found, np.array([*names[: judged.voices], ""], dtype=object)
    return per_sample_table(
        1 - judged.share,
        judged.flag,
        given_label=judged.labels,
        label_of_the_mean=found.together,
        first_label=found.first,
        second_label=found.second,
        divergence_nats=found.divergence,
        winners_differ=found.winners_differ,
        js_first_second=found.js / LOG_2,
        kl_first_second=found.kl_forward,
        kl_second_first=found.kl_backward,
        stands_apart=of_voices[judged.farthest],
    )


def _per_class(distilled_set: DistilledSet, judged: Judged, names: tuple[str, ...]) -> pd.DataFrame:
    n, labels, classes = distilled_set.per_class, judged.labels, distilled_set.num_classes
    mean, low, high = mean_intervals(judged.share, labels, classes)
    differ = np.bincount(labels[judged.differ], minlength=classes)
    differ_low, differ_high = wilson(differ, n)
    return per_class_table(
        distilled_set.class_names,
        n,
        disagreement=mean,
        disagreement_low=np.maximum(low, 0),
        disagreement_high=np.minimum(high, 1),
        winners_differ=share(differ, n),
        differ_low=differ_low,
        differ_high=differ_high,
        flagged=np.bincount(labels[judged.flag], minlength=classes),
        js_first_second=ratio(np.bincount(labels, judged.found.js / LOG_2, classes), n),
        mostly_apart=_mostly_apart(judged, names, classes),
    )


def _mostly_apart(judged: Judged, names: tuple[str, ...], classes: int) -> np.ndarray:
    """The source farthest from the others in most samples of each class, by name; "" where there is none."""
    told = judged.farthest >= 0
    counts = np.zeros((classes, judged.voices), np.int64)
    np.add.at(counts, (judged.labels[told], judged.farthest[told]), 1)
    of_voices = np.array(names[: judged.voices], dtype=object)
    return np.where(counts.any(axis=1), of_voices[counts.argmax(axis=1)], "")


def _summary(judged: Judged, names: tuple[str, ...], pair: tuple[int, int], basis: str, floor: float) -> tuple[Figure, ...]:
    found, n = judged.found, len(judged.labels)
    stand_out = f"different winners, and unusually far apart for their class; {basis}"
    flagged = Figure("Flagged samples", int(judged.flag.sum()), stand_out, n, "samples")
    if not judged.told:
        flagged = Figure("Flagged samples", None, "too few samples to tell what is usual", n)
    a, b = (names[place] for place in pair)
    of_most = f"Jensen-Shannon divergence over the largest there can be, {judged.most:.3g} nats; {basis}"
    return (
        flagged,
        mean_figure("Mean disagreement", judged.share, of_most),
        share_figure("Samples with different winners", int(judged.differ.sum()), n, f"most probable classes; {basis}"),
        mean_figure(f"'{a}' against '{b}'", found.js / LOG_2, "Jensen-Shannon divergence over log 2"),
        _kl_figure(f"KL of '{a}' from '{b}'", found.kl_forward, found.pairs.floored[pair], floor),
        _kl_figure(f"KL of '{b}' from '{a}'", found.kl_backward, found.pairs.floored[pair[::-1]], floor),
        *_apart_figure(judged, names, basis),
    )


def _kl_figure(label: str, values: np.ndarray, floored: float, floor: float) -> Figure:
    said = f"mean; in {floored:,.0f} of {len(values):,} samples it rests on the floor of {floor:g}"
    return mean_figure(label, values.astype(float), said, "nats", float(-np.log(floor)))


def _apart_figure(judged: Judged, names: tuple[str, ...], basis: str) -> tuple[Figure, ...]:
    if judged.voices < 3:
        return ()
    counts = np.bincount(judged.farthest[judged.farthest >= 0], minlength=judged.voices)
    if not counts.any():
        return (Figure("Stands apart most often", None, "no source is farther from the others than the next", 0, "share"),)
    name = names[counts.argmax()]
    label = f"Stands apart most often: '{name}'"
    return (share_figure(label, int(counts.max()), len(judged.labels), f"farthest from the others; {basis}"),)


def _sources_table(judged: Judged, names: tuple[str, ...]) -> pd.DataFrame:
    n, count, voices = len(judged.labels), len(names), judged.voices
    right, pairs = judged.found.right, judged.found.pairs
    low, high = wilson(right, np.full(count, n))
    apart = np.bincount(judged.farthest[judged.farthest >= 0], minlength=count) / n
    # A voice is compared with the voices beside itself, a committee with all of them.
    others = np.where(np.arange(count) < voices, voices - 1, voices)
    return pd.DataFrame(
        {
            "source": list(names),
            "committee": np.arange(count) >= voices,
            "agrees_with_label": right / n,
            "agrees_low": low,
            "agrees_high": high,
            "mean_js_to_sources": pairs.js[:, :voices].sum(axis=1) / others / n / LOG_2,
            "stands_apart": np.where((np.arange(count) < voices) & (voices > 2), apart, np.nan),
        }
    )


def _matrices(judged: Judged, names: tuple[str, ...], floor: float) -> dict[str, Matrix]:
    pairs, n = judged.found.pairs, len(judged.labels)
    js = "Mean Jensen-Shannon divergence of label sources (0 the same, 1 nothing in common)"
    kl = f"Mean KL(row ‖ column) in nats, no probability counting as less than {floor:g}"
    floored = f"Share of samples in which that KL rests on the floor of {floor:g}"
    said = {"divergence": (js, pairs.js / LOG_2), "KL": (kl, pairs.kl), "at the floor": (floored, pairs.floored)}
    return {key: Matrix(title, sums / n, "Source", "Source", names, names) for key, (title, sums) in said.items()}


def _caveats(distilled_set: DistilledSet, judged: Judged, names: tuple[str, ...], fewest: int) -> tuple[str, ...]:
    caveats = list(few_samples_caveat(distilled_set.per_class))
    pooled = int((judged.pooled & (distilled_set.per_class > 0)).sum())
    if not judged.told:
        caveats.append(f"With fewer than {fewest} samples nothing can stand out, so no flags are given.")
    elif pooled:
        caveats.append(
            f"{pooled} of {distilled_set.num_classes} classes have fewer than {fewest} samples: what is unusual there was "
            "told from all classes together."
        )
    differ = judged.differ.mean()
    if differ > MANY:
        caveats.append(
            f"The sources name different classes in {differ:.0%} of the samples; flags mark those that stand out even so, "
            "not all that are in doubt."
        )
    return (*caveats, *_same_throughout(judged, names))


def _same_throughout(judged: Judged, names: tuple[str, ...]) -> tuple[str, ...]:
    """Sources that are copies of each other count as that many opinions; committees may well be the same as a source."""
    js, voices = judged.found.pairs.js, judged.voices
    same = [(i, j) for i in range(voices) for j in range(i + 1, voices) if js[i, j] == 0]
    return tuple(f"'{names[i]}' and '{names[j]}' are the same throughout: one opinion counts twice." for i, j in same)

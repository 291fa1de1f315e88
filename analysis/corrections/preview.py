"""Before and after: what a correction does to the labels of a set, on some of its samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import one_hot

from analysis.class_groups import GROUPS, HEAD, group_classes
from analysis.context import Context
from analysis.corrections.as_logits import as_logits
from analysis.corrections.registry import Corrected
from analysis.even_sample import evenly_over_classes
from analysis.findings import SHARE, Figure, per_class_table
from analysis.intervals import ratio, wilson
from analysis.label_sources import rows_a_chunk
from analysis.sources.divergences import entropy, jensen_shannon
from data.distilled_set import DistilledSet
from data.soft_labels import SoftLabels

EXAMPLES = 6
MOST = 5_000


@dataclass(frozen=True, eq=False)
class Example:
    """A sample whose label changes much: its hard ``label``, both distributions float32 (C,), and their Jensen-Shannon
    ``divergence`` in nats; ``changed``: whether the most probable class does."""

    sample_id: int
    label: int
    before: np.ndarray
    after: np.ndarray
    divergence: float
    changed: bool


@dataclass(frozen=True, eq=False)
class Preview:
    """What changes, computed on ``n`` of ``total`` samples, drawn as evenly over the classes as can be.

    ``groups``: a row for head, medium and tail with samples, columns ``group``, ``n``, then ``confidence_…`` (mean mass on
    the own class), ``entropy_…`` (mean, nats), ``to_head_…`` (mean mass on head classes other than the own) and
    ``received_…`` (mass that the group's classes receive over the samples labelled so, scaled to the whole set), each
    ``before`` and ``after``. ``classes``: a per-class table with ``group``, ``confidence_…`` and ``received_…`` likewise,
    NaN without samples.
    ``changed``: the share of samples whose most probable class changes. ``examples``: those that change most, samples whose
    most probable class changes first.
    """

    n: int
    total: int
    changed: Figure
    groups: pd.DataFrame
    classes: pd.DataFrame
    examples: tuple[Example, ...]
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Draw:
    """``ids`` (n,) of the set's samples, their hard ``labels``, how many samples each stands for, and the ``group`` of each
    class (C,)."""

    ids: np.ndarray
    labels: np.ndarray
    weight: np.ndarray
    group: np.ndarray


@dataclass(frozen=True, eq=False)
class _Measured:
    """Of each sample of a draw, (n,): mass on its ``own`` class, ``entropy``, mass ``to_head``, ``top`` class; and what each
    class ``received``, (C,), every sample counting by its weight."""

    own: np.ndarray
    entropy: np.ndarray
    to_head: np.ndarray
    top: np.ndarray
    received: np.ndarray


def compare(
    distilled_set: DistilledSet,
    before: SoftLabels | None,
    corrected: Corrected,
    context: Context,
    most: int = MOST,
    seed: int = 0,
) -> Preview:
    """``corrected`` beside ``before``, or beside the hard labels where that is None, on at most ``most`` samples.

    Groups are thirds of the classes by original counts, or by the set's own where those are not known.
    """
    draw = _draw(distilled_set, most, seed)
    if before is not None:
        before = as_logits(before, context.part(0, 0))
    sides, divergence = _measure(distilled_set.num_classes, draw, before, corrected, context)
    first, second = sides
    changed = first.top != second.top
    return Preview(
        n=len(draw.ids),
        total=len(distilled_set),
        changed=_changed_figure(changed, draw.weight, len(distilled_set)),
        groups=_groups(draw, sides),
        classes=_classes(distilled_set, draw, sides),
        examples=_examples(draw, before, corrected, divergence, changed),
        caveats=_caveats(distilled_set, draw, before),
    )


def _draw(distilled_set: DistilledSet, most: int, seed: int) -> _Draw:
    ids = evenly_over_classes(distilled_set.labels, most, seed)
    labels = distilled_set.labels[ids]
    drawn = np.bincount(labels, minlength=distilled_set.num_classes)
    counts = distilled_set.per_class if distilled_set.class_counts is None else distilled_set.class_counts
    return _Draw(ids, labels, (distilled_set.per_class / np.maximum(drawn, 1))[labels], group_classes(counts, "thirds"))


def _measure(
    num_classes: int, draw: _Draw, before: SoftLabels | None, corrected: Corrected, context: Context
) -> tuple[tuple[_Measured, _Measured], np.ndarray]:
    """Both sides, and the divergence of each sample's two labels, float (n,)."""
    n, rows = len(draw.ids), rows_a_chunk(num_classes)
    divergence = np.zeros(n)
    sides = tuple(
        _Measured(np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n, np.int64), np.zeros(num_classes)) for _ in range(2)
    )
    starts = range(0, n, rows)
    for start in context.track(starts, len(starts), "comparing before and after"):
        part = slice(start, start + rows)
        pair = _both(draw.ids[part], draw.labels[part], num_classes, before, corrected)
        divergence[part] = jensen_shannon(*pair).numpy()
        for side, probabilities in zip(sides, pair, strict=True):
            _fill(side, part, probabilities, draw)
    return sides, divergence


def _both(
    ids: np.ndarray, labels: np.ndarray, num_classes: int, before: SoftLabels | None, corrected: Corrected
) -> tuple[torch.Tensor, torch.Tensor]:
    after = corrected.logits(ids).softmax(dim=1)
    first = one_hot(torch.from_numpy(labels), num_classes).float() if before is None else before.probabilities(ids)
    return first, after


def _fill(side: _Measured, part: slice, probabilities: torch.Tensor, draw: _Draw) -> None:
    labels = draw.labels[part]
    head = torch.from_numpy((draw.group == HEAD).astype(np.float32))
    own = probabilities.gather(1, torch.from_numpy(labels)[:, None])[:, 0]
    side.own[part] = own.numpy()
    side.entropy[part] = entropy(probabilities).numpy()
    side.to_head[part] = (probabilities @ head - own * head[labels]).clamp_min(0).numpy()
    side.top[part] = probabilities.argmax(dim=1).numpy()
    side.received[:] += (torch.from_numpy(draw.weight[part]) @ probabilities.double()).numpy()


def _changed_figure(changed: np.ndarray, weight: np.ndarray, total: int) -> Figure:
    """The share over the whole set; where classes were not drawn alike its interval counts as many samples as such a draw
    is worth (Kish's effective sample size)."""
    share = float(weight @ changed / weight.sum())
    worth = weight.sum() ** 2 / (weight**2).sum()
    low, high = wilson(share * worth, worth)
    basis = f"samples whose most probable class is another one afterwards, by {len(changed):,} of {total:,} samples"
    whole = len(changed) == total
    bounds = (None, None) if whole else (float(low), float(high))
    return Figure("Most probable class changes", share, basis, len(changed), SHARE, *bounds)


def _groups(draw: _Draw, sides: tuple[_Measured, _Measured]) -> pd.DataFrame:
    group = draw.group[draw.labels]
    n = np.bincount(group, minlength=len(GROUPS))
    columns: dict[str, np.ndarray] = {"group": np.array(GROUPS), "n": n}
    given = np.bincount(group, draw.weight, len(GROUPS))
    both = tuple(zip(("before", "after"), sides, strict=True))
    for name in ("own", "entropy", "to_head"):
        shown = "confidence" if name == "own" else name
        means = {when: np.bincount(group, draw.weight * getattr(side, name), len(GROUPS)) for when, side in both}
        columns |= {f"{shown}_{when}": ratio(values, given) for when, values in means.items()}
    for when, side in both:
        columns[f"received_{when}"] = ratio(np.bincount(draw.group, side.received, len(GROUPS)), given)
    return pd.DataFrame(columns)[n > 0].reset_index(drop=True)


def _classes(distilled_set: DistilledSet, draw: _Draw, sides: tuple[_Measured, _Measured]) -> pd.DataFrame:
    classes = distilled_set.num_classes
    n = np.bincount(draw.labels, minlength=classes)
    given = np.bincount(draw.labels, draw.weight, classes)
    measures = {}
    for when, side in zip(("before", "after"), sides, strict=True):
        measures[f"confidence_{when}"] = ratio(np.bincount(draw.labels, side.own, classes), n)
        measures[f"received_{when}"] = ratio(side.received, given)
    ordered = {name: measures[name] for name in sorted(measures, key=lambda name: (name[0], not name.endswith("before")))}
    return per_class_table(distilled_set.class_names, n, group=np.array(GROUPS)[draw.group], **ordered)


def _examples(
    draw: _Draw, before: SoftLabels | None, corrected: Corrected, divergence: np.ndarray, changed: np.ndarray
) -> tuple[Example, ...]:
    chosen = np.lexsort((draw.ids, -divergence, ~changed))[:EXAMPLES]
    ids, labels = draw.ids[chosen], draw.labels[chosen]
    first, second = _both(ids, labels, len(draw.group), before, corrected)
    found = zip(ids, labels, first.numpy(), second.numpy(), divergence[chosen], changed[chosen], strict=True)
    return tuple(Example(int(i), int(label), b, a, float(far), bool(other)) for i, label, b, a, far, other in found)


def _caveats(distilled_set: DistilledSet, draw: _Draw, before: SoftLabels | None) -> tuple[str, ...]:
    caveats = []
    if before is None:
        caveats.append("There was no soft label before: the new ones are compared with the hard labels.")
    if len(draw.ids) < len(distilled_set):
        caveats.append(
            f"Computed on {len(draw.ids):,} of {len(distilled_set):,} samples, drawn as evenly over the classes as can be; "
            "the figures are scaled to the whole set."
        )
    if len(np.unique(draw.labels)) < len(np.unique(distilled_set.labels)):
        caveats.append("The draw is smaller than the number of classes, so some classes are not in it.")
    if distilled_set.class_counts is None:
        caveats.append("The original training counts are not known; classes are grouped by this set's own labels instead.")
    return tuple(caveats)

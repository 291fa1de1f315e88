"""What a label source's distributions say: how sure they are, whether they agree, and what they know between classes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated

import numpy as np
import pandas as pd
import torch

from analysis.context import Context
from analysis.device import pick
from analysis.findings import Figure, Findings, Matrix, per_class_table, per_sample_table
from analysis.intervals import mean_figure, ratio, share, share_figure, wilson
from analysis.label_sources import (
    MOST_CLASSES_IN_A_MATRIX,
    choose,
    chunks,
    class_matrix_caveat,
    few_samples_caveat,
    per_sample,
    rows_a_chunk,
)
from analysis.registry import Between, LabelSource, analysis
from analysis.sources.divergences import entropy, jensen_shannon
from data.distilled_set import DistilledSet
from data.soft_labels import SoftLabels

NO_REST = 1e-6
"""Mass outside the top class below which its shape is rounding, not knowledge."""


@dataclass(frozen=True)
class Facts:
    """Per-sample facts, each float64 (N,), and the class structure.

    ``entropy`` in nats; ``own`` the mass on the hard label; ``top_k`` the mass of the k most probable classes;
    ``evenness`` the entropy of the mass outside the top class over log(C - 1): 1 when it is spread evenly, NaN where there
    is none. ``top_label`` int64. ``structure`` (C, C): mean p_j over samples of class i, NaN on the diagonal and in rows
    without samples; None for too many classes.
    """

    entropy: np.ndarray
    own: np.ndarray
    top: np.ndarray
    top_k: np.ndarray
    evenness: np.ndarray
    top_label: np.ndarray
    structure: np.ndarray | None


@analysis(
    title="Soft-label facts",
    meaning=(
        "Tells how much soft labels say beyond the hard label: how uncertain they are, whether their first choice is the "
        "label, and which other classes they name. Labels that spread the rest evenly over all other classes have lost "
        "what makes soft labels worth storing."
    ),
    paper="A Label is Worth A Thousand Images in Dataset Distillation (Qin, Deng, Alvarez-Melis, arXiv 2406.10485)",
    needs=("soft labels",),
)
def soft_labels(
    distilled_set: DistilledSet,
    context: Context,
    *,
    source: Annotated[str, LabelSource()] = "",
    k: Annotated[int, Between(1, 100_000)] = 5,
    temperature: Annotated[float, Between(0.01, 100)] = 1.0,
) -> Findings:
    """Entropy, agreement with the hard labels, top-``k`` mass and class structure of one source; distance between all.

    ``temperature`` divides logits before the softmax (the paper's ``temp`` is its inverse).
    """
    chosen = choose(distilled_set, source)
    classes = distilled_set.num_classes
    several = len(distilled_set.label_sources) > 1
    facts = _facts(chosen.labels, distilled_set.labels, min(k, classes), temperature, context.part(0, 0.5 if several else 1))
    basis = f"label source '{chosen.name}'" + (f" at temperature {temperature:g}" if temperature != 1 else "")
    matrices = {}
    if facts.structure is not None:
        matrices["class structure"] = _structure_matrix(distilled_set, facts.structure)
    if several:
        matrices["sources"] = _sources_matrix(distilled_set.label_sources, temperature, context.part(0.5, 1))
    return Findings(
        per_sample=_per_sample(facts, distilled_set.labels),
        per_class=_per_class(distilled_set, facts),
        summary=_summary(facts, distilled_set.labels, min(k, classes), classes, basis),
        caveats=(
            *chosen.caveats,
            *few_samples_caveat(distilled_set.per_class),
            *class_matrix_caveat(classes, "The class structure"),
        ),
        matrices=matrices,
        headline="entropy",
    )


def divergence(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Jensen-Shannon divergence of rows (n, C), base 2: 0 the same, 1 nothing in common; (n,)."""
    return (jensen_shannon(first, second) / np.log(2)).clamp(0, 1)


def _facts(labels: SoftLabels, hard: np.ndarray, k: int, temperature: float, context: Context) -> Facts:
    device, classes = pick(context.device), labels.num_classes
    sums = np.zeros((classes, classes)) if classes <= MOST_CLASSES_IN_A_MATRIX else None
    own_class = torch.from_numpy(hard)

    def parts() -> Iterator[tuple[np.ndarray, tuple[torch.Tensor, ...]]]:
        for ids, chunk in chunks(labels, device, context, "Reading soft labels", temperature):
            own = own_class[ids].to(device)
            if sums is not None:
                added = torch.zeros(classes, classes, dtype=chunk.dtype, device=device).index_add_(0, own, chunk)
                np.add(sums, added.cpu().numpy(), out=sums)
            yield ids, _facts_of_chunk(chunk, own, k)

    *values, top_label = per_sample(len(labels), parts())
    structure = None if sums is None else _structure(sums, hard)
    return Facts(*(column.astype(float) for column in values), top_label, structure)


def _facts_of_chunk(chunk: torch.Tensor, own: torch.Tensor, k: int) -> tuple[torch.Tensor, ...]:
    top_label = chunk.argmax(dim=1)
    rest = chunk.scatter(1, top_label[:, None], 0.0)
    outside = rest.sum(dim=1)
    evenness = (entropy(rest) / outside + outside.log()) / np.log(max(chunk.shape[1] - 1, 1))
    told = (outside > NO_REST) & (chunk.shape[1] > 2)
    return (
        entropy(chunk),
        chunk.gather(1, own[:, None])[:, 0],
        chunk.amax(dim=1),
        chunk.topk(k, dim=1).values.sum(dim=1),
        torch.where(told, evenness, torch.nan),
        top_label,
    )


def _structure(sums: np.ndarray, hard: np.ndarray) -> np.ndarray:
    structure = ratio(sums, np.bincount(hard, minlength=len(sums))[:, None])
    np.fill_diagonal(structure, np.nan)
    return structure


def _per_sample(facts: Facts, hard: np.ndarray) -> pd.DataFrame:
    return per_sample_table(
        facts.own.clip(0, 1),
        facts.top_label != hard,
        top_label=facts.top_label,
        p_top=facts.top,
        p_given=facts.own,
        entropy=facts.entropy,
        effective_classes=np.exp(facts.entropy),
        top_k_mass=facts.top_k,
        evenness=facts.evenness,
    )


def _per_class(distilled_set: DistilledSet, facts: Facts) -> pd.DataFrame:
    hard, n = distilled_set.labels, distilled_set.per_class

    def mean(values: np.ndarray) -> np.ndarray:
        known = ~np.isnan(values)
        return ratio(np.bincount(hard[known], values[known], len(n)), np.bincount(hard[known], minlength=len(n)))

    agreeing = np.bincount(hard[facts.top_label == hard], minlength=len(n))
    low, high = wilson(agreeing, n)
    return per_class_table(
        distilled_set.class_names,
        n,
        entropy=mean(facts.entropy),
        entropy_of_most=mean(facts.entropy) / np.log(len(n)),
        effective_classes=mean(np.exp(facts.entropy)),
        top1_agreement=share(agreeing, n),
        agreement_low=low,
        agreement_high=high,
        own_mass=mean(facts.own),
        top_k_mass=mean(facts.top_k),
        evenness=mean(facts.evenness),
        second_guess=_second_guess(distilled_set.class_names, facts.structure),
    )


def _second_guess(names: tuple[str, ...], structure: np.ndarray | None) -> np.ndarray:
    """The other class that each class's samples put most mass on, by name; "" where there is none to name."""
    if structure is None:
        return np.full(len(names), "", dtype=object)
    known = np.nan_to_num(structure, nan=-1.0)
    return np.where(known.max(axis=1) > 0, np.array(names, dtype=object)[known.argmax(axis=1)], "")


def _summary(facts: Facts, hard: np.ndarray, k: int, classes: int, basis: str) -> tuple[Figure, ...]:
    agreeing, most = int((facts.top_label == hard).sum()), float(np.log(classes))
    counted = np.exp(facts.entropy)
    figures = [
        mean_figure("Mean entropy", facts.entropy, f"of at most {most:.3g}; {basis}", "nats", most),
        share_figure("Agreement with the hard labels", agreeing, len(hard), f"top class is the label; {basis}"),
        mean_figure("Effective number of classes", counted, f"exp(entropy), of {classes}; {basis}", "classes", classes),
        mean_figure("Entropy over its most", facts.entropy / most, basis),
        mean_figure(f"Mass of the top {k}", facts.top_k, basis),
        mean_figure("Evenness outside the top class", facts.evenness, f"1 = no structure left; {basis}"),
    ]
    if facts.structure is not None:
        figures.append(_asymmetry(facts.structure, len(hard), basis))
    return tuple(figures)


def _asymmetry(structure: np.ndarray, n: int, basis: str) -> Figure:
    """Sum of |D - Dᵀ| over sum of D + Dᵀ, off the diagonal: 0 where classes name each other alike, 1 where one-sided."""
    both = structure + structure.T
    known = ~np.isnan(both)
    total = both[known].sum()
    value = float(np.abs(structure - structure.T)[known].sum() / total) if total > 0 else None
    said = f"how one-sided pairs of classes are in naming each other; {basis}" if total > 0 else "no mass between classes"
    return Figure("Asymmetry of the class structure", value, said, n, "share")


def _structure_matrix(distilled_set: DistilledSet, structure: np.ndarray) -> Matrix:
    names = distilled_set.class_names
    return Matrix("Mean probability of the other classes", structure, "Hard label", "Probability of", names, names)


def _sources_matrix(sources: Mapping[str, SoftLabels], temperature: float, context: Context) -> Matrix:
    """Mean Jensen-Shannon divergence between each pair of sources, base 2."""
    names, device = tuple(sources), pick(context.device)
    n, classes = (len(sources[names[0]]), sources[names[0]].num_classes)
    rows = max(1, rows_a_chunk(classes, device) // len(names))
    sums = np.zeros((len(names), len(names)))
    starts = range(0, n, rows)
    for start in context.track(starts, len(starts), "Comparing label sources"):
        ids = np.arange(start, min(start + rows, n))
        chunk = [source.probabilities(ids, temperature).to(device) for source in sources.values()]
        for i, j in combinations(range(len(names)), 2):
            sums[i, j] += float(divergence(chunk[i], chunk[j]).sum())
    title = "Disagreement of label sources (mean Jensen-Shannon divergence: 0 the same, 1 nothing in common)"
    return Matrix(title, (sums + sums.T) / n, "Label source", "Label source", names, names)

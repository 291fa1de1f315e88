"""Samples that could be of several classes: which, and how the whole set resolves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pandas as pd
import torch

from analysis.answers.candidate_em import Candidates, LabelRates, Resolved, resolve
from analysis.context import Context
from analysis.device import pick
from analysis.findings import Figure, Findings, per_class_table, per_sample_table
from analysis.intervals import mean_figure, share_figure, wilson
from analysis.label_sources import few_samples_caveat
from analysis.registry import Between, LabelSource, analysis
from analysis.sources.mean_source import Combine, Voices, read_together, voices
from data.distilled_set import DistilledSet
from data.verdicts import Verdicts


@dataclass(frozen=True)
class _Read:
    """``candidates`` of all samples, and ``base`` (C,), the mean distribution of the sources."""

    candidates: Candidates
    base: np.ndarray


@analysis(
    title="Partial labels",
    meaning=(
        "Keeps for each image every class that it may be of, then lets the whole set decide between them: how common each "
        "class is and how often it is given which label. The score is the probability of the given label after that."
    ),
    paper="Imprecise Label Learning (Chen et al., arXiv 2305.12715): candidates resolved by EM; no model is trained here",
    needs=("soft labels",),
    reads_verdicts=True,
)
def partial_labels(
    distilled_set: DistilledSet,
    context: Context,
    *,
    combine: Combine = "mean of others",
    source: Annotated[str, LabelSource()] = "",
    tau: Annotated[float, Between(0.0, 1.0)] = 0.95,
    most: Annotated[int, Between(1, 100)] = 10,
    include_given: bool = True,
    include_first_choices: bool = True,
    learn_prior: bool = True,
    learn_label_rates: bool = True,
    given_right: Annotated[float, Between(0.01, 0.999)] = 0.9,
    strength: Annotated[float, Between(0.01, 1e6)] = 10.0,
) -> Findings:
    """Candidates: the likeliest classes until they hold ``tau`` of the sources' mean distribution (at most ``most``), each
    source's first choice, and the given label. Where people settled a label, that is the only candidate.

    EM finds the class prior (else that of the sources) and, with ``learn_label_rates``, P(given label | class), which starts
    from ``given_right`` on the diagonal, weighed as ``strength`` samples a class.
    """
    chosen = voices(distilled_set, combine, source)
    also = include_given, include_first_choices
    read = _read(distilled_set.labels, chosen, tau, (min(most, distilled_set.num_classes), *also), context)
    candidates = _settled(read.candidates, context.verdicts)
    rates = LabelRates(distilled_set.labels, given_right, strength) if learn_label_rates else None
    resolved = resolve(candidates, read.base, rates, learn_prior, context=context.part(0.7, 1))
    per_sample = _per_sample(distilled_set, candidates, resolved)
    return Findings(
        per_sample=per_sample,
        per_class=_per_class(distilled_set, candidates, resolved, per_sample),
        summary=_summary(per_sample, chosen.basis),
        caveats=(*chosen.caveats, *_caveats(distilled_set, candidates, resolved, context.verdicts, include_given)),
        headline="changed",
    )


def _read(labels: np.ndarray, held: Voices, tau: float, which: tuple[int, bool, bool], context: Context) -> _Read:
    total = 0.0
    sizes, classes, evidence = [], [], []
    for ids, parts in read_together(held, pick(context.device), context.part(0, 0.7), "Collecting candidates"):
        mean = torch.stack([part.double() if part.device.type == "cpu" else part for part in parts]).mean(dim=0)
        total = total + mean.sum(dim=0).cpu().numpy().astype(float)
        found = _candidates(mean, parts, torch.from_numpy(labels[ids]).to(mean.device), tau, which)
        keep = found >= 0
        sizes.append(keep.sum(dim=1).cpu().numpy())
        classes.append(found[keep].cpu().numpy())
        evidence.append(mean.gather(1, found.clamp_min(0))[keep].cpu().numpy().astype(float))
    starts = np.concatenate([[0], np.concatenate(sizes).cumsum()])
    return _Read(Candidates(starts, np.concatenate(classes), np.concatenate(evidence)), total / len(labels))


def _candidates(
    mean: torch.Tensor, parts: list[torch.Tensor], labels: torch.Tensor, tau: float, which: tuple[int, bool, bool]
) -> torch.Tensor:
    """Candidate classes, int64 (n, width), ascending in each row; -1 where there are fewer."""
    most, include_given, include_first = which
    top = mean.topk(most, dim=1)
    before = top.values.cumsum(dim=1) - top.values
    # The likeliest class is always one, and the class that reaches tau is the last.
    wanted = (before < tau) & (top.values > 0)
    wanted[:, 0] = True
    columns = [torch.where(wanted, top.indices, -1)]
    if include_first:
        columns += [part.argmax(dim=1, keepdim=True) for part in parts]
    if include_given:
        columns.append(labels[:, None])
    found = torch.cat(columns, dim=1).sort(dim=1).values
    found[:, 1:][found[:, 1:] == found[:, :-1]] = -1
    return found


def _settled(candidates: Candidates, verdicts: Verdicts) -> Candidates:
    """The same with one candidate, what people said, where they did."""
    if not len(verdicts):
        return candidates
    label = np.full(len(candidates), -1, np.int64)
    label[verdicts.ids] = verdicts.labels
    first = np.zeros(len(candidates.classes), dtype=bool)
    first[candidates.starts[:-1]] = True
    said = np.repeat(label, candidates.sizes)
    keep = (said < 0) | first
    classes, evidence = (
        np.where(said < 0, values, put) for values, put in ((candidates.classes, said), (candidates.evidence, 1.0))
    )
    sizes = np.where(label < 0, candidates.sizes, 1)
    return Candidates(np.concatenate([[0], sizes.cumsum()]), classes[keep], evidence[keep])


def _per_sample(distilled_set: DistilledSet, candidates: Candidates, resolved: Resolved) -> pd.DataFrame:
    best = candidates.best(resolved.probability)
    is_given = candidates.classes == np.repeat(distilled_set.labels, candidates.sizes)
    p_given = candidates.summed(resolved.probability * is_given).clip(0, 1)
    label = candidates.classes[best]
    return per_sample_table(
        p_given,
        label != distilled_set.labels,
        given_label=distilled_set.labels,
        resolved_label=label,
        p_resolved=resolved.probability[best].clip(0, 1),
        p_given=p_given,
        candidate_count=candidates.sizes,
        candidates=_in_words(candidates, distilled_set.class_names),
    )


def _in_words(candidates: Candidates, names: tuple[str, ...]) -> np.ndarray:
    """Each sample's candidate classes by name, object (N,)."""
    rows = np.split(candidates.classes, candidates.starts[1:-1])
    return np.array([" | ".join(names[k] for k in row) for row in rows], dtype=object)


def _per_class(distilled_set: DistilledSet, candidates: Candidates, resolved: Resolved, found: pd.DataFrame) -> pd.DataFrame:
    classes, n = distilled_set.num_classes, distilled_set.per_class
    several = np.bincount(distilled_set.labels[candidates.sizes > 1], minlength=classes)
    moved = np.bincount(distilled_set.labels[found["flag"]], minlength=classes)
    low, high = wilson(moved, n)
    return per_class_table(
        distilled_set.class_names,
        n,
        changed=np.where(n > 0, moved / np.maximum(n, 1), np.nan),
        changed_low=low,
        changed_high=high,
        several_candidates=several,
        resolved=np.bincount(found["resolved_label"], minlength=classes),
        prior=resolved.prior,
        kept_rate=resolved.kept,
    )


def _summary(found: pd.DataFrame, basis: str) -> tuple[Figure, ...]:
    n, several = len(found), found["candidate_count"].to_numpy() > 1
    sure = found["p_resolved"].to_numpy()[several]
    return (
        share_figure("Resolved to another class than given", int(found["flag"].sum()), n, basis),
        share_figure("Samples with several candidates", int(several.sum()), n, basis),
        mean_figure("Mean probability of the resolved class", sure, f"samples with several candidates; {basis}", ""),
    )


def _caveats(
    distilled_set: DistilledSet, candidates: Candidates, resolved: Resolved, verdicts: Verdicts, include_given: bool
) -> tuple[str, ...]:
    caveats = list(few_samples_caveat(distilled_set.per_class))
    if not resolved.converged:
        caveats.append(f"EM was stopped after {len(resolved.objective)} rounds, before the likelihood stood still.")
    if len(verdicts):
        caveats.append(f"{len(verdicts)} samples have the label that people settled as their only candidate.")
    if (candidates.sizes == 1).all():
        caveats.append("Every sample has one candidate, so there is nothing to resolve; a higher tau keeps more.")
    if not include_given:
        caveats.append("The given label is no candidate of its own, so a score of 0 may only mean that no source names it.")
    return tuple(caveats)

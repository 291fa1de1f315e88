"""How hard each sample is for those who label it: the label sources, or the votes that a source holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import pandas as pd
import torch

from analysis.answers.glicko import START_RATING
from analysis.answers.ratings import Irt, Rated, rated_by_sources, rated_by_votes, with_ratings
from analysis.context import Context
from analysis.device import pick
from analysis.findings import Figure, Findings, per_class_table, per_sample_table
from analysis.intervals import mean_figure, ratio, share_figure
from analysis.label_sources import few_samples_caveat, per_sample
from analysis.registry import Between, LabelSource, analysis
from analysis.sources.mean_source import Combine, Voices, read_together, voices
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

FARTHEST = np.sqrt(2)
"""The distance of two one-hot vectors."""
NOT_A_COUNT = 0.02
"""How far a source's share times the number of votes may lie beside a whole number."""


@dataclass(frozen=True)
class _Committee:
    """What S sources say of N samples, each against the given label: ``el2n``, ``margin``, ``agreement`` (N,) float64, their
    means; ``right`` uint8 (N, S), whether the source's first choice is the given label."""

    el2n: np.ndarray
    margin: np.ndarray
    agreement: np.ndarray
    right: np.ndarray


@analysis(
    title="Hardness",
    meaning=(
        "Ranks images by how hard they are for the label sources: how far their predictions lie from the given label, how "
        "narrow the lead is, and how many get it right. The hardest are either instructive or mislabelled; the score is 1 "
        "where every source is sure of the given label."
    ),
    paper=(
        "EL2N (Paul, Ganguli, Dziugaite, arXiv 2107.07075); item response theory and Glicko-2 as in Easy2Hard-Bench "
        "(arXiv 2409.18433)"
    ),
    needs=("soft labels",),
)
def hardness(
    distilled_set: DistilledSet,
    context: Context,
    *,
    combine: Combine = "mean of others",
    source: Annotated[str, LabelSource()] = "",
    votes: Annotated[int, Between(0, 100_000)] = 0,
    item_response: Irt = "1PL",
    fewest_respondents: Annotated[int, Between(2, 1000)] = 5,
    glicko: bool = True,
    respondents_a_period: Annotated[int, Between(1, 1000)] = 10,
    tau: Annotated[float, Between(0.1, 2.0)] = 0.5,
) -> Findings:
    """EL2N, the mean over sources of the distance |p - one-hot(given)|; ``margin``, the mean of p(given) - max p(other);
    ``agreement``, the share of sources whose first choice is the given label. Score = 1 - EL2N / sqrt(2); flagged where the
    mean margin is negative.

    Where at least ``fewest_respondents`` answer, ``difficulty`` is an item response model's (higher is harder, in standard
    deviations of the set) and ``rating`` Glicko-2's (1500 to start from), each with its standard error. Respondents are the
    sources; or, with ``votes`` > 0, the so many voters whose shares ``source`` holds. Those have no names, so only their
    number of right answers counts: difficulty comes from a binomial 1PL, and there is no rating.
    """
    held = voices(distilled_set, combine, source)
    read = _read(distilled_set.labels, held, context.part(0, 0.5))
    if votes:
        right = _counts(distilled_set.labels, held, votes, context.part(0.5, 0.7))
        read = replace(read, agreement=right / votes)
        voters = next(iter(held.sources))
        rated = rated_by_votes(right, votes, voters, (item_response, fewest_respondents), context.part(0.7, 1))
    else:
        part = context.part(0.5, 0.8)
        rated = rated_by_sources(list(held.sources), read.right, item_response, fewest_respondents, part)
        if glicko:
            how = fewest_respondents, respondents_a_period, tau
            rated = with_ratings(rated, read.right, how, context.part(0.8, 1))
    return Findings(
        per_sample=_per_sample(distilled_set, read, rated),
        per_class=_per_class(distilled_set, read, rated),
        summary=_summary(read, rated, held.basis),
        caveats=(*held.caveats, *_caveats(distilled_set, held, rated)),
        headline="el2n",
        tables={"respondents": rated.respondents} if len(rated.respondents) else {},
    )


def _read(labels: np.ndarray, held: Voices, context: Context) -> _Committee:
    def parts() -> Iterator[tuple[np.ndarray, tuple[torch.Tensor, ...]]]:
        for ids, chunks in read_together(held, pick(context.device), context, "Comparing with the given labels"):
            own = torch.from_numpy(labels[ids]).to(chunks[0].device)[:, None]
            facts = [_against(chunk, own) for chunk in chunks]
            el2n, margin, right = (torch.stack(values, dim=1) for values in zip(*facts, strict=True))
            yield ids, (el2n.mean(dim=1), margin.mean(dim=1), right)

    el2n, margin, right = per_sample(len(labels), parts())
    return _Committee(el2n.astype(float), margin.astype(float), right.mean(axis=1), right)


def _against(chunk: torch.Tensor, own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(EL2N, margin, right as uint8) of distributions (n, C) against labels (n, 1), each (n,)."""
    given = chunk.gather(1, own)[:, 0]
    # |p - e|² = (1 - p_given)² + the others' squares, without the cancellation of |p|² - 2 p_given + 1.
    others = chunk.scatter(1, own, 0.0)
    el2n = torch.sqrt((1 - given) ** 2 + others.square().sum(dim=1))
    right = (chunk.argmax(dim=1) == own[:, 0]).to(torch.uint8)
    return el2n, given - others.amax(dim=1), right


def _counts(labels: np.ndarray, held: Voices, votes: int, context: Context) -> np.ndarray:
    """Votes for the given label, int64 (N,). Raises ImpossibleRequest where the shares are not those of ``votes`` votes."""
    if len(held.sources) > 1:
        raise ImpossibleRequest("several label sources speak; name the one that holds the votes.")
    name = next(iter(held.sources))

    def parts() -> Iterator[tuple[np.ndarray, tuple[torch.Tensor, ...]]]:
        for ids, (chunk,) in read_together(held, pick(context.device), context, "Counting votes"):
            scaled = chunk * votes
            if float((scaled - scaled.round()).abs().max()) > NOT_A_COUNT:
                raise ImpossibleRequest(
                    f"the shares in '{name}' are not those of {votes} votes a sample; correct the number."
                )
            own = torch.from_numpy(labels[ids]).to(chunk.device)[:, None]
            yield ids, (scaled.gather(1, own)[:, 0].round().long(),)

    return per_sample(len(labels), parts())[0]


def _per_sample(distilled_set: DistilledSet, read: _Committee, rated: Rated) -> pd.DataFrame:
    return per_sample_table(
        (1 - read.el2n / FARTHEST).clip(0, 1),
        read.margin < 0,
        given_label=distilled_set.labels,
        el2n=read.el2n,
        margin=read.margin,
        agreement=read.agreement,
        difficulty=rated.difficulty,
        difficulty_error=rated.difficulty_error,
        rating=rated.rating,
        rating_deviation=rated.rating_deviation,
    )


def _per_class(distilled_set: DistilledSet, read: _Committee, rated: Rated) -> pd.DataFrame:
    labels, classes, n = distilled_set.labels, distilled_set.num_classes, distilled_set.per_class

    def mean(values: np.ndarray) -> np.ndarray:
        return ratio(np.bincount(labels, values, classes), n)

    return per_class_table(
        distilled_set.class_names,
        n,
        el2n=mean(read.el2n),
        margin=mean(read.margin),
        agreement=mean(read.agreement),
        difficulty=mean(rated.difficulty),
        rating=mean(rated.rating),
        flagged=np.bincount(labels[read.margin < 0], minlength=classes),
    )


def _summary(read: _Committee, rated: Rated, basis: str) -> tuple[Figure, ...]:
    n = len(read.el2n)
    return (
        mean_figure("Mean EL2N", read.el2n, f"0 (easy) to 1.41 (surely another class); {basis}", "", FARTHEST),
        share_figure("Samples whose mean margin is negative", int((read.margin < 0).sum()), n, basis),
        mean_figure(
            "Answers that get a sample right", read.agreement, f"share of answers that are the given label; {basis}"
        ),
        _reliability(rated),
    )


def _reliability(rated: Rated) -> Figure:
    """The share of the difficulties' spread that is not their own uncertainty: Var(mean) / (Var(mean) + mean variance)."""
    label = "Reliability of the difficulties"
    if np.isnan(rated.difficulty).all():
        why = next(iter(rated.why_not), "no item response model was asked for")
        return Figure(label, None, why, 0)
    between, within = rated.difficulty.var(), (rated.difficulty_error**2).mean()
    basis = "1 = samples are told apart exactly, 0 = not at all; variance of posterior means over the total"
    return Figure(label, float(between / (between + within)), basis, len(rated.difficulty))


def _caveats(distilled_set: DistilledSet, held: Voices, rated: Rated) -> tuple[str, ...]:
    caveats = [
        "EL2N was made for networks early in their training on these very samples; sources that learnt elsewhere tell "
        "only how hard a sample is for them."
    ]
    if len(held.sources) == 1:
        caveats.append("One source speaks, so agreement is only whether its first choice is the given label.")
    if not np.isnan(rated.rating).all():
        caveats.append(f"A rating of {START_RATING:.0f} is that of a sample nobody has tried; higher is harder.")
    return (*caveats, *rated.why_not, *few_samples_caveat(distilled_set.per_class))

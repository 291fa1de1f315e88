"""A committee of a set's label sources as a label source itself, computed when read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from analysis.class_groups import group_classes
from analysis.context import Context
from analysis.sources.committee import (
    PRIOR_TEMPERATURE,
    equal_weights,
    most_expert,
    norm_matching_weights,
    prior_weights,
    weighted_sum,
)
from analysis.sources.committee_names import PREFIX, Members, parse_committee
from analysis.sources.expertise import Expertise, fit_expertise
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.soft_labels import Ids, Kind, SoftLabels, to_probabilities

FEWEST_TO_TELL_CLASSES_APART = 50
"""Samples a class, on average, from which on a source's expertise is told by class: it takes two numbers from each."""
VALUES_A_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Committee(SoftLabels):
    """``members`` combined: their values by ``weights``, or the row of the one that knows most about each sample.

    ``kind`` "logits" sums the logits of the members as stored; "probabilities" their distributions at temperature 1. The
    committee's own temperature is applied to the result, so that a committee reads the same once it was written to a file.
    Where ``weights`` is empty, ``expertise`` of each member decides, by the ``group`` int64 (C,) of the class it names; with
    no ``expertise`` its mere confidence.
    """

    members: tuple[SoftLabels, ...]
    kind: Kind
    weights: tuple[float, ...] = ()
    expertise: tuple[Expertise, ...] = ()
    group: np.ndarray | None = None

    @property
    def num_classes(self) -> int:  # type: ignore[override]
        return self.members[0].num_classes

    def __len__(self) -> int:
        return len(self.members[0])

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32

    def stored(self, ids: Ids) -> torch.Tensor:
        """The committee's logits or probabilities, float32 (n, C)."""
        if self.kind == "logits":
            return weighted_sum([member.stored(ids) for member in self.members], self.weights)
        return self._combined([member.probabilities(ids) for member in self.members])

    def take(self, ids: Ids) -> Committee:
        """Weights and expertise stay those of the whole set."""
        return replace(self, members=tuple(member.take(ids) for member in self.members))

    def probabilities(self, ids: Ids, temperature: float = 1.0) -> torch.Tensor:
        return to_probabilities(self.stored(ids), self.kind, temperature)

    def stream(self, temperature: float = 1.0, rows: int | None = None) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
        """As in SoftLabels; each member is streamed in its own way, which for a relabelled tree is the only quick one."""
        if self.kind == "logits":
            yield from super().stream(temperature, rows)
            return
        for parts in zip(*(member.stream(rows=rows) for member in self.members), strict=True):
            yield parts[0][0], to_probabilities(self._combined([chunk for _, chunk in parts]), self.kind, temperature)

    def _combined(self, rows: Sequence[torch.Tensor]) -> torch.Tensor:
        if self.weights:
            return weighted_sum(rows, self.weights)
        confidence = [row.max(dim=1) for row in rows]
        if not self.expertise:
            return most_expert(rows, torch.stack([top.values for top in confidence]))
        held = zip(self.expertise, confidence, strict=True)
        chances = [one.chance(top.values.numpy(), self.group[top.indices.numpy()]) for one, top in held]
        return most_expert(rows, torch.from_numpy(np.stack(chances)))


def committee(distilled_set: DistilledSet, name: str, context: Context | None = None) -> tuple[Committee, Members, str]:
    """The committee that ``name`` asks for, its members, and a sentence saying how it decides.

    Building "prior" without stated accuracies, "norm-matched" and "most expert" reads every member once. Raises
    ImpossibleRequest where the rule or a member does not exist, or the rule does not fit the members.
    """
    rule, members = parse_committee(distilled_set, name)
    report = context or Context()
    if rule == "mean":
        return _voting(members, equal_weights(len(members.sources)), "the plain mean of the probabilities")
    if rule == "prior":
        return _by_prior(distilled_set, members, report)
    if rule == "norm-matched":
        return _norm_matched(members, name, report)
    if rule == "most confident":
        said = f"Committee of {members.in_words}: for each sample the source that is surest, whether rightly or not."
        return Committee(tuple(members.sources.values()), "probabilities"), members, said
    return _most_expert(distilled_set, members, report)


def _voting(
    members: Members, weights: tuple[float, ...], how: str, kind: Kind = "probabilities"
) -> tuple[Committee, Members, str]:
    said = f"Committee of {members.in_words}: {how}."
    return Committee(tuple(members.sources.values()), kind, weights), members, said


def _by_prior(distilled_set: DistilledSet, members: Members, context: Context) -> tuple[Committee, Members, str]:
    if members.accuracies:
        accuracies, whence = members.accuracies, "as stated"
    else:
        tops = _first_choices(members, context)
        accuracies = tuple(float(100 * (labels == distilled_set.labels).mean()) for _, labels in tops)
        whence = f"its agreement with this set's own labels, which stands in for one known beforehand{_partial(members)}"
    weights = prior_weights(accuracies)
    shares = ", ".join(f"{weight:.2f} ({accuracy:.1f} %)" for weight, accuracy in zip(weights, accuracies, strict=True))
    what = "logits" if members.all_logits else "probabilities, as not all of them are logits (CV-DD's are)"
    how = f"{what}, weighted {shares} by softmax(accuracy / {PRIOR_TEMPERATURE:g}), the accuracy being {whence}"
    return _voting(members, weights, how, "logits" if members.all_logits else "probabilities")


def _norm_matched(members: Members, name: str, context: Context) -> tuple[Committee, Members, str]:
    if not members.all_logits:
        raise ImpossibleRequest(f"'{name}' needs the logits of all classes from every member; use '{PREFIX}mean' instead.")
    norms = []
    for place, (member, source) in enumerate(members.sources.items()):
        norms.append(_frobenius_norm(source, context.part(place / len(members.sources), (place + 1) / len(members.sources))))
        if not np.isfinite(norms[-1]) or norms[-1] == 0:
            raise ImpossibleRequest(f"the logits of '{member}' are all 0 or not all finite, so they have no norm to match.")
    shown = ", ".join(f"{norm:.4g}" for norm in norms)
    how = (
        f"logits brought to their mean Frobenius norm (they are {shown}) and averaged; the norms are those of the whole "
        "set, where G-VBSM's code takes each batch's"
    )
    return _voting(members, norm_matching_weights(norms), how, "logits")


def _most_expert(distilled_set: DistilledSet, members: Members, context: Context) -> tuple[Committee, Members, str]:
    group, in_words = _expertise_groups(distilled_set)
    fitted = tuple(
        fit_expertise(confidence, named == distilled_set.labels, group[named], int(group.max()) + 1)
        for confidence, named in _first_choices(members, context)
    )
    said = (
        f"Committee of {members.in_words}: for each sample the source most likely to be right, by its confidence calibrated "
        f"on this set's own labels {in_words}{_partial(members)}."
    )
    return Committee(tuple(members.sources.values()), "probabilities", (), fitted, group), members, said


def _partial(members: Members) -> str:
    """What to know where a member is judged by the labels that it made itself."""
    return f"; '{GIVEN}' mostly made these labels itself, so it looks better than it is" if GIVEN in members.sources else ""


def _expertise_groups(distilled_set: DistilledSet) -> tuple[np.ndarray, str]:
    """The group of each class, int64 (C,), that expertise is told apart by, and that in words."""
    classes = distilled_set.num_classes
    if len(distilled_set) >= FEWEST_TO_TELL_CLASSES_APART * classes:
        return np.arange(classes), "class by class"
    if distilled_set.class_counts is not None:
        return group_classes(distilled_set.class_counts, "thirds"), "for head, medium and tail classes apart"
    return np.zeros(classes, np.int64), "for all classes together, as there are too few samples to tell them apart"


def _first_choices(members: Members, context: Context) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each member: the confidence in each sample's most probable class, float32 (N,), and that class, int64 (N,)."""
    count = len(members.sources)
    for place, (name, source) in enumerate(members.sources.items()):
        confidence, named = np.empty(len(source), np.float32), np.empty(len(source), np.int64)
        for ids, chunk in _streamed(source, name, context.part(place / count, (place + 1) / count)):
            top = chunk.max(dim=1)
            confidence[ids], named[ids] = top.values.numpy(), top.indices.numpy()
        yield confidence, named


def _streamed(source: SoftLabels, name: str, context: Context) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    rows = max(1, VALUES_A_CHUNK // source.num_classes)
    return context.track(source.stream(rows=rows), -(-len(source) // rows), f"Weighing '{name}'")


def _frobenius_norm(source: SoftLabels, context: Context) -> float:
    rows = max(1, VALUES_A_CHUNK // source.num_classes)
    starts = range(0, len(source), rows)
    squares = 0.0
    for start in context.track(starts, len(starts), "Measuring logits"):
        squares += float(source.stored(np.arange(start, min(start + rows, len(source)))).double().square().sum())
    return float(np.sqrt(squares))

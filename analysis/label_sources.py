"""Access to a set's label sources: which one is meant, what to know about it, and its distributions a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from analysis.context import Context
from analysis.device import rows_that_fit
from analysis.intervals import FEWEST_FOR_A_MEAN
from analysis.sources.committee_names import is_committee
from analysis.sources.committee_sources import committee
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.relabelled.augmented import AugmentedSoftLabels
from data.soft_labels import SoftLabels, TopKSoftLabels

CPU = torch.device("cpu")
VALUES_A_CHUNK = 1 << 20
"""On the cpu: a chunk that its caches hold is read twice as fast as one of 16 times the size (measured at 1,000 classes)."""
TIMES_ON_A_GPU = 16
MOST_CLASSES_IN_A_MATRIX = 1_000
BYTES_A_VALUE = 32
"""A float64 value, and what a pass over it holds beside it."""

PROBABILITY_TOLERANCE = 1e-6


@dataclass(frozen=True)
class ChosenSource:
    """A label source by name, with the sentences one must know before believing what follows from it."""

    name: str
    labels: SoftLabels
    caveats: tuple[str, ...]


def choose(distilled_set: DistilledSet, name: str) -> ChosenSource:
    """The label source called ``name``; for "" the given one, or the first where none was given.

    A name such as "committee: mean" is a committee of them (analysis/committee_names.py). Raises ImpossibleRequest naming
    those there are.
    """
    sources = distilled_set.selectable_sources
    if not sources:
        raise ImpossibleRequest(f"{distilled_set.name} has no soft labels; open it with a soft-label file beside it.")
    if is_committee(name) and name not in sources:
        return _committee(distilled_set, name)
    if name and name not in sources:
        raise ImpossibleRequest(f"{distilled_set.name} has no label source '{name}'; choose one of {', '.join(sources)}.")
    if name or GIVEN in sources:
        chosen, first = name or GIVEN, ()
    else:
        chosen = next(iter(sources))
        first = (f"The set came without soft labels of its own; label source '{chosen}' was taken.",)
    return ChosenSource(chosen, sources[chosen], first + kind_caveats(chosen, sources[chosen]))


def kind_caveats(name: str, labels: SoftLabels) -> tuple[str, ...]:
    """What the stored numbers are, where that bears on how far to believe figures made from them."""
    caveats = []
    if labels.kind == "scores":
        caveats.append(
            f"'{name}' holds unconstrained scores, not distributions; they went through a softmax, so every mass "
            "and entropy depends on their scale."
        )
    elif labels.kind == "logits" and labels.one_row_each and _never_negative(labels):
        caveats.append(
            f"The numbers of '{name}' are never negative but do not sum to 1; they were read as logits, which is "
            "wrong if they are probabilities that somebody did not normalise."
        )
    if isinstance(labels, AugmentedSoftLabels):
        caveats += _tree_caveats(name, labels)
    if isinstance(labels, TopKSoftLabels):
        caveats.append(
            f"'{name}' keeps {labels.values.shape[1]} of {labels.num_classes} classes a sample; the others count as 0, "
            "so entropies and the mass outside the label are lower bounds."
        )
    return tuple(caveats)


def chunks(
    labels: SoftLabels, device: torch.device, context: Context, message: str, temperature: float = 1.0
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """All distributions in order on ``device``: (ids int64 (n,), probabilities (n, C)), with progress.

    Raises ImpossibleRequest where a probability is not a number in [0, 1], within 1e-6.
    """
    rows = rows_a_chunk(labels.num_classes, device)
    total = -(-len(labels) // rows)
    for ids, chunk in context.track(labels.stream(temperature, rows), total, message):
        _check(chunk, int(ids[0]))
        # Apple's devices have no float64.
        yield ids, chunk if device.type == "mps" and chunk.dtype == torch.float64 else chunk.to(device)


def never_contradicts(labels: SoftLabels, given: np.ndarray) -> bool:
    """Whether each sample's most probable class is its ``given`` label int64 (N,): then ``labels`` say nothing about it."""
    streamed = labels.stream(rows=rows_a_chunk(labels.num_classes))
    return all(np.array_equal(chunk.argmax(dim=1).numpy(), given[ids]) for ids, chunk in streamed)


def chunks_together(
    sources: Iterable[SoftLabels], device: torch.device, context: Context, message: str, temperature: float = 1.0
) -> Iterator[tuple[np.ndarray, list[torch.Tensor]]]:
    """``chunks`` of several sources of the same samples side by side: (ids int64 (n,), probabilities (n, C) of each)."""
    quiet = Context(device=context.device)
    read = [chunks(held, device, quiet if place else context, message, temperature) for place, held in enumerate(sources)]
    for parts in zip(*read, strict=True):
        yield parts[0][0], [chunk for _, chunk in parts]


def few_samples_caveat(per_class: np.ndarray) -> tuple[str, ...]:
    """The sentence for classes, of samples ``per_class`` (C,), too small to be described by a mean; none without such."""
    few = int((per_class < FEWEST_FOR_A_MEAN).sum())
    if not few:
        return ()
    return (
        f"{few} of {len(per_class)} classes have fewer than {FEWEST_FOR_A_MEAN} samples here: what is said of each of them "
        "rests on those alone.",
    )


def class_matrix_caveat(num_classes: int, what: str) -> tuple[str, ...]:
    """The sentence for a class x class matrix that is left out because nobody could read it; none where it is kept."""
    if num_classes <= MOST_CLASSES_IN_A_MATRIX:
        return ()
    return (f"{what} is left out: {num_classes} classes are more than the {MOST_CLASSES_IN_A_MATRIX} it is made for.",)


def per_sample(n: int, parts: Iterable[tuple[np.ndarray, tuple[torch.Tensor, ...]]]) -> tuple[np.ndarray, ...]:
    """Columns of n rows from parts of them, (ids, one tensor a column), each kept in its dtype.

    Written where they belong as they come: small parts kept in a list would lie between the chunks in memory, so that
    none of it could be used again (measured: twice the size of the probabilities instead of one chunk).
    """
    columns: tuple[torch.Tensor, ...] = ()
    for ids, part in parts:
        columns = columns or tuple(values.new_empty(n, *values.shape[1:]) for values in part)
        for column, values in zip(columns, part, strict=True):
            column[ids[0] : ids[-1] + 1] = values
    return tuple(column.cpu().numpy() for column in columns)


def rows_a_chunk(num_classes: int, device: torch.device = CPU) -> int:
    """How many distributions to hold at once: about 4 MiB of float32 on the cpu, 64 MiB on a GPU, less if less is free."""
    values = VALUES_A_CHUNK * (1 if device.type == "cpu" else TIMES_ON_A_GPU)
    return rows_that_fit(BYTES_A_VALUE * num_classes, device, max(1, values // num_classes))


def _committee(distilled_set: DistilledSet, name: str) -> ChosenSource:
    labels, members, how = committee(distilled_set, name)
    of_members = (kind_caveats(member, source) for member, source in members.sources.items())
    return ChosenSource(name, labels, (how, *(sentence for sentences in of_members for sentence in sentences)))


def _check(chunk: torch.Tensor, first_id: int) -> None:
    lowest, highest = chunk.aminmax()
    # Put so that NaN, which both then are, is refused.
    if not bool((lowest >= -PROBABILITY_TOLERANCE) & (highest <= 1 + PROBABILITY_TOLERANCE)):
        valid = ((chunk >= -PROBABILITY_TOLERANCE) & (chunk <= 1 + PROBABILITY_TOLERANCE)).all(dim=1)
        raise ImpossibleRequest(
            f"the probabilities of sample {first_id + int(valid.int().argmin())} are not all numbers from 0 to 1; "
            "repair that row or choose another label source."
        )


def _tree_caveats(name: str, labels: AugmentedSoftLabels) -> list[str]:
    crops, width = labels.crops_per_image, labels.stored_width
    span = f"{crops.min():,}" if crops.min() == crops.max() else f"{crops.min():,} to {crops.max():,}"
    caveats = [f"'{name}' is a relabelled tree: {labels.reading} ({span} crops an image)."]
    if not crops.all():
        caveats.append(f"{(crops == 0).sum():,} of {len(crops):,} images have no crop in '{name}': their label is uniform.")
    if width < labels.num_classes:
        caveats.append(
            f"'{name}' keeps {width} of {labels.num_classes} classes a crop; the others count as 0 in that crop, so "
            "entropies and the mass outside the label are lower bounds."
        )
    return caveats


def _never_negative(labels: SoftLabels) -> bool:
    rows = rows_a_chunk(labels.num_classes)
    ids = (np.arange(start, min(start + rows, len(labels))) for start in range(0, len(labels), rows))
    return all(bool((labels.stored(some) >= 0).all()) for some in ids)

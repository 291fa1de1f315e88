"""One way of softening, applied to the labels that stand for many samples: worked out before it is decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from analysis.label_edits import between_top_two, entropy, mixed, one_hot, sharpened, total_variation
from app.standing_labels import standing_rows
from data.decisions import Decision, SampleState
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

Way = Literal["temperature", "mix with its class", "mix with a source", "top two", "as a source"]
WAYS: tuple[Way, ...] = get_args(Way)
OF_SOURCE: tuple[Way, ...] = ("mix with a source", "as a source")
OF_WEIGHT: tuple[Way, ...] = ("mix with its class", "mix with a source")
MOST_VALUES = 4_000_000
"""Numbers that one batch may write: 4 million took 3.7 s and 400 MiB on one core."""
SAME = 1e-6


@dataclass(frozen=True)
class Softening:
    """``temperature``, ``weight`` of what is mixed in, and the name of the ``source`` count where the ``way`` uses them."""

    way: Way
    temperature: float = 1.0
    weight: float = 0.0
    source: str = ""


@dataclass(frozen=True, eq=False)
class Softened:
    """What a softening comes to. ``ids`` (m,) are the samples whose label changes, ``after`` (m, C) their new labels; of
    ``asked`` samples, those with numbers that are none are ``unreadable``. The mean entropies, in nats, and ``new_top``, how
    many get another most probable class, are of those m."""

    asked: int
    unreadable: int
    ids: np.ndarray
    after: np.ndarray
    entropy_before: float
    entropy_after: float
    new_top: int
    pruned: int

    def decisions(self, finding: str | None) -> list[Decision]:
        return [
            Decision(i, "soften", soft_label=tuple(row.tolist()), finding=finding)
            for i, row in zip(self.ids.tolist(), self.after, strict=True)
        ]


def soften(
    distilled_set: DistilledSet, ids: Sequence[int], states: Mapping[int, SampleState], wanted: Softening
) -> Softened:
    """``wanted`` done to the labels that stand for ``ids``, of which ``states`` says what was decided.

    Raises ImpossibleRequest for more numbers than one batch may write, and another StillroomError where a file of labels
    cannot be read.
    """
    if len(ids) * distilled_set.num_classes > MOST_VALUES:
        raise ImpossibleRequest(
            f"{len(ids):,} soft labels of {distilled_set.num_classes:,} classes are more than the {MOST_VALUES:,} numbers "
            f"that one batch may write; select at most {MOST_VALUES // distilled_set.num_classes:,} samples."
        )
    chosen = np.asarray(ids, np.int64)
    before, other = standing_rows(distilled_set, chosen, states), _other(distilled_set, chosen, states, wanted)
    readable = np.isfinite(before).all(axis=1) & np.isfinite(other).all(axis=1)
    before, chosen = before[readable], chosen[readable]
    after = _after(before, other[readable], wanted)
    moved = total_variation(before, after) > SAME
    before, after, chosen = before[moved], after[moved], chosen[moved]
    return Softened(
        asked=len(ids),
        unreadable=int((~readable).sum()),
        ids=chosen,
        after=after,
        entropy_before=_mean(entropy(before)),
        entropy_after=_mean(entropy(after)),
        new_top=int((before.argmax(axis=1) != after.argmax(axis=1)).sum()),
        pruned=sum(states.get(i, SampleState()).pruned for i in chosen.tolist()),
    )


def _other(distilled_set: DistilledSet, ids: np.ndarray, states: Mapping[int, SampleState], wanted: Softening) -> np.ndarray:
    """What is mixed in or taken over, (n, C); (n, 1) zeros where the way uses nothing else."""
    if wanted.way in OF_SOURCE:
        source = distilled_set.selectable_sources.get(wanted.source)
        if source is None:
            raise ImpossibleRequest(f"there is no label source '{wanted.source}'; choose another one.")
        return source.probabilities(ids).numpy().astype(np.float64)
    if wanted.way == "mix with its class":
        return one_hot(_classes(distilled_set, ids, states), distilled_set.num_classes)
    return np.zeros((len(ids), 1))


def _classes(distilled_set: DistilledSet, ids: np.ndarray, states: Mapping[int, SampleState]) -> list[int]:
    """The class that each is given, or relabelled to."""
    labels = [states.get(i, SampleState()).label for i in ids.tolist()]
    return [int(distilled_set.labels[i]) if label is None else label for i, label in zip(ids, labels, strict=True)]


def _after(before: np.ndarray, other: np.ndarray, wanted: Softening) -> np.ndarray:
    if wanted.way == "temperature":
        return sharpened(before, wanted.temperature)
    if wanted.way == "top two":
        return between_top_two(before)
    return mixed(before, other, wanted.weight if wanted.way in OF_WEIGHT else 1.0)


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else 0.0

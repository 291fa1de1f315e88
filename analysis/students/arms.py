"""The arms of a comparison: labels before and after, each taught by one or several losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
import torch

from analysis.corrections.logits import logits_of
from analysis.label_sources import ChosenSource, choose
from analysis.students.losses import NEEDS_SOFT
from analysis.students.material import lesson_images
from analysis.students.task import Lesson, Loss, Teaching
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.verdicts import NO_VERDICTS, Verdicts

Losses = Literal[
    "usual", "hard", "soft", "soft only", "nkd", "uskd", "mse and ce", "z-loss", "top-k", "hard and soft", "all eight"
]
MOST_VALUES = 1 << 28
"""Soft-label values a lesson may hold in memory: 1 GiB of float32."""


@dataclass(frozen=True, eq=False)
class Labels:
    """What one side says of the set's samples: ``ids`` int64 (n,) those that stay, ``hard`` int64 (n,) their labels, and
    ``source`` the soft ones, in which ``moved`` (ids, labels) exchanges the top class with the one that people named."""

    ids: np.ndarray
    hard: np.ndarray
    source: ChosenSource | None = None
    moved: Verdicts = NO_VERDICTS

    def logits(self) -> torch.Tensor | None:
        """float32 (n, C); None without a source. A relabel exchanges values as ``data.curation.curate`` does."""
        if self.source is None:
            return None
        labels = self.source.labels
        if len(self.ids) * labels.num_classes > MOST_VALUES:
            raise ImpossibleRequest(
                f"{len(self.ids):,} soft labels of {labels.num_classes:,} classes do not fit into a lesson's memory; let "
                "students learn from a smaller set."
            )
        logits = logits_of(labels, self.ids).clone()
        here = np.isin(self.moved.ids, self.ids)
        rows = torch.from_numpy(np.searchsorted(self.ids, self.moved.ids[here]))
        named, top = torch.from_numpy(self.moved.labels[here]), logits[rows].argmax(dim=1)
        logits[rows, top], logits[rows, named] = logits[rows, named], logits[rows, top]
        return logits


@dataclass(frozen=True, eq=False)
class Arm:
    """One lesson of a comparison."""

    name: str
    labels: Labels
    loss: Loss

    @property
    def source(self) -> str:
        return "" if self.labels.source is None else self.labels.source.name

    def lesson(self, images: torch.Tensor) -> Lesson:
        """``images`` float32 (N, ch, H, W) are all of the set."""
        ids, hard = torch.from_numpy(self.labels.ids), torch.from_numpy(self.labels.hard)
        return Lesson(self.name, images if len(ids) == len(images) else images[ids], hard, self.labels.logits(), self.loss)


@dataclass(frozen=True, eq=False)
class Arms:
    """All arms, each a lesson of its own, and the ``pairs`` of places among them to compare (before, after)."""

    arms: tuple[Arm, ...]
    pairs: tuple[tuple[int, int], ...]
    caveats: tuple[str, ...]

    def lessons(self, distilled_set: DistilledSet) -> list[Lesson]:
        images = lesson_images(distilled_set)
        return [arm.lesson(images) for arm in self.arms]


@dataclass(frozen=True)
class Asked:
    """What to compare: label sources by name ("" as ``arms`` says), whether people's decisions count, and the losses."""

    before: str = ""
    after: str = ""
    after_decisions: bool = True
    losses: Losses = "usual"
    loss: Loss = field(default_factory=Loss)


def arms(distilled_set: DistilledSet, settled: Verdicts, asked: Asked) -> Arms:
    """The arms of ``asked`` in the light of what people ``settled``.

    After decisions, samples have the class that people named and those they pruned are left out. With "usual" losses a side
    without a named source is taught by its hard labels and one with a source by "soft"; where nothing is named and no
    decision changes anything, the hard labels are compared with the given (or first) source. Sides that come out the same
    are one arm; where only losses differ, each is compared with the first. Raises ImpossibleRequest where a loss needs soft
    labels that the set has not, or the decisions leave no image.
    """
    changes = asked.after_decisions and _changes(settled, distilled_set.labels)
    hard = Labels(np.arange(len(distilled_set)), distilled_set.labels)
    sides = (hard, _decided(hard, settled) if changes else hard)
    found: dict[tuple[bool, str, Teaching], Arm] = {}
    paired = []
    for teachings in _teachings(asked, changes, bool(distilled_set.selectable_sources)):
        keys = []
        for side, teaching in enumerate(teachings):
            source = choose(distilled_set, (asked.before, asked.after)[side]) if teaching in NEEDS_SOFT else None
            keys.append((side == 1 and changes, source.name if source else "", teaching))
            labels = replace(sides[side], source=source) if source else sides[side]
            found.setdefault(keys[-1], Arm("", labels, replace(asked.loss, teaching=teaching)))
        paired.append(keys)
    places = {key: place for place, key in enumerate(found)}
    pairs = tuple((places[first], places[second]) for first, second in paired if first != second)
    named = tuple(replace(arm, name=_name(key, list(found), changes)) for key, arm in found.items())
    return Arms(
        named, pairs or tuple((0, place) for place in range(1, len(named))), _caveats(named, asked, settled, changes)
    )


def _changes(settled: Verdicts, given: np.ndarray) -> bool:
    return bool(settled.wrong(given).any()) or bool(len(settled.pruned))


def _decided(given: Labels, settled: Verdicts) -> Labels:
    wrong = settled.wrong(given.hard)
    moved = Verdicts(settled.ids[wrong], settled.labels[wrong])
    hard = given.hard.copy()
    hard[moved.ids] = moved.labels
    ids = np.setdiff1d(given.ids, settled.pruned)
    if not len(ids):
        raise ImpossibleRequest("the decisions leave no image to learn from; restore at least one.")
    return Labels(ids, hard[ids], None, moved)


def _teachings(asked: Asked, changes: bool, soft: bool) -> Sequence[tuple[Teaching, Teaching]]:
    """The losses of (before, after), one pair a comparison."""
    if asked.losses == "usual":
        after_soft = asked.after or (soft and not changes and not asked.before)
        return [("soft" if asked.before else "hard", "soft" if after_soft else "hard")]
    together: dict[str, tuple[Teaching, ...]] = {"hard and soft": ("hard", "soft"), "all eight": get_args(Teaching)}
    return [(teaching, teaching) for teaching in together.get(asked.losses, (asked.losses,))]


def _name(key: tuple[bool, str, Teaching], keys: Sequence[tuple[bool, str, Teaching]], changes: bool) -> str:
    """The loss, and what else tells this arm from the others."""
    decided, source, teaching = key
    parts = [teaching if teaching not in ("hard", "soft") else f"{teaching} labels"]
    if source:
        parts.append(f"'{source}'")
    if changes and len({after for after, _, _ in keys}) > 1:
        parts.append("decided" if decided else "as given")
    return ", ".join(parts)


def _caveats(named: Sequence[Arm], asked: Asked, settled: Verdicts, changes: bool) -> tuple[str, ...]:
    of_sources = (arm.labels.source.caveats for arm in named if arm.labels.source is not None)
    caveats = list(dict.fromkeys(sentence for sentences in of_sources for sentence in sentences))
    if changes:
        moved, pruned = len(named[-1].labels.moved.ids), len(settled.pruned)
        caveats.append(
            f"People's decisions relabel {moved:,} and leave out {pruned:,} of the images that students learn from."
        )
    elif asked.after_decisions and not settled.empty:
        caveats.append("People's decisions change no label and leave out no image, so there is nothing to compare them by.")
    return tuple(caveats)

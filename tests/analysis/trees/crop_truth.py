"""What a made tree's crops say, worked out one row at a time in float64 from torch.load and the maker's own truth."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch

from data.distilled_set import GIVEN, DistilledSet, Provenance, numbered_classes
from data.relabelled.augmented import AugmentedSoftLabels
from data.relabelled.opening import open_tree
from tests.data.trees import MadeFile, MadeTree


@dataclass
class TrueRow:
    """One crop of ``image``; ``share`` of it is the image."""

    image: int
    share: float
    p: np.ndarray
    given: float
    entropy: float
    top: int
    confidence: float
    margin: float
    other: bool


@dataclass
class TrueImage:
    rows: list[TrueRow] = field(default_factory=list)

    def mean(self, name: str, least: float = 0.0) -> float:
        """Weighted by share, or over the rows of at least that share alike."""
        rows = [row for row in self.rows if row.share >= least]
        weights = [1.0 if least else row.share for row in rows]
        total = sum(weights)
        return sum(w * getattr(row, name) for w, row in zip(weights, rows, strict=True)) / total if total else np.nan

    @property
    def spread(self) -> float:
        """Weighted mean Kullback-Leibler divergence of the crops from their mean distribution."""
        total = sum(row.share for row in self.rows)
        if not total:
            return np.nan
        middle = sum(row.share * row.p for row in self.rows) / total
        found = 0.0
        for row in self.rows:
            seen = row.p > 0
            found += row.share / total * float((row.p[seen] * np.log(row.p[seen] / middle[seen])).sum())
        return found

    def votes(self) -> dict[int, float]:
        votes: dict[int, float] = defaultdict(float)
        for row in self.rows:
            if row.other and row.share > 0:
                votes[row.top] += row.share
        return votes


def true_rows(made: MadeTree, file: MadeFile, temperature: float = 1.0, probabilities: bool = False) -> list[TrueRow]:
    """The rows of one file, in order."""
    items = torch.load(file.path, weights_only=False)
    top_k = made.name.startswith("lpqld")
    values = items[-2 if top_k else 5].double().numpy()
    rows = []
    for place, line in enumerate(values):
        p = np.zeros(made.num_classes)
        chosen = items[-1][place].long().numpy() if top_k else np.arange(made.num_classes)
        powers = line if probabilities else np.exp((line - line.max()) / temperature)
        p[chosen] = powers / powers.sum()
        image = int(file.images[place])
        shown = {int(made.labels[image])}
        if file.partners is not None and file.own < 1:
            shown.add(int(made.labels[file.partners[place]]))
        ordered = np.sort(p)[::-1]
        entropy = -float((p[p > 0] * np.log(p[p > 0])).sum())
        rows.append(
            TrueRow(
                image, file.own, p, p[made.labels[image]], entropy, int(p.argmax()), ordered[0], ordered[0] - ordered[1],
                int(p.argmax()) not in shown,
            )
        )  # fmt: skip
    return rows


def true_images(made: MadeTree, files: list[MadeFile] | None = None, temperature: float = 1.0) -> list[TrueImage]:
    images = [TrueImage() for _ in made.labels]
    for file in made.files if files is None else files:
        for row in true_rows(made, file, temperature):
            images[row.image].rows.append(row)
    return images


def crop_set(made: MadeTree, counts: np.ndarray | None = None, ids: np.ndarray | None = None) -> DistilledSet:
    """The made tree as the given labels of a set without pixels; of images ``ids`` only, where given."""
    tree = open_tree(made.tree, made.labels, made.num_classes)
    ids = np.arange(len(made.labels)) if ids is None else ids
    return DistilledSet(
        name="made",
        labels=made.labels[ids],
        class_names=numbered_classes(made.num_classes),
        provenance=Provenance(made.images, "relabelled", "made", ()),
        label_sources={GIVEN: AugmentedSoftLabels(tree, ids)},
        class_counts=counts,
    )

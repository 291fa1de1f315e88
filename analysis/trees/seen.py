"""A set seen through the crops that one of its label sources is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.trees.estimates import Clusters
from analysis.trees.scan import CropScan, ScanOptions
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.relabelled.augmented import AugmentedSoftLabels


def choose_crops(distilled_set: DistilledSet, name: str) -> tuple[str, AugmentedSoftLabels]:
    """The label source of crops called ``name``; for "" the given one if it is of crops, else the first that is.

    Raises ImpossibleRequest naming those there are.
    """
    there = {key: held for key, held in distilled_set.label_sources.items() if isinstance(held, AugmentedSoftLabels)}
    chosen = name or (GIVEN if GIVEN in there else next(iter(there), ""))
    if chosen not in there:
        options = f"choose one of {', '.join(there)}" if there else "open the set with its relabelled tree"
        raise ImpossibleRequest(f"{distilled_set.name} has no crops from label source '{chosen or GIVEN}'; {options}.")
    return chosen, there[chosen]


@dataclass(frozen=True, eq=False)
class Seen:
    """A set and what a pass over its crops found; arrays by sample, (n,)."""

    distilled_set: DistilledSet
    name: str
    labels: AugmentedSoftLabels
    scan: CropScan
    options: ScanOptions

    def sums(self, value: str, weight: str = "own") -> np.ndarray:
        return self.scan.of_images(value, weight)[self.labels.images]

    def mean(self, value: str, weight: str = "own") -> np.ndarray:
        return self.scan.mean(value, weight)[self.labels.images]

    @property
    def spread(self) -> np.ndarray:
        return self.scan.spread[self.labels.images]

    def regions(self, weight: str = "plain") -> np.ndarray:
        return self.scan.regions(weight)[self.labels.images]

    @property
    def sampled(self) -> bool:
        """Whether only some epochs were read."""
        return len(self.scan.epochs) < self.scan.epochs_there

    @property
    def basis(self) -> str:
        epochs = (
            f"{len(self.scan.epochs)} of {self.scan.epochs_there} epochs, evenly spread" if self.sampled else "all epochs"
        )
        at = f" at temperature {self.options.temperature:g}" if self.options.temperature != 1 else ""
        return f"label source '{self.name}'{at}, {epochs}"

    def clusters(self, value: str, weight: str) -> Clusters:
        """Epochs where only some were read, so that the interval is about the rest of this tree; else images."""
        if self.sampled:
            above, below = self.scan.of_epochs(value, weight), self.scan.of_epochs("rows", weight)
            return Clusters(above, below, self.scan.epochs_there)
        return Clusters(self.sums(value, weight), self.sums("rows", weight))

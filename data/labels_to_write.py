"""Which soft labels a set is written with: as they came, or corrected ones as its own, or beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data.derived_sources import MOST_LETTERS, DerivedSource, with_derived
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.formats.companions import companions_of
from data.own_labels import OwnLabels, with_own_labels, with_recipes_beside
from data.relabelled.augmented import AugmentedSoftLabels
from data.relabelled.rescaled import RowRescaling, rescaled_tree
from data.soft_labels import SoftLabels

RESCALING, DIVISOR, SHIFT = "rescaling", "divisor", "shift"
"""Where a recipe says that the correction was the same for every row of logits of a class."""


@dataclass(frozen=True)
class LabelsToWrite:
    """``own`` becomes the set's own soft labels, None to leave those it came with; ``beside`` are written as label sources
    of their own, and so, with ``keep_given``, is what the set came with."""

    own: DerivedSource | None = None
    beside: tuple[DerivedSource, ...] = ()
    keep_given: bool = True


def with_labels(opened: DistilledSet, wanted: LabelsToWrite, format_name: str | None = None) -> DistilledSet:
    """The set with the labels ``wanted``, to be curated and written; ``opened`` has them among its derived sources.

    Hard labels stay. A relabelled tree that is written as one keeps its rows, each rescaled, which only a correction that is
    a rescaling can do; in another format (``format_name``) the corrected logits take its place. Raises ImpossibleRequest
    where that cannot be done, or a source is not there any more.
    """
    names = [made.name for made in (*wanted.beside, *((wanted.own,) if wanted.own else ()))]
    for name in names:
        if name not in opened.derived_sources:
            raise ImpossibleRequest(f"there is no derived label source '{name}' any more; choose the labels to write again.")
    own = None if wanted.own is None else opened.derived_sources[wanted.own.name]
    others = [made for made in wanted.beside if wanted.own is None or made.name != wanted.own.name]
    with_others = with_derived(opened, [made.name for made in others])
    if others:
        with_others = with_recipes_beside(with_others, [made.recipe for made in others])
    if wanted.own is None or own is None:
        return with_others
    given, sources = opened.label_sources.get(GIVEN), dict(with_others.label_sources)
    stays_tree = isinstance(given, AugmentedSoftLabels) and format_name in (None, opened.provenance.format)
    sources[GIVEN] = _rescaled(opened, given, wanted.own) if stays_tree else own
    kept_as = None
    if wanted.keep_given and given is not None and given.one_row_each:
        kept_as = before_name(wanted.own, sources)
        sources[kept_as] = given
    said = OwnLabels(wanted.own.recipe, kept_as, GIVEN in companions_of(opened).label_files)
    return with_own_labels(replace(with_others, label_sources=sources), said)


def before_name(own: DerivedSource, taken: dict[str, SoftLabels]) -> str:
    """What the given labels are called once ``own`` stands in their place."""
    correction = own.recipe.get("correction")
    known = isinstance(correction, str) and correction.isidentifier() and len(correction) <= MOST_LETTERS
    name = f"given before {correction if known else own.name}"
    numbered = (f"{name} ({number})" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def _rescaled(opened: DistilledSet, given: SoftLabels | None, own: DerivedSource) -> SoftLabels:
    assert isinstance(given, AugmentedSoftLabels)
    said, classes = own.recipe.get(RESCALING), opened.num_classes
    if not isinstance(said, dict) or own.recipe.get("source") != GIVEN:
        raise ImpossibleRequest(
            f"'{own.name}' is not the tree's own labels with every row rescaled, so its crops cannot be written with it; "
            "write it beside the set, or choose another layout."
        )
    divisor, shift = (_numbers(said.get(part), classes, own.name) for part in (DIVISOR, SHIFT))
    if not (divisor > 0).all():
        raise _broken(own.name)
    labels = np.zeros(given.tree.num_images, np.int64)
    labels[given.images] = opened.labels
    return replace(given, tree=rescaled_tree(given.tree, RowRescaling(divisor, shift, labels)))


def _numbers(value: object, classes: int, name: str) -> np.ndarray:
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise _broken(name) from None
    if numbers.shape != (classes,) or not np.isfinite(numbers).all():
        raise _broken(name)
    return numbers


def _broken(name: str) -> ImpossibleRequest:
    return ImpossibleRequest(
        f"the recipe of '{name}' does not say by how much each class is rescaled, which it does for at most 1,000 classes, "
        "so the crops of a tree cannot be written with it; write it beside the set."
    )

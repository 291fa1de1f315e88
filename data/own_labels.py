"""Soft labels that a set is written with in place of those it came with, or beside them: how they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from data.distilled_set import DistilledSet

Recipe = Mapping[str, Any]
"""How labels were made, in plain JSON values (data/derived_sources.py)."""
_OWN, _BESIDE = "own labels", "recipes beside"


@dataclass(frozen=True)
class OwnLabels:
    """What became the set's soft labels by ``recipe``. ``kept_as`` is the label source that those it came with are now,
    None where they are left out or there were none. ``in_file``: those lie in a file of their own beside the set, so these
    do too."""

    recipe: Recipe
    kept_as: str | None = None
    in_file: bool = False


def own_labels(opened: DistilledSet) -> OwnLabels | None:
    """What the given soft labels were replaced by; None where they are as they came."""
    found = opened.extras.get(_OWN)
    return found if isinstance(found, OwnLabels) else None


def with_own_labels(opened: DistilledSet, own: OwnLabels) -> DistilledSet:
    """The set, whose given labels have been replaced already, saying so."""
    return replace(opened, extras={**opened.extras, _OWN: own})


def recipes_beside(opened: DistilledSet) -> Sequence[Recipe]:
    """Of the label sources that were computed and are written beside the set."""
    found = opened.extras.get(_BESIDE)
    return found if isinstance(found, tuple) else ()


def with_recipes_beside(opened: DistilledSet, recipes: Sequence[Recipe]) -> DistilledSet:
    """The set, which has those label sources already, saying how they were made."""
    return replace(opened, extras={**opened.extras, _BESIDE: tuple(recipes)})

"""The cells of the two-by-two comparison that a set, its label sources and a second set can fill."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.balance.masses import Masses, masses_of
from analysis.balance.two_by_two import BALANCED, LONG_TAILED, SIDES, OneSet, TwoByTwo
from analysis.class_groups import HEAD
from analysis.context import Context
from analysis.label_sources import choose
from data import open_set
from data.distilled_set import DistilledSet, numbered_classes
from data.errors import ImpossibleRequest, UnreadableInput

TEACHER = {BALANCED: "balanced teacher", LONG_TAILED: "long tailed teacher"}
PLACES = tuple((teacher, images) for images in (LONG_TAILED, BALANCED) for teacher in (BALANCED, LONG_TAILED))


@dataclass(frozen=True, eq=False)
class Cells:
    """What there is to compare; ``masses`` by (teacher, images); of each cell that is absent, how to get it."""

    compared: TwoByTwo
    masses: Mapping[tuple[int, int], Masses]
    missing: Mapping[tuple[int, int], str]
    caveats: tuple[str, ...]


def cell_name(place: tuple[int, int]) -> str:
    teacher, images = place
    return f"{SIDES[teacher]} teacher on {SIDES[images]} images"


def open_balanced(distilled_set: DistilledSet, path: str) -> tuple[DistilledSet | None, tuple[str, ...]]:
    """The second set at ``path``, "" for none, and what to know of its classes.

    Raises ImpossibleRequest where it is the same set or of other classes, UnreadableInput where it cannot be opened.
    """
    if not path.strip():
        return None, ()
    try:
        found = open_set(Path(path.strip()).expanduser())
    except UnreadableInput as error:
        raise UnreadableInput(f"the balanced set cannot be opened: {error}") from error
    if found.provenance.path == distilled_set.provenance.path:
        raise ImpossibleRequest("balanced_set is this set itself; name one that was distilled from balanced data.")
    ours, theirs = distilled_set.class_names, found.class_names
    if ours == theirs and ours != numbered_classes(len(ours)):
        return found, ()
    if len(ours) != len(theirs) or numbered_classes(len(ours)) not in (ours, theirs):
        raise ImpossibleRequest(
            f"{found.name} has other classes than {distilled_set.name}, or has them in another order; a set of the same "
            "classes is needed to compare their images."
        )
    return found, (f"The classes of {found.name} are taken for those of {distilled_set.name} by number, not by name.",)


def fill_cells(
    sets: Mapping[int, DistilledSet | None],
    teachers: Mapping[int, str],
    group: np.ndarray,
    temperature: float,
    context: Context,
) -> Cells:
    """Every cell for which there is a set, by kind of its images, and a label source of the teacher's name in it.

    Raises ImpossibleRequest where the long-tailed set has no label source of a name that is given.
    """
    missing = {place: why for place in PLACES if (why := _why_missing(sets, teachers, place))}
    present = [place for place in PLACES if place not in missing]
    masses, caveats = {}, []
    for done, (teacher, images) in enumerate(context.track(present, len(present), "Comparing teachers and images")):
        distilled_set = sets[images]
        chosen = choose(distilled_set, teachers[teacher])
        part = context.part(done / len(present), (done + 1) / len(present))
        masses[teacher, images] = masses_of(chosen.labels, distilled_set.labels, group, temperature, part)
        caveats += chosen.caveats
    held = {images: _one_set(one, images, masses) for images, one in sets.items() if one is not None}
    return Cells(TwoByTwo(held, group), masses, missing, tuple(dict.fromkeys(caveats)))


def _one_set(one: DistilledSet, images: int, masses: Mapping[tuple[int, int], Masses]) -> OneSet:
    mass = np.full((len(SIDES), len(one), 2), np.nan)
    for (teacher, of), found in masses.items():
        if of == images:
            mass[teacher] = np.stack([found.own, found.elsewhere[:, HEAD]], axis=1)
    return OneSet(one.labels, mass)


def _why_missing(sets: Mapping[int, DistilledSet | None], teachers: Mapping[int, str], place: tuple[int, int]) -> str:
    """How the cell could be filled, or "" where it can be."""
    teacher, images = place
    name, one = teachers[teacher], sets[images]
    source = f"label source '{name}'" if name else f"the {SIDES[teacher]} teacher's label source"
    if one is None:
        balanced = "the path of a set of the same classes distilled from balanced data"
        return f"set the parameter 'balanced set' to {balanced}, with {source}"
    if not name:
        return f"set the parameter '{TEACHER[teacher]}' to a label source by a teacher who learnt from {SIDES[teacher]} data"
    if images == BALANCED and name not in one.selectable_sources:
        return f"{one.name} has no {source}; label its images with that teacher and save it beside them under that name"
    return ""

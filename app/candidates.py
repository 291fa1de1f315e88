"""The classes that a sample may belong to, and what each looks like: near images of this set, real images where there are.

No Streamlit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.compare_queue import example_ids
from app.components.decision_card import Candidate, Strip
from app.components.soft_label_bars import BarSource
from app.images import Sprite, sprite_sheet
from app.near_images import Nearness, near_of_class
from data.distilled_set import DistilledSet
from data.pixels import Contrast

MOST_CANDIDATES = 3
NEAR, EXAMPLES = 4, 4
TILE_PX = 96
"""Twice what is shown, for sharp screens; whatever is scaled down to it is sent as JPEG."""


@dataclass(frozen=True)
class CandidateClass:
    """A class, and why it is one of those to look at, in a word or two."""

    label: int
    why: str


def candidate_classes(
    given: int, label: int | None, suggested: int | None, sources: Sequence[BarSource], most: int = MOST_CANDIDATES
) -> list[CandidateClass]:
    """The label that stands, the given one, the suggested one, then what each source finds likeliest; each class once."""
    named = [(label, "relabelled"), (given, "given"), (suggested, "suggested")]
    tops = [(int(np.argmax(source.probabilities)), "likely") for source in sources]
    found: dict[int, str] = {}
    for class_id, why in (*named, *tops):
        if class_id is not None:
            found.setdefault(class_id, why)
    return [CandidateClass(class_id, why) for class_id, why in found.items()][:most]


def looks(
    distilled_set: DistilledSet,
    sample_id: int,
    classes: Sequence[CandidateClass],
    near: Nearness,
    stored: list[int],
    contrast: Contrast,
) -> list[Candidate]:
    """Each of ``classes`` with its strips; the images of this set lie on one sheet, those of a class's reference on one."""
    if distilled_set.images is None:
        return []
    ids = [near_of_class(near, distilled_set, sample_id, one.label, stored, NEAR) for one in classes]
    sheet = sprite_sheet(distilled_set.images, [i for some in ids for i in some], contrast, TILE_PX)
    starts = np.cumsum([0, *map(len, ids)]).tolist()
    return [
        Candidate(
            one.label,
            one.why,
            tuple(
                strip
                for strip in (
                    _own_strip(sheet, start, some, near, bool(stored)),
                    _real_strip(distilled_set, one.label, contrast),
                )
                if strip is not None
            ),
        )
        for one, start, some in zip(classes, starts, ids, strict=False)
    ]


def _own_strip(sheet: Sprite, start: int, ids: list[int], near: Nearness, ran: bool) -> Strip:
    names = tuple(f"sample {i}" for i in ids)
    if near.vectors is not None:
        caption = f"nearest by {near.by}" if ids else "no other image is labelled so"
    elif ran:
        caption = "among the nearest on the map" if ids else "none among the nearest on the map"
    else:
        caption = near.why
    return Strip(caption, sheet, tuple(range(start, start + len(ids))), names)


def _real_strip(distilled_set: DistilledSet, label: int, contrast: Contrast) -> Strip | None:
    reference = distilled_set.reference
    if reference is None:
        return None
    ids = example_ids(reference.labels, None, label, EXAMPLES)
    sheet = sprite_sheet(reference.images, ids, contrast, TILE_PX)
    names = tuple(f"real image {i}" for i in ids)
    return Strip("real images" if ids else "no real image of it", sheet, tuple(range(len(ids))), names)

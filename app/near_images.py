"""What images of a set are near each other, so that a card can show those of a class; worked out beside the pages.

By the embedding of a finished analysis, which is then at hand, else by plain pixels; of small sets only. No Streamlit.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from analysis.class_nearest import nearest_of_class
from analysis.context import Context
from analysis.embedding import NAMES, embed
from app.background import Progress
from app.roles import require
from app.services import services
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.images import Images

MOST_IMAGES, MOST_VALUES = 20_000, 3_000_000_000
"""Of larger sets nothing is worked out for the cards: reading so many pixels would take minutes."""
KIND, TITLE = "near images", "Similar images for the cards"
SECONDS_TO_WAIT = 0.4
PIXELS = "pixels"
NEIGHBOURS = "neighbours"
"""The evidence column in which a finished run keeps each sample's nearest ones."""


@dataclass(frozen=True, eq=False)
class Nearness:
    """``vectors`` (N, D) of the embedding ``by``; where ``vectors`` is None, ``why`` there are none."""

    vectors: np.ndarray | None = None
    by: str = ""
    why: str = ""


_made: WeakKeyDictionary[Images, Nearness] = WeakKeyDictionary()


def nearness(set_id: str, distilled_set: DistilledSet) -> Nearness:
    """What is known by now; begins to work it out where nothing is, and waits a moment for it.

    Raises NotAllowed where the person at this browser does not decide.
    """
    images = distilled_set.images
    if images is None:
        return Nearness(why="this set has no images")
    made = _made.get(images)
    if made is not None:
        return made
    if not _is_small(images):
        return Nearness(why="the set is too large to look through for every card; its map finds neighbours")
    tasks, owner = services().tasks, f"{KIND} {set_id}"
    status = tasks.latest(owner, KIND)
    if status is None or status.state == "done":  # done for images that have been opened anew since
        require("decide")
        by = _embedding(set_id)
        with suppress(ImpossibleRequest):  # another session began it just now
            tasks.start(owner, KIND, TITLE, lambda progress: _make(images, by, progress))
        status = tasks.wait(owner, KIND, SECONDS_TO_WAIT)
    if status is not None and status.under_way:
        return Nearness(why="looking for similar images")
    return _made.get(images, Nearness(why="similar images could not be found"))


def near_of_class(
    near: Nearness, distilled_set: DistilledSet, sample_id: int, label: int, stored: list[int], most: int
) -> list[int]:
    """Up to ``most`` samples given ``label`` that are near the sample, nearest first, never itself.

    From ``near`` where it has vectors, else those among ``stored`` (what a finished run keeps) that are labelled so.
    """
    if near.vectors is not None:
        return nearest_of_class(near.vectors, distilled_set.labels, sample_id, label, most).tolist()
    return [i for i in stored if i != sample_id and distilled_set.labels[i] == label][:most]


def stored_neighbours(evidence: dict[str, dict[str, Any]], n: int) -> list[int]:
    """The samples that a finished run of any analysis keeps as nearest to this one, nearest first."""
    found = next((said[NEIGHBOURS] for said in evidence.values() if said.get(NEIGHBOURS) is not None), [])
    return [int(i) for i in found if 0 <= i < n]


def _is_small(images: Images) -> bool:
    values = len(images) * (np.prod(images.shape, dtype=np.int64) if images.shape is not None else 0)
    return len(images) <= MOST_IMAGES and values <= MOST_VALUES


def _embedding(set_id: str) -> str:
    """That of a finished run, in place of pixels where there is any."""
    runs = [services().workspace.latest_run(set_id, name) for name in services().workspace.evidence(set_id)]
    used = [run.parameters.get("embedding") for run in runs if run is not None]
    return next((name for name in used if name in NAMES and name != PIXELS), PIXELS)


def _make(images: Images, by: str, progress: Progress) -> None:
    context = Context(device="cpu", cache=services().workspace.arrays, report=progress)
    _made[images] = Nearness(embed(images, by, context), by)

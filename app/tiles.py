"""Samples as gallery tiles: one sprite, and what each caption and badge says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.components.gallery import Tile, TileState
from app.images import Sprite, prepare_sheet, sprite_sheet
from data.decisions import SampleState
from data.distilled_set import DistilledSet
from data.pixels import Contrast


def sheet(distilled_set: DistilledSet, ids: Sequence[int], contrast: Contrast) -> Sprite:
    """The thumbnails of ``ids`` as one image."""
    return sprite_sheet(distilled_set.images, [int(i) for i in ids], contrast)


def prepare(distilled_set: DistilledSet, ids: Sequence[int], contrast: Contrast) -> None:
    """Have the thumbnails of ``ids`` made in the background: they will probably be asked for next."""
    if distilled_set.images is not None and len(ids):
        prepare_sheet(distilled_set.images, [int(i) for i in ids], contrast)


def captions(
    distilled_set: DistilledSet,
    ids: Sequence[int],
    states: Mapping[int, SampleState],
    flags: Mapping[int, bool] = {},
    scores: Mapping[int, float] = {},
) -> list[Tile]:
    """One tile an id, in that order."""
    return [_tile(distilled_set, int(i), states.get(int(i)), flags, scores) for i in ids]


def state_word(state: SampleState | None) -> TileState | None:
    """pruned, relabelled, softened, kept, skipped, or None where nothing stands."""
    if state is None or state.last is None:
        return None
    if state.pruned:
        return "pruned"
    if state.label is not None:
        return "relabelled"
    if state.soft_label is not None:
        return "softened"
    return {"keep": "kept", "skip": "skipped"}.get(state.last.action)


def _tile(
    distilled_set: DistilledSet, i: int, state: SampleState | None, flags: Mapping[int, bool], scores: Mapping[int, float]
) -> Tile:
    given = distilled_set.class_names[distilled_set.labels[i]]
    new = None if state is None or state.label is None else distilled_set.class_names[state.label]
    return Tile(
        id=i,
        label=new or given,
        was=given if new is not None else None,
        flagged=bool(flags.get(i)),
        state=state_word(state),
        score=scores.get(i),
        note=f"sample {i}",
    )

"""What a card shows of a sample: its image and labels, what the findings suggest about it, and what it may be instead."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from analysis.registry import title_of
from app.candidates import CandidateClass, candidate_classes, looks
from app.components.decision_card import Candidate, CardItem, Suggestion
from app.components.label_editor import read_editor_data
from app.components.soft_label_bars import BarSource, bars_data
from app.images import Kept, large
from app.near_images import Nearness, nearness, stored_neighbours
from app.queue import AHEAD
from app.sample_panel import label_bars
from app.services import services
from app.stored_view import StoredView, stored_view
from data.decisions import SampleState
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.pixels import Contrast

# The evidence columns that a suggestion is made of, whichever analysis writes them.
SUGGESTED_LABEL, SUGGESTED_P, TWIN = "suggested_label", "p_suggested", "nearest_id"
MOST_AHEAD, LEAST_AHEAD, BYTES_AHEAD = AHEAD, 6, 3_000_000
"""Cards that wait in the browser: as many as fit the bytes, so that no burst of keys outruns small images. A browser is sent
only what it has not got yet, so that this is what the first message weighs, and no later one."""
FULL_AHEAD = 8
"""The first of them come with everything. Who is further ahead than that looks at images and labels only."""
PEOPLE_AT_ONCE = 16
CARDS_KEPT, BYTES_KEPT = PEOPLE_AT_ONCE * (3 * MOST_AHEAD + 2 * FULL_AHEAD), 128 << 20
"""The parts of cards that are kept for a set: of so many people on it each finds what was made for their card before."""

Read = TypeVar("Read")


@dataclass(frozen=True)
class _Asked:
    """What every card of one message has in common."""

    set_id: str
    distilled_set: DistilledSet
    finding: str | None
    contrast: Contrast
    near: Nearness
    sources: tuple[str, ...]
    """What tells the label sources of now from those of before."""


def _weight(part: object) -> int:
    """Only pictures weigh anything: bytes of the data URIs in a part of a card."""
    if isinstance(part, str):
        return len(part)
    if isinstance(part, StoredView):
        return len(part.image)
    if isinstance(part, tuple):
        return sum(len(strip.sheet.uri) for candidate in part for strip in candidate.strips)
    return 0


_kept = Kept(CARDS_KEPT, BYTES_KEPT, _weight)


def cards(
    set_id: str,
    distilled_set: DistilledSet,
    ids: Sequence[int],
    finding: str | None,
    contrast: Contrast,
    *,
    blind: bool = False,
    decided: Mapping[int, str] = {},
) -> list[CardItem]:
    """The first of the samples ``ids`` as cards, as many as a browser should have ahead, with what ``finding`` suggests
    before what others do.

    ``blind``: with nothing that would tell what anybody says of them. ``decided`` says of a sample, in a few words, what was
    decided before.
    """
    ids = [int(i) for i in ids[:MOST_AHEAD]]
    if blind:
        return _within_bytes(_blind(distilled_set, i, contrast, decided) for i in ids)
    states = services().workspace.states(set_id, ids)
    evidence = services().workspace.evidence_of_samples(set_id, ids)
    derived = tuple(map(str, services().workspace.derived(set_id)))
    asked = _Asked(set_id, distilled_set, finding, contrast, nearness(set_id, distilled_set), derived)
    made = (
        replace(_card(asked, i, states.get(i, SampleState()), evidence[i], place < FULL_AHEAD), decided=decided.get(i, ""))
        for place, i in enumerate(ids)
    )
    return _within_bytes(made)


def suggest(
    first: str | None, evidence: dict[str, dict[str, Any]], given: int, class_names: Sequence[str]
) -> Suggestion | None:
    """What the flagged findings propose, the queue's own finding before the others; only flags propose anything."""
    for name in sorted(evidence, key=lambda name: name != first):
        found = evidence[name]
        if not found.get("flag"):
            continue
        label, twin = found.get(SUGGESTED_LABEL), found.get(TWIN)
        if label is not None and label not in (-1, given):
            share = f" gets {found[SUGGESTED_P]:.0%} here" if found.get(SUGGESTED_P) is not None else ""
            return Suggestion("relabel", int(label), "wrong label", f"{title_of(name)}: {class_names[int(label)]}{share}")
        if twin is not None and twin >= 0:
            return Suggestion("prune", None, "duplicate", f"{title_of(name)}: nearly the same as sample {int(twin)}")
    return None


def _within_bytes(items: Iterable[CardItem]) -> list[CardItem]:
    taken: list[CardItem] = []
    weight = 0
    for item in items:
        taken.append(item)
        weight += sum(map(len, {item.image, item.stored}))  # the same picture is sent once
        if weight > BYTES_AHEAD and len(taken) >= LEAST_AHEAD:
            break
    return taken


def _blind(distilled_set: DistilledSet, i: int, contrast: Contrast, decided: Mapping[int, str]) -> CardItem:
    return _pictured(CardItem(id=i, image="", given=None, decided=decided.get(i, "")), distilled_set, contrast)


def _card(asked: _Asked, i: int, state: SampleState, evidence: dict[str, dict[str, Any]], full: bool) -> CardItem:
    distilled_set = asked.distilled_set
    given = int(distilled_set.labels[i])
    suggestion = suggest(asked.finding, evidence, given, distilled_set.class_names)
    suggested = None if suggestion is None else suggestion.label
    sources = _sources(asked, i)
    item = CardItem(
        id=i,
        image="",
        given=given,
        label=state.label,
        softened=state.soft_label is not None,
        pruned=state.pruned,
        suggestion=suggestion,
        note=_flags(evidence),
        bars=bars_data(distilled_set.class_names, sources, given=given, suggested=suggested),
        soft=_soft(asked, i, state) if full else None,
    )
    item = _pictured(item, distilled_set, asked.contrast)
    if not full or distilled_set.images is None:
        return item
    classes = candidate_classes(given, state.label, suggested, sources)
    return replace(item, near=_near(asked, i, tuple(classes), stored_neighbours(evidence, len(distilled_set))))


def _pictured(item: CardItem, distilled_set: DistilledSet, contrast: Contrast) -> CardItem:
    images = distilled_set.images
    if images is None:
        return item
    view = _kept.get(images, ("stored", item.id, contrast), lambda: stored_view(images, item.id, contrast))
    image = _kept.get(images, ("image", item.id, contrast), lambda: large(images, item.id, contrast))
    return replace(item, image=image, stored=view.image, stored_words=view.words)


def _sources(asked: _Asked, i: int) -> list[BarSource]:
    return _read(asked, ("bars", i, asked.sources), lambda: label_bars(asked.distilled_set, i), [])


def _soft(asked: _Asked, i: int, state: SampleState) -> dict[str, Any] | None:
    key = ("soft", i, asked.sources, state.label, state.soft_label)
    return _read(asked, key, lambda: read_editor_data(asked.distilled_set, i, state), None)


def _read(asked: _Asked, key: Hashable, read: Callable[[], Read], otherwise: Read) -> Read:
    """``otherwise`` where it cannot be read, and read again the next time: labels are read when they are shown, and their
    file may be damaged, or away for a while."""
    try:
        return _kept.get(asked.distilled_set.images or asked.distilled_set, key, read)
    except StillroomError:
        return otherwise


def _near(asked: _Asked, i: int, classes: tuple[CandidateClass, ...], stored: list[int]) -> tuple[Candidate, ...]:
    key = ("near", i, classes, asked.contrast, asked.near.by or asked.near.why, tuple(stored))
    return _kept.get(
        asked.distilled_set.images,
        key,
        lambda: tuple(looks(asked.distilled_set, i, classes, asked.near, stored, asked.contrast)),
    )


def _flags(evidence: dict[str, dict[str, Any]]) -> str:
    flagged = [title_of(name).lower() for name, found in evidence.items() if found.get("flag")]
    return f"flagged by {', '.join(flagged)}" if flagged else ""

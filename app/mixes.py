"""What pruning images does to a relabelled tree, before it is done: the rows each way of treating mixes would cost."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import streamlit as st

from app.background import Progress
from app.notes import notes
from app.services import services
from app.task_panel import task_panel
from app.words import show_error
from data.curation import MIXES, CuratedSet, Mixes
from data.distilled_set import GIVEN
from data.errors import ImpossibleRequest, StillroomError
from data.relabelled.augmented import AugmentedSoftLabels
from data.relabelled.curate_rows import RowsPlan, plan_rows
from data.workspace import SetRecord

TITLE = "Counting what goes"
SECONDS_TO_WAIT = 0.5
WORDS: dict[Mixes, str] = {
    "rows": "drop such crops",
    "batch": "drop their batches whole",
    "self": "keep such crops as they are",
}
MEANING: dict[Mixes, str] = {
    "rows": "What stays is exact; crops that were mixed with a dropped one go too, and batches become of different sizes.",
    "batch": "What stays is exact and batches stay whole; more is lost.",
    "self": "Little is lost, but these labels still speak of images that are gone.",
}

Plans = dict[Mixes, RowsPlan | str]
"""What each way would do, or the sentence that says why it cannot be done."""


def mixes_section(record: SetRecord, curated: CuratedSet) -> CuratedSet:
    """The choice, with what each way costs; returns ``curated`` with it. Nothing is shown where nothing has to be chosen."""
    source = curated.original.label_sources.get(GIVEN)
    if not isinstance(source, AugmentedSoftLabels) or not (curated.pruned or curated.relabelled):
        return curated
    st.subheader("Soft labels of crops")
    chosen: Mixes = "rows"
    if curated.pruned:
        st.caption(
            "A crop that was mixed with a pruned image has a label of both, and the mixture cannot be made again. What "
            "becomes of such crops?"
        )
        chosen = st.radio(
            "Crops mixed with a pruned image",
            MIXES,
            format_func=WORDS.__getitem__,
            captions=[MEANING[way] for way in MIXES],
            key=f"mixes {record.id}",
            label_visibility="collapsed",
        )
    _costs(record, curated, chosen)
    return replace(curated, mixes=chosen)


def count(curated: CuratedSet, ways: tuple[Mixes, ...], progress: Progress) -> Plans:
    """What each of ``ways`` would do to the rows of the tree; nothing is written. No Streamlit."""
    plans: Plans = {}
    for place, way in enumerate(ways):
        part = lambda done, message, start=place: progress((start + done) / len(ways), message)  # noqa: E731
        try:
            found = plan_rows(replace(curated, mixes=way), part)
        except ImpossibleRequest as error:
            plans[way] = str(error)
        else:
            if found is not None:
                plans[way] = found
    return plans


def cost_table(plans: Plans) -> pd.DataFrame:
    """One row a way that can be gone, in words for people."""
    return pd.DataFrame(
        [
            {
                "crops mixed with one pruned": WORDS[way],
                "crops kept": f"{plan.after:,} of {plan.before:,}",
                "of pruned images": f"{plan.pruned:,}",
                "dropped along": f"{plan.dropped_along:,}",
                "batches dropped": f"{plan.batches_dropped:,} of {plan.batches:,}",
                "still partly of one pruned": _foreign(plan),
            }
            for way, plan in plans.items()
            if not isinstance(plan, str)
        ]
    )


def _foreign(plan: RowsPlan) -> str:
    return f"{plan.partners_lost:,} ({plan.foreign_share:.0%} of them on average)" if plan.partners_lost else "0"


def _costs(record: SetRecord, curated: CuratedSet, chosen: Mixes) -> None:
    """Counting opens every batch that holds a changed image, so it runs beside the page and is remembered."""
    owner = f"counting {record.id}"
    ways = MIXES if curated.pruned else (chosen,)
    kind = f"rows {hash((curated.pruned, curated.relabelled))}"
    tasks = services().tasks
    if tasks.latest(owner, kind) is None:
        for under_way in tasks.under_way(owner):
            tasks.cancel(*under_way)  # of decisions that no longer stand
            tasks.wait(*under_way, SECONDS_TO_WAIT)
        try:
            tasks.start(owner, kind, TITLE, lambda progress: count(curated, ways, progress))
        except StillroomError as error:
            show_error(error)
            return
        tasks.wait(owner, kind, SECONDS_TO_WAIT)
        if tasks.latest(owner, kind).under_way:
            st.rerun()  # for the sidebar, which looks after what runs
    task_panel(owner, kind, lambda plans: _show(plans, chosen))


def _show(plans: Plans, chosen: Mixes) -> None:
    if isinstance(plans.get(chosen), str):
        show_error(plans[chosen])
    table = cost_table(plans)
    if table.empty:
        return
    st.dataframe(table, hide_index=True, width="stretch", alt="What each way of mixing costs")
    found = plans.get(chosen)
    if isinstance(found, RowsPlan):
        notes("What becomes of the tree", found.notes)
    relabels = next((plan for plan in plans.values() if isinstance(plan, RowsPlan)), None)
    if relabels is not None and (relabels.exchanged or relabels.mostly_foreign or relabels.relabelled_partners):
        st.caption(
            f"Relabelling changes {relabels.exchanged:,} crops that are mostly of a relabelled image. "
            f"{relabels.mostly_foreign:,} crops of relabelled images are mostly another image, and "
            f"{relabels.relabelled_partners:,} crops show a relabelled image only beside their own; these stay as they are."
        )

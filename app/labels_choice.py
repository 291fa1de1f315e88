"""Which soft labels an export writes: as they came, one that was corrected, or some beside the set."""

from __future__ import annotations

import streamlit as st

from app.correct_sources import recipe_words
from app.services import services
from app.words import plain
from data.derived_sources import DerivedSource, read_derived
from data.distilled_set import GIVEN, DistilledSet
from data.errors import StillroomError
from data.labels_to_write import LabelsToWrite
from data.relabelled.augmented import AugmentedSoftLabels
from data.workspace import SetRecord

AS_THEY_CAME = "as they came"
LOGITS_NOTE = (
    "Its own soft labels are {kind}; logits are written in their place, so train with a loss that takes logits through a "
    "softmax (as DATM does)."
)


def labels_section(record: SetRecord, distilled_set: DistilledSet) -> LabelsToWrite:
    """The choice; nothing is shown for a set without corrected labels."""
    known = _known(record, distilled_set)
    if not known:
        return LabelsToWrite()
    st.subheader("Soft labels to write")
    left, right = st.columns(2)
    names = [AS_THEY_CAME, *known]
    key = f"labels from {record.id}"
    if st.session_state.get(key) not in names:  # removed while the page was open
        st.session_state[key] = AS_THEY_CAME
    chosen = left.selectbox("As the set's own", names, key=key)
    own = known.get(chosen)
    others = [name for name in known if name != chosen]
    _forget_removed(f"labels beside {record.id}", others)
    beside = right.multiselect("Beside the set", others, key=f"labels beside {record.id}", placeholder="none")
    keep = _about_own(record, distilled_set, own) if own is not None else True
    return LabelsToWrite(own, tuple(known[name] for name in beside), keep)


def _about_own(record: SetRecord, distilled_set: DistilledSet, own: DerivedSource) -> bool:
    """What becomes of those the set came with; returns whether they are kept."""
    st.caption(plain(recipe_words(own.recipe)))
    given = distilled_set.label_sources.get(GIVEN)
    if given is None:
        st.caption("The set's own labels are hard ones. They stay, and these logits become its soft labels.")
        return True
    if isinstance(given, AugmentedSoftLabels):
        st.caption(
            "Every stored row of the relabelled tree is rescaled, crop by crop; in another layout the corrected logits take "
            "its place. The tree that it came with is not copied."
        )
        return True
    if given.kind != "logits":
        st.caption(LOGITS_NOTE.format(kind=given.kind))
    return st.checkbox("Keep the soft labels that it came with, beside it", value=True, key=f"keep given {record.id}")


def _known(record: SetRecord, distilled_set: DistilledSet) -> dict[str, DerivedSource]:
    """Those that fit the set, by name."""
    found: dict[str, DerivedSource] = {}
    for folder in services().workspace.derived(record.id):
        try:
            held = read_derived(folder)
        except StillroomError:
            continue  # the Correct page says so
        if held.name in distilled_set.derived_sources:
            found.setdefault(held.name, held)
    return found


def _forget_removed(key: str, names: list[str]) -> None:
    if key in st.session_state:
        st.session_state[key] = [name for name in st.session_state[key] if name in names]

"""Correct: soft labels recalibrated or made anew, seen before they are kept, and kept beside what they came from."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import streamlit as st

from analysis.context import Context
from analysis.correct_command import check_name
from analysis.corrections.derive import derive
from analysis.corrections.registry import Correction, corrections
from app.background import Progress
from app.correct_panel import caveats, charts, examples, headline
from app.correct_preview import KIND as PREVIEW
from app.correct_preview import SECONDS_TO_WAIT, Answer, Question, answers, ask, owner_of, question
from app.correct_sources import proposed_name, sources_section
from app.fragments import fragment, rerun_page
from app.jobs import stop, task_words
from app.needs import HOW_TO_GIVE, needs_words
from app.parameter_form import parameter_form
from app.roles import require
from app.selection import current_set
from app.services import services
from app.task_panel import act, is_under_way, task_panel
from app.words import plain, show_error
from data.distilled_set import GIVEN, DistilledSet
from data.errors import StillroomError
from data.workspace import SetRecord

KIND, TITLE = "correct", "Correcting the labels"
ORDER = ("adsa", "absld", "prior_matching", "temperature", "self_distillation", "prototypes", "neighbours", "zipf")
"""First what only calibrates, then what makes labels anew; whatever this module does not know comes last, by name."""


def correct_page() -> None:
    record, distilled_set = current_set()
    st.title("Correct")
    st.caption(
        "Soft labels carry the bias of what their teacher was trained on. Choose a correction, see what it would do, and "
        "keep it as a label source of its own: what the set came with is never changed."
    )
    _correcting(record)
    sources_section(record, distilled_set)


@fragment
def _correcting(record: SetRecord) -> None:
    """Everything that a slider changes."""
    try:
        distilled_set = services().workspace.load(record.id)  # anew: a source may have been removed elsewhere
        asked = _question(record, distilled_set)
        if asked is None:
            return
        answer = _answer(distilled_set, asked)
        if answer is not None:
            _keep(record, distilled_set, asked, answer)
    except StillroomError as error:
        show_error(error)
        return
    if answer is not None:
        caveats(answer)
        charts(answer)
        examples(distilled_set, answer)


def menu_order(entries: Sequence[Correction]) -> list[Correction]:
    """As people look for them."""
    places = {name: place for place, name in enumerate(ORDER)}
    return sorted(entries, key=lambda entry: (places.get(entry.name, len(ORDER)), entry.name))


def _question(record: SetRecord, distilled_set: DistilledSet) -> Question | None:
    """What is chosen; None where the set lacks what the correction needs, which is said then."""
    entries = {entry.name: entry for entry in menu_order(list(corrections().values()))}
    able = [name for name, entry in entries.items() if not entry.missing(distilled_set)]
    sources = list(distilled_set.selectable_sources)
    if not sources:
        _without_soft_labels(record, entries, able)
    left, right = st.columns(2)
    source = _source(left, record, sources)
    names = [*able, *(name for name in entries if name not in able)]
    chosen = right.selectbox(
        "Correction",
        names,
        format_func=lambda name: entries[name].title + ("" if name in able else " · not for this set"),
        key=f"correction {record.id}",
    )
    entry = entries[chosen]
    st.markdown(entry.meaning)
    st.caption(f"After {entry.paper}")
    missing = entry.missing(distilled_set)
    if missing:
        st.info(needs_words(missing, record.name), icon=":material/info:")
        return None
    with st.container(border=True):
        parameters: dict[str, Any] = parameter_form(entry, distilled_set)
    return question(services(), record, entry, source, parameters)


def _source(place: st.delta_generator.DeltaGenerator, record: SetRecord, sources: list[str]) -> str:
    if not sources:
        place.selectbox("Label source", ["none: made from the hard labels"], disabled=True)
        return ""
    key = f"correct source {record.id}"
    if st.session_state.get(key) not in sources:  # removed while the page was open
        st.session_state[key] = GIVEN if GIVEN in sources else sources[0]
    return place.selectbox("Label source", sources, key=key)


def _without_soft_labels(record: SetRecord, entries: dict[str, Correction], able: list[str]) -> None:
    offered = ", ".join(f"**{entries[name].title}**" for name in able) or "none of those here"
    st.info(
        f"**{plain(record.name)}** came with hard labels only. Corrections that make soft labels from those: {offered}. For "
        f"the others {HOW_TO_GIVE['soft labels']}.",
        icon=":material/info:",
    )


def _answer(distilled_set: DistilledSet, asked: Question) -> Answer | None:
    """What is known of it by now; None while it is worked out beside the page, or where it failed, which is shown."""
    latest = "previewed"
    before = st.session_state.get(latest)
    if before is not None and before != owner_of(asked):
        services().tasks.cancel(before, PREVIEW)
    st.session_state[latest] = owner_of(asked)
    if (known := answers.get(asked.key)) is not None:
        return known
    status = ask(services(), distilled_set, asked)
    if status is None:
        return answers.get(asked.key)
    if status.under_way:
        fragment(lambda: _progress(asked), run_every=1.0)()
    elif status.state == "failed":
        show_error(status.error)
    elif st.button("Show before and after", icon=":material/play_arrow:", help="It was cancelled"):
        ask(services(), distilled_set, asked, again=True)
        st.rerun()
    return None


def _progress(asked: Question) -> None:
    owner = owner_of(asked)
    status = services().tasks.latest(owner, PREVIEW)
    if status is None or not status.under_way:
        rerun_page()  # the answer is there, or the reason why not
        return
    bar, button = st.columns([6, 1], vertical_alignment="center")
    bar.progress(status.fraction, text=f"**Before and after:** {task_words(status)}")
    button.button("Cancel", key=f"stop {owner}", on_click=stop, args=(services().tasks.cancel, owner, PREVIEW))


def _keep(record: SetRecord, distilled_set: DistilledSet, asked: Question, answer: Answer) -> None:
    """The figures, then the name under which the new labels are kept."""
    headline(answer)
    field, proposed = f"derived name {record.id}", f"proposed name {record.id}"
    taken = distilled_set.selectable_sources
    name = proposed_name(asked.source, asked.entry, asked.parameters, answer.found, taken)
    if st.session_state.get(field) in (None, "", st.session_state.get(proposed)):  # nobody has typed another
        st.session_state[field] = name
    st.session_state[proposed] = name
    typed, button = st.columns([3, 1], vertical_alignment="bottom")
    chosen = typed.text_input("Keep these labels as", key=field)
    pressed = button.button(
        "Apply",
        type="primary",
        icon=":material/done_all:",
        disabled=is_under_way(record.id, KIND),
        help="Computes them for every sample and keeps them beside what the set came with",
        width="stretch",
    )
    if pressed:
        act(lambda: _start(record, distilled_set, asked, chosen, proposed))
    task_panel(record.id, KIND, lambda made: _kept(made, asked, taken))


def _start(record: SetRecord, distilled_set: DistilledSet, asked: Question, name: str, proposed: str) -> None:
    require("correct")
    check_name(distilled_set, name)
    running = services()

    def work(progress: Progress) -> tuple[str, str]:
        context = Context(running.device, running.workspace.arrays, progress)
        folder = running.workspace.new_derived(record.id)
        derive(asked.entry.name, distilled_set, asked.source, context, folder, name, asked.parameters)
        return name, asked.key

    running.tasks.start(record.id, KIND, TITLE, work)
    st.session_state[proposed] = name  # taken now: another one is proposed from here on
    running.tasks.wait(record.id, KIND, SECONDS_TO_WAIT)


def _kept(made: tuple[str, str], asked: Question, there: Container[str]) -> None:
    name, key = made
    if name not in there or key != asked.key:  # removed since, or of something else
        return
    st.success(
        f"**{plain(name)}** is a label source of this set now. Choose it in any analysis, or write it on the **Export** "
        "page.",
        icon=":material/check_circle:",
    )

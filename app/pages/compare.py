"""Compare: people as a judge of the label critic: which of two labels fits an image better, blind to who says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamlit as st
from streamlit.navigation.page import StreamlitPage

from analysis.critic.judge import Questions
from analysis.registry import analyses
from app.compare_queue import (
    BLOCK,
    SUGGESTIONS,
    Pairs,
    Waiting,
    answers_of,
    commit_answers,
    example_ids,
    latest_pairs,
    questions,
    seconds_an_answer,
    shown_examples,
    waiting,
)
from app.components.pair_card import ClassLook, PairItem, pair_card
from app.fragments import fragment
from app.identity import name_prompt, scope_of
from app.images import large, sprite_sheet
from app.jobs import run_progress, time_left
from app.needs import needs_words
from app.roles import may, require
from app.selection import current_set
from app.services import services
from app.task_panel import act
from data.decisions import CRITIC
from data.distilled_set import DistilledSet
from data.pair_answers import NOTHING
from data.pixels import CONTRASTS, Contrast
from data.workspace import SetRecord

AHEAD, MOST_AHEAD, BYTES_AHEAD = 8, 32, 250_000
"""Questions that wait in the browser: so many at least, and more of small images, so that no key outruns them."""
EXAMPLES, EXAMPLE_PX = 3, 64
NAME_PX = 150
WHY_TWICE = (
    "Whoever compares two things leans a little towards one side. Each pair comes again, after at most "
    f"{BLOCK} others, with its sides swapped; where the two answers differ, the label critic counts a tie."
)


@dataclass(frozen=True)
class _Choice:
    """What the person chose above the card."""

    who: str
    twice: bool
    contrast: Contrast


def compare_page(critic: StreamlitPage | None) -> None:
    """The page; ``critic`` is that of the label critic, which counts what is answered here."""
    record, distilled_set = current_set()
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall")
    row.title("Compare")
    if distilled_set.images is None:
        st.info(needs_words(("images",), record.name), icon=":material/info:")
        return
    choice = _choices(row)
    st.caption("Nothing here tells which label the image has now, or who proposed the other.")
    _comparing(record, distilled_set, choice, critic)


def _choices(row: st.delta_generator.DeltaGenerator) -> _Choice:
    """Beside the title, so that the whole card is to be seen at once."""
    who = name_prompt(row, NAME_PX)
    with row.popover("More", icon=":material/tune:"):
        twice = st.toggle("Ask each pair twice, sides swapped", value=True, help=WHY_TWICE, key="compare twice")
        contrast = st.selectbox("Contrast", CONTRASTS, key="compare contrast")
    return _Choice(who, twice, contrast)


@fragment
def _comparing(record: SetRecord, distilled_set: DistilledSet, choice: _Choice, critic: StreamlitPage | None) -> None:
    pairs = latest_pairs(record.id)
    if pairs is None:
        _nothing_to_compare(record, distilled_set)
        return
    asked, answers = questions(pairs, choice.who, choice.twice), answers_of(record.id, choice.who)
    again = f"skipped again {record.id} {choice.who}"
    left = waiting(asked, answers, choice.twice, st.session_state.get(again, 0))
    pair_card(
        *_cards(distilled_set, pairs, left.questions, choice.contrast),
        key=f"pair {record.id}",
        scope=scope_of(record.id),
        author=choice.who,
        remaining=len(left.questions),
        examples_are="labelled so in this set" if distilled_set.reference is None else "real images of this class",
        commit=lambda events: commit_answers(record.id, events),
        empty="All answered. Thank you!" if not left.skipped else f"All answered but {left.skipped:,} that you skipped.",
    )
    _progress(left, seconds_an_answer(answers))
    if left.skipped and not len(left.questions) and st.button("Ask the skipped ones again", icon=":material/replay:"):
        st.session_state[again] = len(answers)
        st.rerun(scope="fragment")
    _next_step(record, distilled_set, pairs, left, critic)


def _cards(
    distilled_set: DistilledSet, pairs: Pairs, asked: Questions, contrast: Contrast
) -> tuple[list[PairItem], dict[int, ClassLook]]:
    """The next questions, and what the classes that they name look like."""
    images, own = distilled_set.images, distilled_set.reference is None
    ahead, taken, items = asked.take(slice(0, MOST_AHEAD)), 0, []
    examples: dict[int, tuple[int, ...]] = {}
    for sample_id, left, right in zip(ahead.sample_id.tolist(), ahead.left.tolist(), ahead.right.tolist(), strict=True):
        if taken > BYTES_AHEAD and len(items) >= AHEAD:
            break
        for label in {left, right} - {NOTHING} - set(examples):
            examples[label] = _examples(distilled_set, pairs.score, label)
        tiles = shown_examples(examples, sample_id if own else None, left, right, EXAMPLES)
        items.append(PairItem(sample_id, left, right, large(images, sample_id, contrast), *tiles))
        taken += len(items[-1].image)
    shown = images if own else distilled_set.reference.images
    names = distilled_set.class_names
    return items, {c: ClassLook(names[c], sprite_sheet(shown, ids, contrast, EXAMPLE_PX)) for c, ids in examples.items()}


def _examples(distilled_set: DistilledSet, score: np.ndarray, label: int) -> Sequence[int]:
    """One more of the set's own than is shown: the sample in question is never its own example."""
    if distilled_set.reference is None:
        return example_ids(distilled_set.labels, score, label, EXAMPLES + 1)
    return example_ids(distilled_set.reference.labels, None, label, EXAMPLES)


def _progress(left: Waiting, seconds: float | None) -> None:
    words = f"{left.answered:,} of {left.total:,} answered"
    if left.skipped:
        words += f", {left.skipped:,} skipped"
    if seconds is not None and len(left.questions):
        words += f" · about {seconds:.1f} s an answer, {time_left(seconds * len(left.questions))}"
    st.progress(left.answered / max(left.total, 1), text=words)


def _nothing_to_compare(record: SetRecord, distilled_set: DistilledSet) -> None:
    st.info(
        "There is nothing to compare yet. Run the label critic first: it finds the doubtful labels, and for each the two "
        "classes between which your eyes settle the most.",
        icon=":material/info:",
    )
    _run_critic(record, distilled_set, "Run the label critic")


def _next_step(
    record: SetRecord, distilled_set: DistilledSet, pairs: Pairs, left: Waiting, critic: StreamlitPage | None
) -> None:
    if pairs.source == SUGGESTIONS:
        st.caption("These pairs come from the suggestions. The label critic finds the ones that settle the most.")
        _run_critic(record, distilled_set, "Run the label critic")
        return
    if len(left.questions):
        return
    run = services().workspace.latest_run(record.id, CRITIC)
    if run is not None and services().is_stale(run):
        st.markdown("**What next?** Run the label critic again, so that it counts these answers.")
        _run_critic(record, distilled_set, "Run the label critic again")
    else:
        st.markdown("The label critic has counted these answers.")
    if critic is not None:
        st.page_link(critic, label="See what the label critic says", icon=":material/arrow_forward:")


def _run_critic(record: SetRecord, distilled_set: DistilledSet, words: str) -> None:
    """A button that starts it as it ran last, or how far it is."""
    under_way = next((run for run, _ in services().active(record.id) if run.analysis == CRITIC), None)
    if under_way is not None:
        run_progress(under_way.id)
        return
    entry = analyses().get(CRITIC)
    if entry is None:
        return
    if missing := entry.missing(distilled_set):
        st.caption(needs_words(missing, record.name))
        return
    if may("analyse") and st.button(words, type="primary", icon=":material/play_arrow:"):
        act(lambda: _start_critic(record.id))


def _start_critic(set_id: str) -> None:
    require("analyse")
    before = services().workspace.latest_run(set_id, CRITIC)
    services().start(set_id, CRITIC, {} if before is None else before.parameters)

"""What one does with the critic's findings, on its page: adopt labels, look into one sample, see what left the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from analysis.critic.savings import Best, pace, savings_figures
from analysis.findings import Findings
from app.column_words import capital
from app.contact_sheet import contact_sheet
from app.critic_adoption import ANALYSIS, Adopted, Adoption, adopt, adoption, best_of, known_of
from app.critic_figures import candidates_figure, judges_figure
from app.critic_sample import answers_about, cycle_words, first_asked, rounds, sample_words
from app.critic_sent import sent_section
from app.figures import BARE
from app.fragments import fragment
from app.images import large
from app.pictures import is_small, show_picture
from app.roles import may, require
from app.services import services
from app.shown_figure import show_figure
from app.shown_table import show_table
from app.task_panel import act
from app.tiles import captions
from app.words import plain, show_error
from data.decisions import CRITIC, SampleState
from data.distilled_set import DistilledSet
from data.errors import StillroomError
from data.pair_answers import PEOPLE, together
from data.plain_text import one_line
from data.workspace import RunRecord, SetRecord

LEAST, MOST, STEP = 0.5, 0.999, 0.001
SHOWN, TILE_PX = 12, 112
IMAGE_PX = 190
FIGURE_PX, PART_PX = 255, 240
OVERALL = "all samples"
PARTS = {"class": ("judges by class", "class_id"), "group": ("judges by group", "group")}
"""Further tables of judges, and the column that says what of."""
COMPARE = "compare"
MOST_REASONS = 40
USUAL_LEVEL, USUAL_SECONDS = 0.95, 5.0
SAID_IN_WORDS = ("Labels the critic would change",)
"""Figures of analysis.critic.savings that the sentence above them says already, of what is left to adopt."""


def critic_section(record: SetRecord, distilled_set: DistilledSet) -> None:
    """Everything below the critic's charts; before the first run, what would leave this machine."""
    found = services().findings(record.id, ANALYSIS)
    runs = services().workspace.runs(record.id, ANALYSIS)
    latest = runs[0].parameters if runs else {}
    if found is None:
        sent_section(distilled_set, latest, None)
        return
    run, findings = found
    _adopt_section(record, distilled_set, run, findings)
    _judges_section(record, distilled_set.class_names, findings)
    _sample_section(record, distilled_set, findings)
    sent_section(distilled_set, latest, findings)


@fragment
def _adopt_section(record: SetRecord, distilled_set: DistilledSet, run: RunRecord, findings: Findings) -> None:
    """How many labels a probability would change, what is known of such labels, and the button that writes them."""
    st.subheader("Adopt the best labels")
    st.caption(
        "Writes decisions signed “critic” for the labels that are sure enough, as one batch that can be taken back. No file "
        "is changed, and whatever people have decided stands."
    )
    known = known_of(run)
    if known.stale:
        st.warning(
            "People have decided or answered since this run: learn from it above before you adopt anything.",
            icon=":material/update:",
        )
    key = f"critic adopt {record.id}"
    usual = min(max(float(run.parameters.get("adopt_from", USUAL_LEVEL)), LEAST), MOST)
    level = st.slider("Probability of the best label, at least", LEAST, MOST, usual, STEP, format="%.3f", key=f"{key} level")
    also_keep = st.checkbox("Also keep those whose given label is best", key=f"{key} keep")
    chosen = adoption(findings.per_sample, level, known.states)
    st.markdown(_count_words(chosen, level, findings.per_sample))
    _figures(record, run, best_of(findings.per_sample, known.verdicts), level)
    if may("adopt"):
        _buttons(record, findings.per_sample, chosen, also_keep, known.adopted, key)
    if distilled_set.images is not None:
        _preview(record, distilled_set, findings.per_sample, chosen, known.states, key)


def _count_words(chosen: Adoption, level: float, per_sample: pd.DataFrame) -> str:
    """What would become of the samples, in words; nothing is counted twice."""
    asked = int(per_sample["score"].notna().sum())
    if asked and not len(chosen):
        surest = per_sample["p_suggested"].max()
        return (
            f"None of {asked:,} asked samples have a best label of {level:g} or more: the surest has {surest:.3f}. "
            "Decide some of the doubtful ones and run this again, so that judges count as they deserve; or lower the "
            "slider to see more."
        )
    parts = [
        f"**{len(chosen.relabel):,}** would be relabelled",
        f"**{len(chosen.keep):,}** have their given label for the best",
        *_some(chosen.standing, "adopted already"),
        *_some(chosen.by_people, "left out, because people have decided on them"),
        *_some(chosen.no_fit, "left to people, because no candidate fits"),
    ]
    return f"**{len(chosen):,}** of {asked:,} asked samples have a best label of {level:g} or more: {'; '.join(parts)}."


def _figures(record: SetRecord, run: RunRecord, best: Best, level: float) -> None:
    """What adopting them would save, and how right such labels are: by the critic's word, and by people's."""
    answered = services().workspace.answers(record.id, PEOPLE)
    reviewed = pace(float(run.parameters.get("seconds", USUAL_SECONDS)), answered)
    beside = st.container(horizontal=True)
    for figure in savings_figures(best, level, reviewed):
        if figure.label not in SAID_IN_WORDS:
            with beside.container(width=FIGURE_PX, gap="xxsmall"):
                st.markdown(f":small[{plain(figure.label)}]")
                st.metric(figure.label, figure.shown, label_visibility="collapsed")
                st.caption(plain("; ".join(filter(None, (figure.interval, figure.basis))) + f", n = {figure.n:,}"))


def _some(ids: np.ndarray, words: str) -> list[str]:
    return [f"{len(ids):,} {words}"] if len(ids) else []


def _buttons(
    record: SetRecord, per_sample: pd.DataFrame, chosen: Adoption, also_keep: bool, stands: Adopted | None, key: str
) -> None:
    n = chosen.writes(also_keep)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(
            f"Adopt {n:,} label{'' if n == 1 else 's'}",
            type="primary",
            icon=":material/done_all:",
            disabled=not n,
            key=f"{key} button",
        ):
            act(lambda: _adopt(record, per_sample, chosen, also_keep))
        if stands is not None:
            if st.button("Undo the adoption", icon=":material/undo:", key=f"{key} undo"):
                act(lambda: _undo(record))
            st.caption(_standing_words(stands))


def _adopt(record: SetRecord, per_sample: pd.DataFrame, chosen: Adoption, also_keep: bool) -> None:
    written = adopt(record.id, per_sample, chosen, also_keep)
    st.toast(f"{written:,} label{'' if written == 1 else 's'} adopted.", icon=":material/check:")


def _undo(record: SetRecord) -> None:
    require("adopt")
    undone = services().workspace.undo(record.id, CRITIC)
    st.toast("The adoption is taken back." if undone else "Nothing of the critic's stands any more.")


def _standing_words(stands: Adopted) -> str:
    kept = f" and keeps {stands.kept:,}" if stands.kept else ""
    before = f"; {stands.before:,} from before that would stay" if stands.before else ""
    return f"Takes back {stands.relabelled:,} relabelled{kept} of {stands.at[:16].replace('T', ' ')} UTC{before}."


def _preview(
    record: SetRecord,
    distilled_set: DistilledSet,
    per_sample: pd.DataFrame,
    chosen: Adoption,
    states: Mapping[int, SampleState],
    key: str,
) -> None:
    """The images of one part, the least sure first: where those are right, the others are rather more so."""
    parts = {"to relabel": chosen.relabel, "given label is best": chosen.keep, "no candidate fits": chosen.no_fit}
    held = {name: ids for name, ids in parts.items() if len(ids)}
    if not held:
        return
    part = st.segmented_control("Images", list(held), default=next(iter(held)), key=f"{key} part {','.join(held)}")
    part = part or next(iter(held))
    ids = held[part][::-1][:SHOWN]
    st.caption(
        f"{len(ids):,} of {len(held[part]):,}, the least sure first; the number is the probability of the best label."
    )
    rows = per_sample.set_index("sample_id")
    best = dict(zip(chosen.relabel.tolist(), chosen.labels.tolist(), strict=True))
    shown = {i: SampleState(label=best[i]) if i in best else states.get(i, SampleState()) for i in ids.tolist()}
    tiles = captions(distilled_set, ids, shown, {}, rows["p_suggested"].loc[ids].to_dict())
    contact_sheet(record.id, distilled_set, tiles, key=f"{key} sheet {part}", finding=ANALYSIS, size=TILE_PX)


@fragment
def _judges_section(record: SetRecord, class_names: Sequence[str], findings: Findings) -> None:
    """How often each judge is right, all of them beside each other: overall, or in one class or group."""
    judges = findings.tables["judges"]
    st.subheader("How far to trust each judge")
    # Known by its address: the page itself belongs to the frame, which says what stands in the menu.
    to_compare = st.Page(lambda: None, title="Compare", url_path=COMPARE, icon=":material/compare:")
    if may("decide"):
        st.page_link(to_compare, label="Compare pairs of labels yourself: people are a judge, too")
    if judges["accuracy"].isna().all():
        st.info(
            "Nobody has checked any judge yet: decide on some of these samples and run the critic again.",
            icon=":material/info:",
        )
        return
    row = st.container(horizontal=True, vertical_alignment="bottom")
    key = f"critic judges {record.id}"
    by = row.segmented_control("Checked on", [OVERALL, *PARTS], default=OVERALL, key=key) or OVERALL
    if by != OVERALL:
        name, column = PARTS[by]
        table = findings.tables[name]
        one = row.selectbox(
            capital(by),
            sorted(table[column].unique()) if column == "class_id" else list(dict.fromkeys(table[column])),
            format_func=class_names.__getitem__ if column == "class_id" else str,
            key=f"{key} {by}",
            width=PART_PX,
        )
        judges = table[table[column] == one]
    if judges["accuracy"].notna().any():
        show_figure(judges_figure(judges), key=f"{key} chart {by}", config=BARE)
    silent = int((judges["accuracy"].isna()).sum())
    if silent:
        st.caption(f"{silent:,} not drawn: too few of their answers can be checked by what people decided.")


@fragment
def _sample_section(record: SetRecord, distilled_set: DistilledSet, findings: Findings) -> None:
    """The tournament of one sample: its candidates, and who said what."""
    st.subheader("The tournament of one sample")
    rows = findings.per_sample.set_index("sample_id", drop=False)
    listed = first_asked(findings.per_sample)
    if not listed:
        st.caption("No sample was asked about.")
        return
    typed = st.selectbox(
        "Sample",
        listed,
        format_func=lambda i: sample_words(rows.loc[i], distilled_set.class_names) if i in rows.index else str(i),
        accept_new_options=True,
        key=f"critic sample {record.id}",
        help="Those whose answers go round in a circle first, then the least sure. Any other is found by typing its number.",
    )
    sample_id = _number(typed)
    if sample_id not in rows.index or np.isnan(rows.loc[sample_id, "score"]):
        st.info(f"No judge was asked about sample {plain(typed)}.", icon=":material/info:")
        return
    _tournament(record, distilled_set, findings, sample_id)


def _number(typed: object) -> int:
    text = str(typed).strip()
    return int(text) if text.isdecimal() and len(text) < 19 else -1


def _tournament(record: SetRecord, distilled_set: DistilledSet, findings: Findings, sample_id: int) -> None:
    given = int(distilled_set.labels[sample_id])
    beside = st.container(horizontal=True, gap="medium")
    if distilled_set.images is not None:
        with beside.container(width=IMAGE_PX):
            try:
                picture = large(distilled_set.images, sample_id, "as trained")
                show_picture(picture, f"sample {sample_id}", is_small(distilled_set))
            except StillroomError as error:
                show_error(error)
            st.caption(f"Sample {sample_id}, given label {plain(distilled_set.class_names[given])}")
    candidates = findings.tables["candidates"]
    figure = candidates_figure(candidates[candidates["sample_id"] == sample_id], given)
    with beside.container():
        show_figure(figure, key=f"critic candidates {sample_id}", config=BARE)
    for words in cycle_words(findings.tables["cycles"], sample_id, distilled_set.class_names):
        st.markdown(f":material/cycle: The answers go round in a circle, each preferred to the next: **{plain(words)}**")
    people = services().workspace.answers(record.id, PEOPLE)
    heard = together([answers_about(findings.tables["answers"], sample_id), people.take(people.sample_id == sample_id)])
    said = rounds(heard, distilled_set.class_names)
    if len(said):
        show_table(said.drop(columns="reason"), f"Who said what about sample {sample_id}")
    _reasons(said[said["reason"] != ""])


def _reasons(said: pd.DataFrame) -> None:
    """Whatever a model wrote, as text and nothing else: Markdown would make links of addresses in it."""
    if not len(said):
        return
    with st.expander(f"Reasons given ({len(said):,})", icon=":material/chat:"):
        for row in said.head(MOST_REASONS).itertuples():
            with st.container(gap="xxsmall"):
                st.caption(f"{plain(row.judge)} on “{plain(row.question)}”")
                st.text(one_line(row.reason))

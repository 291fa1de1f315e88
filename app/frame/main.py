"""The frame around every page: navigation, the set at hand, what is running."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from analysis.device import describe, pick
from analysis.registry import analyses
from app.analysis_order import CURATE, DIAGNOSE, STUDENTS, menu_order, part_of
from app.jobs import jobs_panel
from app.pages.analysis import analysis_page
from app.pages.browse import browse_page
from app.pages.correct import correct_page
from app.pages.decide import decide_page
from app.pages.export import export_page
from app.pages.sets import NextPages, sets_page
from app.selection import choose_set
from app.services import services

ICON = Path(__file__).with_name("icon.png")  # a named icon would be fetched from the network
ICONS = {
    "bias_decomposition": ":material/call_split:",
    "class_overlap": ":material/join_inner:",
    "combined_evidence": ":material/percent:",
    "compression": ":material/compress:",
    "crops": ":material/crop:",
    "dd_ranking": ":material/leaderboard:",
    "diversity": ":material/scatter_plot:",
    "hardness": ":material/fitness_center:",
    "head_tail": ":material/balance:",
    "label_ablation": ":material/biotech:",
    "label_budget": ":material/savings:",
    "label_errors": ":material/flag:",
    "map": ":material/map:",
    "new_classes": ":material/new_label:",
    "pareto": ":material/show_chart:",
    "partial_labels": ":material/checklist:",
    "soft_labels": ":material/water_drop:",
    "source_disagreement": ":material/forum:",
    "student_comparison": ":material/school:",
    "suggestions": ":material/lightbulb:",
}
OTHER_ICON = ":material/analytics:"
SETS_PATH = "sets"  # where people look for it; Streamlit itself serves its first page at / only


def main() -> None:
    st.set_page_config(page_title="Stillroom", page_icon=str(ICON), layout="wide")
    browse = st.Page(browse_page, title="Browse", url_path="browse", icon=":material/grid_view:")
    diagnose, planning, students = _analyses(DIAGNOSE), _analyses(CURATE), _analyses(STUDENTS)
    decide = st.Page(decide_page, title="Decide", url_path="decide", icon=":material/keyboard:")
    correct = st.Page(correct_page, title="Correct", url_path="correct", icon=":material/equalizer:")
    export = st.Page(export_page, title="Export", url_path="export", icon=":material/output:")
    following = NextPages(browse, diagnose[0], decide, export)
    sets = st.Page(lambda: sets_page(following), title="Sets", url_path="start", icon=":material/inventory_2:", default=True)
    by_name = st.Page(lambda: st.switch_page(sets), title="Sets", url_path=SETS_PATH, visibility="hidden")
    curate = [decide, correct, *planning, export]
    menu = {"The set": [sets, by_name, browse], DIAGNOSE: diagnose, CURATE: curate, STUDENTS: students}
    page = st.navigation(menu, expanded=True)  # else Decide and Export hide behind "View more"
    with st.sidebar:
        choose_set()
        jobs_panel()
        st.caption(
            f"Computing on {_device_words()}",
            help="The best device of this machine; choose another with `--device` or STILLROOM_DEVICE.",
        )
    page.run()


def _analyses(part: str) -> list[StreamlitPage]:
    """The pages of the analyses that stand in that part of the menu."""
    return [
        st.Page(analysis_page(entry), title=entry.title, url_path=entry.name, icon=ICONS.get(entry.name, OTHER_ICON))
        for entry in menu_order(analyses().values())
        if part_of(entry) == part
    ]


def _device_words() -> str:
    """The worker's device; its threads are its own, and this process has only one."""
    device = pick(services().device)
    return "the CPU" if device.type == "cpu" else describe(device)


main()

"""The frame around every page: navigation, the set at hand, what is running."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from analysis.device import describe, pick
from analysis.registry import analyses
from app.analysis_order import CURATE, DIAGNOSE, STUDENTS, menu_order, part_of
from app.components.menu_lists import menu_lists
from app.frame.door import closed_page, door_page, who_is_here
from app.identity import has_login
from app.jobs import jobs_panel
from app.left_behind import save_what_was_left
from app.pages.analysis import analysis_page
from app.pages.audit import audit_page
from app.pages.browse import browse_page
from app.pages.compare import compare_page
from app.pages.correct import correct_page
from app.pages.decide import decide_page
from app.pages.export import export_page
from app.pages.people import people_page
from app.pages.queues import queues_page
from app.pages.sets import NextPages, sets_page
from app.roles import PAGE_TAKES, may
from app.selection import choose_set
from app.services import services
from app.shared_deciding import NextSteps
from app.shared_queue import hand_back
from app.words import show_error
from data.decisions import CRITIC

ICON = Path(__file__).with_name("icon.png")  # a named icon would be fetched from the network
STYLE = Path(__file__).with_name("frame.css")
ICONS = {
    "agreement": ":material/handshake:",
    "bias_decomposition": ":material/call_split:",
    "class_overlap": ":material/join_inner:",
    "combined_evidence": ":material/percent:",
    "compression": ":material/compress:",
    "critic": ":material/gavel:",
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
    st.html(STYLE)
    if not may("look"):
        st.navigation(_locked_doors(), position="hidden").run()
        return
    browse = st.Page(browse_page, title="Browse", url_path="browse", icon=":material/grid_view:")
    diagnose, planning, students = _analyses(DIAGNOSE), _analyses(CURATE), _analyses(STUDENTS)
    decide = _page(lambda: decide_page(next_steps), "Decide", ":material/keyboard:")
    queues = _page(lambda: queues_page(decide if may("decide") else None), "Queues", ":material/group_work:")
    analyses_here = {page.url_path: page for page in (*diagnose, *planning)}
    critic = analyses_here.get(CRITIC)
    compare = _page(lambda: compare_page(critic), "Compare", ":material/compare:")
    correct = _page(correct_page, "Correct", ":material/equalizer:")
    export = _page(export_page, "Export", ":material/output:")
    audit = _page(audit_page, "Audit", ":material/history:")
    next_steps = NextSteps(analyses_here.get("agreement"), export if may("export") else None)
    following = NextPages(browse, diagnose[0], decide if may("decide") else None, export if may("export") else None)
    sets = st.Page(lambda: sets_page(following), title="Sets", url_path="start", icon=":material/inventory_2:", default=True)
    by_name = st.Page(lambda: st.switch_page(sets), title="Sets", url_path=SETS_PATH, visibility="hidden")
    curate = [decide, queues, compare, correct, *planning, export, audit]
    menu = {"The set": [sets, by_name, browse], DIAGNOSE: diagnose, CURATE: curate, STUDENTS: students}
    if has_login():
        menu["The workspace"] = [_page(people_page, "People", ":material/group:")]
    page = st.navigation(menu, expanded=True)  # else Decide and Export hide behind "View more"
    st.set_page_config(page_title=f"{page.title} · Stillroom")  # tabs, bookmarks and screen readers tell pages by it
    with st.sidebar:
        who_is_here()
        choose_set()
        jobs_panel()
        st.caption(
            f"Computing on {_device_words()}",
            help="The best device of this machine; choose another with `--device` or STILLROOM_DEVICE.",
        )
        menu_lists()
        save_what_was_left()
    if page != decide:
        hand_back()
    if trouble := services().workspace.trouble:
        show_error(trouble)
    page.run()


def _locked_doors() -> list[StreamlitPage]:
    """The door at every address, so that none is called unknown to whoever has to log in first."""
    paths = [*analyses(), *PAGE_TAKES, "browse", SETS_PATH]
    door = st.Page(door_page, title="Stillroom", url_path="door", default=True)
    return [door, *(st.Page(door_page, title="Stillroom", url_path=path, visibility="hidden") for path in paths)]


def _page(show: Callable[[], None], title: str, icon: str) -> StreamlitPage:
    """A page that is a way to do something; for those who may not, it is in no menu and says why."""
    path = title.lower()
    action = PAGE_TAKES[path]
    if may(action):
        return st.Page(show, title=title, url_path=path, icon=icon)
    return st.Page(closed_page(title, action), title=title, url_path=path, icon=icon, visibility="hidden")


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

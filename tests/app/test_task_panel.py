"""What a button asks for: done, or said why not."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def page(refused: bool) -> None:
    import streamlit as st

    from app.task_panel import act
    from data.errors import ImpossibleRequest

    def action() -> None:
        st.session_state["asked"] = st.session_state.get("asked", 0) + 1
        if refused:
            raise ImpossibleRequest("another task is under way for this set; wait until it has ended.")

    if st.session_state.get("asked", 0) < 1:
        act(action)
    st.write("the rest of the page")


def test_act__done_once_and_the_page_is_shown_anew():
    shown = AppTest.from_function(page, kwargs={"refused": False}).run()
    assert shown.session_state["asked"] == 1 and not shown.error and len(shown.markdown) == 1


def test_act__refused_in_one_sentence_and_the_page_goes_on():
    shown = AppTest.from_function(page, kwargs={"refused": True}).run()
    assert "another task is under way" in shown.error[0].value and shown.markdown[0].value == "the rest of the page"

"""The door: who is not logged in sees a button and nothing of the workspace; who is sees their name, and the way out."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.identity import has_login, person
from app.notes import as_sentence
from app.roles import MEANS, Action, NotAllowed, require
from app.words import plain


def door_page() -> None:
    """In place of every page, for whoever may not look."""
    st.title("Stillroom")
    here = person()
    if here is None:
        st.markdown("Log in to see this workspace.")
        st.button("Log in", type="primary", icon=":material/login:", on_click=st.login)
        return
    st.info(
        f"You are logged in as {plain(here.name)}. An owner of this workspace has to let you in.", icon=":material/lock:"
    )
    _way_out()


def closed_page(title: str, action: Action) -> Callable[[], None]:
    """A page in place of one that the person at this browser may not use: it says why."""

    def page() -> None:
        st.title(title)
        try:
            require(action)
        except NotAllowed as refused:
            st.info(plain(as_sentence(str(refused))), icon=":material/lock:")

    page.__name__ = f"closed_{title.lower()}_page"
    return page


def who_is_here() -> None:
    """The sidebar's line about the person who is logged in; nothing where there is no login."""
    here = person() if has_login() else None
    if here is None:
        return
    st.text(here.name, help=f"Your id is #{here.id}")  # Markdown would make a link of an address
    st.caption(f"{here.role}: {MEANS[here.role]}")
    _way_out()


def _way_out() -> None:
    st.button("Log out", icon=":material/logout:", key="log out", on_click=st.logout)

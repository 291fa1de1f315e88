"""People: who has logged in, and the roles that owners give them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.identity import signed_by
from app.login import Login
from app.roles import MEANS, require
from app.services import services
from app.task_panel import act
from data.people import ROLES, Known, Role

ROLE_PX = 160
BY_FILE = "the login file"


def people_page() -> None:
    st.title("People")
    login, people = services().login, services().workspace.people
    if login is None:
        st.info("Without a login there is nobody to give roles to: start with `--auth FILE.toml`.", icon=":material/info:")
        return
    st.caption(f"Everybody who has logged in here. A role counts at once. Newcomers get the role {login.newcomers}.")
    for known in people.all():
        _line(known, login)
    with st.expander("What the roles may do", icon=":material/key:"):
        st.markdown("\n".join(f"- **{role}** {MEANS[role]}" for role in ROLES))
    with st.expander("Who gave which role, and when", icon=":material/history:"):
        st.dataframe(history(people.changes()), hide_index=True, width="stretch", alt="Roles given")


def give_role(person: str, role: Role) -> None:
    """Give someone a role, signed by who is at this browser. Raises NotAllowed, or ImpossibleRequest."""
    require("people")
    services().workspace.people.give(person, role, signed_by())


def history(changes: Sequence[Known]) -> pd.DataFrame:
    """One row for each role that somebody got, the latest first."""
    rows, roles = [], {}
    for entry in changes:
        if roles.get(entry.person) != entry.role:
            by = entry.given_by or "newcomer"
            rows.append({"when": entry.at[:19].replace("T", " "), "who": entry.signs_as, "role": entry.role, "given by": by})
        roles[entry.person] = entry.role
    return pd.DataFrame(rows[::-1], columns=["when", "who", "role", "given by"])


def _line(known: Known, login: Login) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.text(known.signs_as if known.email in known.signs_as else f"{known.signs_as}, now {known.email}")
        if login.names_owner(known.person, known.email):
            st.caption(f"owner, by {BY_FILE}", width=ROLE_PX)
            return
        role = st.selectbox(
            f"Role of {known.signs_as}",
            ROLES,
            index=ROLES.index(known.role),
            key=f"role {known.person} {known.at}",  # a fresh one once another owner has given one
            label_visibility="collapsed",
            width=ROLE_PX,
        )
        if role != known.role:
            act(lambda: give_role(known.person, role))

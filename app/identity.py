"""Who is at this browser: by the provider's word where there is a login, by a typed name where there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.components.event_queue import MOST_AUTHOR_LENGTH
from app.login import Login
from app.services import services
from data.decisions import CRITIC
from data.people import People, Role, person_id

NAMELESS = "local"
"""Signs what is decided without a login by somebody who typed no name."""
_TYPED, _IN_ADDRESS = "annotator", "by"
_SIGNATURE = re.compile(r"#[0-9a-f]{8,}$")
_CLAIMED_NAMES = ("name", "preferred_username", "nickname")


@dataclass(frozen=True)
class Person:
    """Someone who may be let in: ``name`` signs their decisions; ``id`` is "" where there is no login."""

    id: str
    name: str
    role: Role


def has_login() -> bool:
    """Whether this app asks people who they are; else everybody at it is its owner."""
    return services().login is not None


def person() -> Person | None:
    """Who is at this browser session; None where there is a login and nobody has logged in.

    Asked anew each time: a role that an owner changes counts from the next click on. Outside of a session there is nobody.
    """
    login = services().login
    if login is None:
        return Person("", _typed(), "owner")
    return from_claims(login, st.user.to_dict(), services().workspace.people)


def from_claims(login: Login, claims: Mapping[str, Any], people: People) -> Person | None:
    """The person whom the provider's claims name; None where they name nobody.

    The role is the one that an owner gave, or owner for those whom the login file names.
    """
    issuer, subject = claims.get("iss"), claims.get("sub")
    named = all(isinstance(text, str) and text for text in (issuer, subject))
    if claims.get("is_logged_in") is not True or not named:
        return None
    email = _verified_email(claims)
    known = people.meet(person_id(issuer, subject), email or _claimed_name(claims), email, login.newcomers)
    role = "owner" if login.names_owner(known.person, known.email) else known.role
    return Person(known.person, known.signs_as, role)


def signed_by(name: str = "") -> str:
    """What the log is signed with: the person who is logged in, whatever ``name`` says; without a login the typed ``name``.

    Raises nothing where nobody is logged in: who may write is app.roles' question, which is asked first.
    """
    if not has_login():
        return typed_signature(name) if name else _typed()
    here = person()
    return "" if here is None else here.name


def scope_of(set_id: str) -> str:
    """Names the set for what waits in a browser; with a login also the person, so that the next one never sends it."""
    return scopes_of([set_id])[0]


def scopes_of(set_ids: Sequence[str]) -> list[str]:
    """``scope_of`` each of them; who is here is asked once."""
    here = person() if has_login() else None
    return [set_id if here is None else f"{set_id} {here.id}" for set_id in set_ids]


def name_prompt(place: st.delta_generator.DeltaGenerator, width: int) -> str:
    """The field for the name that signs; who logged in is only told. Returns the signature.

    The address keeps what is typed: after a reload the same person goes on.
    """
    if has_login():
        name = signed_by()
        place.text(name, width="content")  # Markdown would make a link of an address
        return name
    known = st.session_state.get(_TYPED) or st.query_params.get(_IN_ADDRESS, "")
    typed = place.text_input("Your name", value=known, placeholder=NAMELESS, max_chars=MOST_AUTHOR_LENGTH, width=width)
    st.session_state[_TYPED] = typed
    if not typed:
        st.query_params.pop(_IN_ADDRESS, None)
    elif st.query_params.get(_IN_ADDRESS) != typed:
        st.query_params[_IN_ADDRESS] = typed
    return _typed()


def _typed() -> str:
    """The typed name; never one that a login or the critic signs with."""
    return typed_signature(st.session_state.get(_TYPED, ""))


def typed_signature(typed: str) -> str:
    """What a typed name signs as: itself, unless it looks like the critic or like somebody who logged in."""
    name = typed.strip() or NAMELESS
    if name == CRITIC:
        return f"{name} (a person)"
    return f"{name} (typed)" if _SIGNATURE.search(name) else name


def _verified_email(claims: Mapping[str, Any]) -> str:
    """ "" unless the provider says that the address is theirs: anybody could claim an owner's."""
    email = claims.get("email")
    word = claims.get("email_verified")
    verified = word is True or word == "true"
    return email.strip() if verified and isinstance(email, str) else ""


def _claimed_name(claims: Mapping[str, Any]) -> str:
    return next((value for name in _CLAIMED_NAMES if isinstance(value := claims.get(name), str) and value.strip()), "")

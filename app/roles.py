"""Who may do what: the one table of it, asked by the pages for what to show and by the server before every write."""

from __future__ import annotations

from typing import Literal, get_args

from app.identity import has_login, person
from data.errors import StillroomError
from data.people import ROLES, Role

Action = Literal[
    "look",
    "decide",
    "undo others",
    "settle conflicts",
    "queues",
    "analyse",
    "adopt",
    "correct",
    "export",
    "import",
    "sets",
    "people",
]
ACTIONS: tuple[Action, ...] = get_args(Action)
LEAST: dict[Action, Role] = {
    "look": "viewer",
    "decide": "annotator",
    "undo others": "reviewer",
    "settle conflicts": "reviewer",
    "queues": "reviewer",
    "analyse": "reviewer",
    "adopt": "reviewer",
    "correct": "reviewer",
    "export": "reviewer",
    "import": "reviewer",
    "sets": "owner",
    "people": "owner",
}
"""The first role that may do it; all roles after it may, too. An analysis may name files and services, so it takes trust."""
PAGE_TAKES: dict[str, Action] = {
    "audit": "look",
    "compare": "decide",
    "correct": "correct",
    "decide": "decide",
    "export": "export",
    "people": "people",
    "queues": "look",
}
"""What one must be allowed to do for a page, by address, that is only there to do it; whoever may look has the others."""
MEANS: dict[Role, str] = {
    "none": "may not look at this workspace",
    "viewer": "may look at everything",
    "annotator": "may also decide and answer, and take back their own",
    "reviewer": "may also take back what others decided, settle conflicts, make queues, run analyses, adopt, correct, "
    "export and import",
    "owner": "may also open and remove sets, and give roles",
}
"""What each role comes to, in a few words."""
_DOING: dict[Action, str] = {
    "look": "looking at this workspace",
    "decide": "deciding and answering",
    "undo others": "taking back what others decided",
    "settle conflicts": "settling conflicts",
    "queues": "making and closing shared queues",
    "analyse": "starting and cancelling analyses",
    "adopt": "adopting the critic's labels",
    "correct": "making label sources",
    "export": "writing files",
    "import": "importing decisions that others signed",
    "sets": "opening, changing and removing sets and label sources",
    "people": "giving roles",
}


class NotAllowed(StillroomError):
    """Who is at the browser may not do that; the sentence says who may."""


def allows(role: Role, action: Action) -> bool:
    """The table: whether ``role`` may do ``action``."""
    return ROLES.index(role) >= ROLES.index(LEAST[action])


def may(action: Action) -> bool:
    """Whether to show the person at this browser what does ``action``. Without a login everybody may do everything."""
    if not has_login():
        return True
    here = person()
    return here is not None and allows(here.role, action)


def require(action: Action) -> None:
    """Stands before every write. Raises NotAllowed unless the person at this browser may do ``action`` now."""
    if may(action):
        return
    here, least = person(), LEAST[action]
    if here is None:
        raise NotAllowed("nobody is logged in here; log in, and do it again.")
    others = "" if least == "owner" else " or more"
    raise NotAllowed(
        f"{_DOING[action]} takes the role {least}{others}, and {here.name} has the role {here.role}; ask an owner for it."
    )

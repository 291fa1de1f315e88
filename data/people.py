"""Who may do what in a workspace: the people who logged in, and the role that each was given.

A table of the workspace rather than a file: it is backed up, moved and shared with the decisions that these people sign, and
being append-only it also says who gave whom which role, and when.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal, get_args

from data.decisions import now
from data.errors import ImpossibleRequest
from data.plain_text import one_line
from data.workspace_tables import Tables, names

Role = Literal["none", "viewer", "annotator", "reviewer", "owner"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do all that those before it may; ``none`` may not even look."""
MOST_LETTERS = 80
ID_DIGITS = 16
SIGNED_DIGITS = 8


@dataclass(frozen=True)
class Known:
    """Someone who logged in at least once. ``person`` follows from the provider and its subject, and never changes.

    ``signs_as`` is what their decisions are signed with, fixed at their first login; ``email`` is "" where the provider has
    not verified one. ``given_by`` signs the role, "" where nobody gave it; ``at`` is when, ISO 8601.
    """

    person: str
    signs_as: str
    email: str
    role: Role
    given_by: str
    at: str


def person_id(issuer: str, subject: str) -> str:
    """16 hexadecimal digits: the same person of the same provider, whatever becomes of name and address."""
    return hashlib.sha256(f"{issuer}\0{subject}".encode("utf-8", "surrogatepass")).hexdigest()[:ID_DIGITS]


def signature(person: str, readable: str, digits: int = SIGNED_DIGITS) -> str:
    """``readable``, which others may share, with digits of the id, which they cannot: "ada@example.org #1f0c9a3e"."""
    letters = (letter for letter in one_line(readable) if letter.isprintable() and letter != "#")
    name = "".join(letters).strip()[:MOST_LETTERS].strip()
    return f"{name or 'person'} #{person[:digits]}"


class People:
    """Reads and appends; the latest entry of a person counts. Asked anew each time, as another process may have written."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def get(self, person: str) -> Known | None:
        """Someone who logged in; None for a newcomer."""
        return _latest(self._tables.rows(f"select {_COLUMNS} from people where person = ? order by id", [person]))

    def all(self) -> list[Known]:
        """Everybody, by what they sign as."""
        latest = {known.person: known for known in self.changes()}
        return sorted(latest.values(), key=lambda known: known.signs_as.casefold())

    def changes(self) -> list[Known]:
        """Every entry, oldest first: who was given which role by whom."""
        return [Known(*row) for row in self._tables.rows(f"select {_COLUMNS} from people order by id")]

    def meet(self, person: str, readable: str, email: str, newcomer: Role) -> Known:
        """Someone who logged in; entered as a ``newcomer`` the first time, with a new ``email`` when that changes."""
        known = self.get(person)
        if known is not None and known.email == email:
            return known

        def entered(known: Known | None) -> Known:
            if known is not None:
                return replace(known, email=email)
            short, taken = signature(person, readable), {other.signs_as for other in self.all()}
            signs_as = short if short not in taken else signature(person, readable, ID_DIGITS)
            return Known(person, signs_as, email, newcomer, "", now())

        return self._append(person, entered)

    def give(self, person: str, role: Role, by: str) -> Known:
        """Give a role, signed ``by``. Raises ImpossibleRequest where nobody of that id has logged in, or there is no such
        role."""
        if role not in ROLES:
            raise ImpossibleRequest(f"there is no role '{role}'; choose one of {', '.join(ROLES)}.")

        def given(known: Known | None) -> Known:
            if known is None:
                raise ImpossibleRequest("nobody of that id has logged in here; a role can be given after the first login.")
            return replace(known, role=role, given_by=by, at=now())

        return self._append(person, given)

    def _append(self, person: str, change: Callable[[Known | None], Known]) -> Known:
        """Write what ``change`` makes of the latest entry; what is the same already is not written again."""
        with self._tables.writing() as execute:
            known = _latest(execute(f"select {_COLUMNS} from people where person = ? order by id", [person]))
            changed = change(known)
            if changed != known:
                last = execute("select coalesce(max(id), 0) from people")[0][0]
                execute.insert("people", {"id": [last + 1], **{name: [value] for name, value in asdict(changed).items()}})
            return changed


def _latest(rows: Sequence[tuple]) -> Known | None:
    return Known(*rows[-1]) if rows else None


_COLUMNS = names(field.name for field in fields(Known))

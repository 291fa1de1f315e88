"""Who may do what, as the workspace remembers it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from data.errors import ImpossibleRequest
from data.people import ROLES, People, person_id
from data.workspace import Workspace

ANN, BOB = person_id("https://a.example", "1"), person_id("https://a.example", "2")


@pytest.fixture
def workspace(tmp_path, store) -> Iterator[Workspace]:
    with Workspace.open(tmp_path, decisions=store) as opened:
        yield opened


@pytest.fixture
def people(workspace) -> People:
    """Of a store that other tests of this module have written to."""
    return workspace.people


def newcomer(people: People, who: str) -> str:
    return people.meet(person_id("https://new.example", f"{who} {len(people.changes())}"), who, "", "viewer").person


def test_person_id__parts_do_not_run_into_each_other():
    ids = {person_id(*parts) for parts in (("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"))}
    assert len(ids) == 4 and all(len(person) == 16 for person in ids)


def test_meet__a_newcomer_once(people):
    someone = newcomer(people, "Ann")
    before = len(people.changes())
    known = people.meet(someone, "Anne", "", "owner")
    assert (known.role, known.signs_as, known.given_by) == ("viewer", f"Ann #{someone[:8]}", "")
    assert len(people.changes()) == before and people.get(someone) == known and people.get("nobody") is None


def test_meet__many_tabs_at_once_are_one_newcomer(people):
    before = len(people.changes())
    with ThreadPoolExecutor(8) as tabs:
        met = list(tabs.map(lambda _: people.meet(BOB, "Bob", "bob@example.org", "viewer"), range(8)))
    assert len({known.signs_as for known in met}) == 1 and len(people.changes()) == before + 1


def test_give__the_latest_counts_and_every_one_is_kept(people):
    someone = newcomer(people, "Ann")
    for role in ROLES:
        assert people.give(someone, role, "olga #1").role == role == people.get(someone).role
    entries = [entry for entry in people.changes() if entry.person == someone]
    assert [entry.role for entry in entries] == ["viewer", *ROLES] and [entry.given_by for entry in entries][1:] == [
        "olga #1"
    ] * 5
    assert [known.role for known in people.all() if known.person == someone] == [ROLES[-1]]


def test_give__nobody_and_no_role(people):
    with pytest.raises(ImpossibleRequest, match="nobody of that id"):
        people.give("0" * 16, "owner", "")
    with pytest.raises(ImpossibleRequest, match="no role 'king'"):
        people.give(newcomer(people, "Ann"), "king", "")


def test_meet__a_new_address_leaves_name_and_role(people):
    someone = newcomer(people, "Ann")
    people.give(someone, "reviewer", "olga #1")
    known = people.meet(someone, "ann@new.example", "ann@new.example", "viewer")
    assert (known.email, known.role, known.signs_as) == ("ann@new.example", "reviewer", f"Ann #{someone[:8]}")


def test_people__a_role_counts_in_every_process_that_shares_the_log(tmp_path, postgres):
    with Workspace.open(tmp_path / "first") as workspace:
        workspace.people.give(workspace.people.meet(ANN, "Ann", "", "viewer").person, "reviewer", "olga #1")
    database = postgres.new_database()
    with (
        Workspace.open(tmp_path / "first", decisions=database) as first,
        Workspace.open(tmp_path / "second", decisions=database) as second,
    ):
        assert first.people.get(ANN).role == second.people.get(ANN).role == "reviewer"
        second.people.give(ANN, "none", "olga #1")
        assert first.people.get(ANN).role == "none"


def test_people__are_there_after_a_restart(tmp_path, store):
    with Workspace.open(tmp_path, decisions=store) as workspace:
        someone = newcomer(workspace.people, "Ann")
        workspace.people.give(someone, "annotator", "olga #1")
    with Workspace.open(tmp_path, decisions=store) as workspace:
        assert workspace.people.get(someone).role == "annotator"

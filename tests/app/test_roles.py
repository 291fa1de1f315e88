"""Who may do what: the table, and that every write asks it, whatever a browser sends."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import app
from app import (
    compare_queue,
    compress_panel,
    correct_sources,
    critic_adoption,
    critic_panel,
    queue,
    selection_actions,
    set_actions,
    shared_queue,
)
from app.components.event_queue import Event, PairEvent
from app.jobs import stop
from app.pages import analysis, compare, correct, export, people
from app.roles import ACTIONS, LEAST, Action, NotAllowed, allows, may, require
from app.services import Services
from data.decisions import CRITIC, Decision
from data.people import ROLES, Role, person_id
from data.queues import QueuePlan
from tests.app.sessions import ISSUER, LOGIN, claims, session
from tests.app.workspaces import opened

TABLE = """
                  none  viewer  annotator  reviewer  owner
look              no    yes     yes        yes       yes
decide            no    no      yes        yes       yes
undo others       no    no      no         yes       yes
settle conflicts  no    no      no         yes       yes
queues            no    no      no         yes       yes
analyse           no    no      no         yes       yes
adopt             no    no      no         yes       yes
correct           no    no      no         yes       yes
export            no    no      no         yes       yes
import            no    no      no         yes       yes
sets              no    no      no         no        yes
people            no    no      no         no        yes
"""
WRITES = {"decide", "decide_many", "undo", "undo_sample", "add_answers", "add_set", "set_options", "remove_set"} | {
    *("remove_derived", "give", "take_back", "make", "claim", "release", "decide_new", "add_new_answers"),
}
"""Methods that change a workspace, whatever they are called on; uploads, tasks and analyses are found by their starters."""
TRUSTED = {"services.py", "refit.py", "__main__.py", "mixes.py", "correct_preview.py"}
"""The house itself: what others ask before, what runs by itself after decisions, the command line, and what only counts."""


@pytest.fixture
def there(tmp_path) -> Iterator[tuple[Services, str]]:
    with opened(tmp_path, login=LOGIN) as place:
        yield place


def give(running: Services, subject: str, role: Role) -> str:
    """A role for somebody who logged in; returns what they sign as."""
    known = running.workspace.people.meet(person_id(ISSUER, subject), subject, f"{subject}@example.org", "viewer")
    return running.workspace.people.give(known.person, role, "test").signs_as


def test_allows__the_table():
    header, *rows = (line.split() for line in TABLE.strip().splitlines())
    said = {(" ".join(row[:-5]), role): word == "yes" for row in rows for role, word in zip(header, row[-5:], strict=True)}
    assert header == list(ROLES) and len(rows) == len(ACTIONS) == len(LEAST)
    assert said == {(action, role): allows(role, action) for action in ACTIONS for role in ROLES}


def test_require__without_a_login_everybody_may_do_everything(tmp_path):
    with opened(tmp_path):
        for action in ACTIONS:
            require(action)


def test_require__outside_of_a_session_nobody_may_do_anything(there):
    for action in ACTIONS:
        with pytest.raises(NotAllowed, match="nobody is logged in"):
            require(action)


def test_require__a_role_counts_from_the_moment_it_is_given_or_taken(there):
    running, _ = there
    with session(claims("ann")):
        assert may("look") and not may("decide")
        give(running, "ann", "annotator")
        require("decide")
        give(running, "ann", "none")
        with pytest.raises(NotAllowed, match="role none"):
            require("look")


def event(action: str, sample_id: int = 3, seq: int = 0, **more) -> Event:
    return Event("a token", seq, action, sample_id, **more)


def writers(running: Services, set_id: str) -> dict[str, tuple[Action, Callable[[], object]]]:
    """Everything in the app that writes, called past its page, as a forged session would."""
    record, loaded = running.workspace.set_record(set_id), running.workspace.load(set_id)
    people_id = person_id(ISSUER, "victor")
    return {
        "a decision": ("decide", lambda: queue.commit_events(set_id, "olga@example.org", None, [event("keep")])),
        "an answer": (
            "decide",
            lambda: compare_queue.commit_answers(set_id, [PairEvent("t", 0, 1, 0, 1, "left", author="olga")]),
        ),
        "a selection": ("decide", lambda: selection_actions.decide_all(set_id, [Decision(1, "prune")])),
        "a selection's undo": ("decide", lambda: selection_actions.undo_latest(set_id)),
        "a plan's prunes": ("decide", lambda: compress_panel._prune(record, np.array([1]))),
        "a queue": ("queues", lambda: shared_queue.make_queue(set_id, QueuePlan("all", np.array([1])))),
        "closing a queue": ("queues", lambda: shared_queue.set_open(1, False)),
        "a claim": ("decide", lambda: shared_queue.hand_out(1, "olga@example.org")),
        "adopting": ("adopt", lambda: critic_adoption.adopt(set_id, None, None, True)),
        "undoing what was adopted": ("adopt", lambda: critic_panel._undo(record)),
        "an analysis": ("analyse", lambda: analysis.start_analysis(set_id, "label_errors", {})),
        "the critic from Compare": ("analyse", lambda: compare._start_critic(set_id)),
        "a correction": ("correct", lambda: correct._start(record, loaded, None, "name", "proposed")),
        "removing a correction": ("sets", lambda: correct_sources._remove(set_id, Path("1"))),
        "an export": ("export", lambda: export.start_export(set_id, None, Path("out"), None, "rows")),
        "opening a set": ("sets", lambda: set_actions.open_here(Path("nowhere"), record.options)),
        "an upload": ("sets", lambda: set_actions.keep_here([])),
        "forgetting a set": ("sets", lambda: set_actions.forget(set_id)),
        "a set's settings": ("sets", lambda: set_actions.change_options(set_id, record.options)),
        "a role": ("people", lambda: people.give_role(people_id, "owner")),
    }


@pytest.mark.parametrize("role", ROLES[:-1])
def test_writers__the_server_refuses_whoever_may_not(there, role):
    running, set_id = there
    give(running, "victor", role)
    before = state(running, set_id)
    refused = set()
    with session(claims("victor"), annotator="olga@example.org"):
        for name, (action, write) in writers(running, set_id).items():
            if not allows(role, action):
                refused.add(name)
                with pytest.raises(NotAllowed, match=f"has the role {role}"):
                    write()
    assert refused and state(running, set_id) == before


def test_writers__the_server_refuses_whoever_is_not_logged_in(there):
    running, set_id = there
    before = state(running, set_id)
    for said in ({}, claims("olga", is_logged_in=False), claims("olga", sub=""), claims("olga", iss=None)):
        with session(said, annotator="olga@example.org"):
            for _, write in writers(running, set_id).values():
                with pytest.raises(NotAllowed, match="nobody is logged in"):
                    write()
    assert state(running, set_id) == before


def state(running: Services, set_id: str) -> list:
    workspace = running.workspace
    logs = [workspace.decisions(set_id), len(workspace.answers(set_id)), workspace.people.changes()]
    return [*logs, workspace.sets(), workspace.runs(set_id), running.tasks.under_way()]


def test_commit_events__an_annotator_decides_and_the_log_is_signed_by_the_provider_s_word(there):
    running, set_id = there
    signs_as = give(running, "ann", "annotator")
    with session(claims("ann"), annotator="olga"):
        queue.commit_events(set_id, "olga", "label_errors", [event("keep"), event("relabel", 4, 1, label=2)])
    assert [d.annotator for d in running.workspace.decisions(set_id)] == [signs_as] * 2


def test_commit_events__an_annotator_takes_back_only_their_own(there):
    running, set_id = there
    give(running, "ann", "annotator")
    give(running, "bob", "annotator")
    with session(claims("ann")):
        queue.commit_events(set_id, "", None, [event("keep")])
    with session(claims("bob")):
        queue.commit_events(set_id, "", None, [event("undo")])
    assert [d.action for d in running.workspace.decisions(set_id)] == ["keep"], "it is Ann's"
    with session(claims("bob")):
        queue.commit_events(set_id, "", None, [event("prune", seq=1)])
    with session(claims("ann")):
        queue.commit_events(set_id, "", None, [event("undo", seq=1)])
        queue.commit_events(set_id, "", None, [event("undo", seq=2)])
    *_, undo = running.workspace.decisions(set_id)
    assert (undo.action, undo.undoes) == ("undo", 1), "her own, though Bob's came later; there is no second one"
    assert [d.action for d in running.workspace.decisions(set_id)] == ["keep", "prune", "undo"]


def test_commit_events__a_reviewer_takes_back_what_others_decided(there):
    running, set_id = there
    give(running, "ann", "annotator")
    signs_as = give(running, "rita", "reviewer")
    with session(claims("ann")):
        queue.commit_events(set_id, "", None, [event("keep")])
    with session(claims("rita")):
        queue.commit_events(set_id, "", None, [event("undo")])
    *_, undo = running.workspace.decisions(set_id)
    assert (undo.action, undo.undoes, undo.annotator) == ("undo", 1, signs_as)


def test_commit_answers__the_name_that_a_browser_sends_is_ignored(there):
    running, set_id = there
    signs_as = give(running, "ann", "annotator")
    with session(claims("ann")):
        compare_queue.commit_answers(set_id, [PairEvent("t", 0, 1, 0, 1, "left", author="olga@example.org")])
    assert list(running.workspace.answers(set_id).author) == [signs_as]


def test_commit_answers__without_a_login_no_browser_signs_as_the_critic(tmp_path):
    with opened(tmp_path) as (running, set_id):
        compare_queue.commit_answers(set_id, [PairEvent("t", 0, 1, 0, 1, "left", author=CRITIC)])
        queue.commit_events(set_id, CRITIC, None, [event("keep")])
        assert list(running.workspace.answers(set_id).author) == ["critic (a person)"]
        assert [d.annotator for d in running.workspace.decisions(set_id)] == ["critic (a person)"]


def test_stop__nobody_cancels_who_may_not(there):
    running, _ = there
    cancelled: list[str] = []
    for role in ROLES:
        give(running, "victor", role)
        with session(claims("victor")):
            stop(cancelled.append, role)
    assert cancelled == [role for role in ROLES if allows(role, "analyse")]


def test_give_role__is_signed_by_who_gives_it(there):
    running, _ = there
    give(running, "ann", "viewer")
    with session(claims("olga")):
        people.give_role(person_id(ISSUER, "ann"), "reviewer")
        known = running.workspace.people.get(person_id(ISSUER, "ann"))
        assert (known.role, known.given_by[:17]) == ("reviewer", "olga@example.org ")


def test_require__stands_at_every_write_of_the_app():
    root = Path(app.__file__).parent
    found = {file: list(_writes(ast.parse(file.read_text(encoding="utf-8")))) for file in root.rglob("*.py")}
    unguarded = {
        f"{file.relative_to(root)}:{line} {name}"
        for file, writes in found.items()
        for line, name, guarded in writes
        if not guarded and file.name not in TRUSTED
    }
    assert not unguarded, "put require(...) from app.roles before these"
    assert sum(map(len, found.values())) >= 15, "the search has to find something"


def _writes(tree: ast.AST, guarded: bool = False) -> Iterator[tuple[int, str, bool]]:
    """(line, name, whether a function around it calls ``require``) of each write."""
    for node in ast.iter_child_nodes(tree):
        inside = guarded or (isinstance(node, ast.FunctionDef) and any(map(_is_require, ast.walk(node))))
        if isinstance(node, ast.Call) and (name := _written(node)):
            yield node.lineno, name, inside
        yield from _writes(node, inside)


def _is_require(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "require"


def _written(call: ast.Call) -> str:
    if not isinstance(call.func, ast.Attribute):
        name = getattr(call.func, "id", "")
        return name if name == "keep_upload" else ""
    if call.func.attr == "start":
        starter = ast.unparse(call.func.value)
        return f"{starter}.start" if starter.endswith(("services()", "tasks")) else ""
    return call.func.attr if call.func.attr in WRITES else ""

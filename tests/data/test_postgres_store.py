"""Decisions in PostgreSQL: what is not the same as with a log of one's own. That it behaves the same is tested there."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.decisions import Decision, states
from data.errors import ImpossibleRequest, UnreadableInput
from data.pair_answers import PEOPLE
from data.postgres import shared_log
from data.postgres.server import Server, StoreAway
from data.workspace import SampleQuery, Workspace
from tests.data.postgres import Postgres, serving
from tests.data.test_decision_log import _entry
from tests.data.test_pair_answers import made
from tests.data.workspaces import add_run, write_set

SECRET = "s3cr#t-w0rd"
SECRET_IN_URL = "s3cr%23t-w0rd"
WORDS = ("kept", "relabelled", "softened", "pruned", "skipped", "undecided")


@pytest.fixture(scope="module")
def two(postgres, tmp_path_factory):
    """Two workspaces that share a log, as two processes would, and a folder for sets."""
    url, folder = postgres.new_database(), tmp_path_factory.mktemp("two")
    with Workspace.open(folder / "a", decisions=url) as a, Workspace.open(folder / "b", decisions=url) as b:
        yield a, b, folder


@pytest.fixture
def url(postgres):
    return postgres.new_database()


_numbers = itertools.count()


def both_open(two) -> str:
    """The id of a new set that both workspaces have."""
    a, b, folder = two
    path = write_set(folder / f"{next(_numbers)}.npz", 20)
    set_id = a.add_set(path)
    assert b.add_set(path) == set_id
    return set_id


def test_another_process_sees_a_decision_at_once(two):
    a, b, _ = two
    set_id = both_open(two)
    first = a.decide(set_id, Decision(3, "relabel", label=2, annotator="ada"))
    assert b.decisions(set_id) == [first] and b.states(set_id)[3].label == 2
    assert b.settled(set_id).label.tolist() == [2]
    second = b.decide(set_id, Decision(4, "prune", annotator="bob"))
    assert second.id > first.id
    assert a.select(set_id, SampleQuery(decision="decided")).ids.tolist() == [3, 4]
    assert b.undo(set_id, "ada").undoes == first.id
    assert a.decision_counts(set_id)["relabelled"] == 0
    assert a.undo(set_id, "ada") is None


@settings(max_examples=15)
@given(steps=st.lists(st.tuples(_entry, st.sampled_from("xy"), st.booleans(), st.booleans()), max_size=12))
def test_two_processes_in_turns_agree_with_the_log(two, steps):
    set_id = both_open(two)
    for entry, who, second, undo in steps:
        workspace = two[second]
        if undo:
            workspace.undo(set_id, who)
        elif entry.action != "undo" or entry.sample_id in states(two[not second].decisions(set_id)):
            workspace.decide(set_id, entry.stamped(who))
    log = two[0].decisions(set_id)
    for workspace in two[:2]:
        assert workspace.decisions(set_id) == log
        assert workspace.states(set_id) == states(log)
        pages = {word: workspace.select(set_id, SampleQuery(decision=word)).ids.tolist() for word in WORDS}
        assert {word: len(page) for word, page in pages.items()} == workspace.decision_counts(set_id)
        assert sorted(i for page in pages.values() for i in page) == list(range(20))


def test_ids_ascend_in_the_order_of_commits(postgres, two):
    """Whoever reads on from the last id that it saw misses nothing, whatever is being written."""
    a, b, _ = two
    set_id = both_open(two)
    start = max((entry.id for entry in a.decisions(set_id)), default=0)
    done, seen = threading.Event(), []

    def follow() -> None:
        with psycopg.connect(_url(a), autocommit=True) as connection:
            while True:
                last = done.is_set()
                known = seen[-1] if seen else start
                sql = "select id from stillroom.decisions where set_id = %s and id > %s order by id"
                seen.extend(row[0] for row in connection.execute(sql, [set_id, known]))
                if last:
                    return

    with ThreadPoolExecutor(1) as follower, ThreadPoolExecutor(8) as writers:
        following = follower.submit(follow)
        list(writers.map(lambda i: (a, b)[i % 2].decide_many(set_id, [Decision(i % 20, "keep")] * (1 + i % 3)), range(200)))
        done.set()
        following.result()
    assert seen == [entry.id for entry in a.decisions(set_id)]
    assert len(seen) == sum(1 + i % 3 for i in range(200))


def test_what_is_stored_comes_back_exactly(two):
    a, b, _ = two
    set_id = both_open(two)
    odd = "tab\t new\nline back\\slash \\N 'quoted' \"twice\" % ? {a,b} \U0001f600 \x01"
    tiny = (1 / 3, 2 / 3 - 5e-324, 1e-17, 5e-324, 0.0)
    stored = a.decide_many(
        set_id, [Decision(i % 20, "soften", soft_label=tiny, annotator=odd, finding=odd) for i in range(30)]
    )
    assert b.decisions(set_id) == stored and stored[0].soft_label == tiny and stored[0].annotator == odd
    assert b.undo(set_id, odd).undoes == stored[-1].id


def test_what_postgresql_cannot_hold_is_refused_in_one_sentence(two):
    set_id = both_open(two)
    with pytest.raises(ImpossibleRequest, match="cannot keep that text"):
        two[0].decide(set_id, Decision(0, "keep", annotator="a\0b"))
    two[0].decide(set_id, Decision(0, "keep", annotator="ab"))


def test_a_role_given_in_one_process_holds_in_the_other(two):
    a, b, _ = two
    known = a.people.meet("0123456789abcdef", "ada@example.org", "", "viewer")
    assert b.people.meet("0123456789abcdef", "ada@example.org", "", "none") == known
    b.people.give(known.person, "owner", "bob")
    assert a.people.get(known.person).role == "owner"
    a.people.give(known.person, "none", "bob")
    assert b.people.get(known.person).role == "none"


def test_runs_and_their_evidence_stay_in_each_workspace(two):
    a, b, _ = two
    set_id = both_open(two)
    add_run(a, set_id, "scores", {"score": np.linspace(1, 0, 20)})
    b.decide_many(set_id, [Decision(i, "keep") for i in (18, 19)])
    page = a.select(set_id, SampleQuery(decision="undecided", sort_by=("scores", "score"), limit=2))
    assert (page.ids.tolist(), page.total) == ([17, 16], 18)
    assert b.evidence(set_id) == {}


def test_a_project_that_comes_to_be_shared_keeps_its_decisions(url, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_log, "AT_ONCE", 2)
    path = write_set(tmp_path / "set.npz")
    with Workspace.open(tmp_path / "a") as alone:
        set_id = alone.add_set(path)
        own = alone.decide_many(set_id, [Decision(i, "prune", annotator="ada") for i in range(5)])
        own.append(alone.undo_sample(set_id, 1, "ada"))
        alone.add_answers(set_id, made([(0, [0, 1], PEOPLE, "left", None, "because")]))
        answers = alone.answers(set_id)
    for _ in range(2):
        with Workspace.open(tmp_path / "a", decisions=url) as together:
            assert together.decisions(set_id) == own and together.states(set_id) == states(own)
            assert together.answers(set_id).digest == answers.digest
    with Workspace.open(tmp_path / "b", decisions=url) as other:
        other.add_set(path)
        own.append(other.undo(set_id, "ada"))
        assert own[-1].id == own[-2].id + 4, "a batch is still one"
    with Workspace.open(tmp_path / "a") as alone:
        assert len(alone.decisions(set_id)) == 6


def test_a_second_project_keeps_its_log_to_itself(url, tmp_path):
    path = write_set(tmp_path / "set.npz")
    with Workspace.open(tmp_path / "a", decisions=url) as first:
        shared = first.decide(first.add_set(path), Decision(2, "keep"))
    with Workspace.open(tmp_path / "b") as alone:
        set_id = alone.add_set(path)
        own = alone.decide(set_id, Decision(1, "prune"))
    with Workspace.open(tmp_path / "b", decisions=url) as together:
        assert together.decisions(set_id) == [shared]
    with Workspace.open(tmp_path / "b") as alone:
        assert alone.decisions(set_id) == [own]


def test_open__a_long_log(postgres, url, tmp_path):
    n = 2 * shared_log.AT_ONCE + 5
    path = write_set(tmp_path / "set.npz", n)
    with Workspace.open(tmp_path / "a", decisions=url) as workspace:
        set_id = workspace.add_set(path)
    postgres.execute(
        "insert into stillroom.decisions (id, set_id, sample_id, action, annotator, at) "
        f"select i, '{set_id}', i - 1, case when i % 5 = 0 then 'prune' else 'keep' end, 'ada', '' "
        f"from generate_series(1, {n}) as i",
        _name(url),
    )
    with Workspace.open(tmp_path / "a", decisions=url) as workspace:
        counts = workspace.decision_counts(set_id)
        assert (counts["pruned"], counts["kept"], counts["undecided"]) == (n // 5, n - n // 5, 0)
        assert workspace.decide(set_id, Decision(0, "skip")).id == n + 1


# Starting


def test_open__many_at_once_make_one_schema(postgres, url):
    with ThreadPoolExecutor(8) as pool:
        servers = list(pool.map(lambda _: Server(url), range(8)))
    for server in servers:
        server.close()
    assert postgres.execute("select schema_version from stillroom.about", _name(url)) == [(1,)]


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("create schema stillroom; create table stillroom.bottles (id bigint)", "is not Stillroom's"),
        ("create schema stillroom; create table stillroom.about (text varchar)", "is not Stillroom's"),
        ("create schema stillroom; create table stillroom.about as select 1 as schema_version", "is not Stillroom's"),
    ],
)
def test_open__a_schema_that_is_somebody_elses(postgres, url, tmp_path, sql, sentence):
    postgres.execute(sql, _name(url))
    with pytest.raises(UnreadableInput, match=sentence) as raised:
        Workspace.open(tmp_path, decisions=url)
    assert "\n" not in str(raised.value)
    Workspace.open(tmp_path).close()


def test_open__made_by_another_version(postgres, url):
    Server(url).close()
    postgres.execute("update stillroom.about set schema_version = 99", _name(url))
    with pytest.raises(UnreadableInput, match="tables of version 99, this one knows 1"):
        Server(url)


def test_open__a_database_that_is_not_utf8(postgres):
    url = postgres.new_database("encoding 'LATIN1' locale 'C' template template0")
    with pytest.raises(UnreadableInput, match="holds text as LATIN1"):
        Server(url)


def test_open__a_user_who_may_not(postgres, url):
    postgres.execute("create role guest login")
    guest = url.replace("postgres@", "guest@")
    with pytest.raises(UnreadableInput, match="grant it CREATE"):
        Server(guest)
    Server(url).close()
    with pytest.raises(UnreadableInput, match="not this user's to read"):
        Server(guest)


@pytest.mark.parametrize(
    "given", [f"mysql://ada:{SECRET}@host/db", f"ada {SECRET}", f"postgresql://ada:{SECRET}@[::1/db", ""]
)
def test_open__what_is_no_url_is_not_repeated(given):
    with pytest.raises(ImpossibleRequest, match="postgresql://USER@HOST/DATABASE") as raised:
        Server(given)
    assert SECRET not in str(raised.value) and raised.value.__cause__ is None


def test_open__nobody_there(tmp_path):
    with pytest.raises(StoreAway, match=r"nowhere\.invalid:5/db does not answer") as raised:
        Workspace.open(tmp_path, decisions=f"postgresql://ada:{SECRET_IN_URL}@nowhere.invalid:5/db")
    assert SECRET not in str(raised.value) and "\n" not in str(raised.value)
    Workspace.open(tmp_path).close()


# A password


def test_password__is_neither_said_nor_written(postgres, tmp_path):
    postgres.execute(f"create role ada login superuser password '{SECRET}'")
    rules = postgres.folder / "data" / "pg_hba.conf"
    before = rules.read_text()
    rules.write_text("local all ada scram-sha-256\n" + before)
    postgres.execute("select pg_reload_conf()")
    url = postgres.new_database().replace("postgres@", f"ada:{SECRET_IN_URL}@")
    with Workspace.open(tmp_path / "w", decisions=url) as workspace:
        set_id = workspace.add_set(write_set(tmp_path / "set.npz"))
        workspace.decide(set_id, Decision(0, "keep"))
    with pytest.raises(StoreAway, match="password authentication failed") as raised:
        Workspace.open(tmp_path / "w", decisions=url.replace(SECRET_IN_URL, SECRET_IN_URL + "x"))
    rules.write_text(before)
    postgres.execute("select pg_reload_conf()")
    written = [file for file in (tmp_path / "w").rglob("*") if file.is_file()]
    assert written and not any(
        secret in file.read_bytes() for file in written for secret in (b"s3cr", SECRET_IN_URL.encode())
    )
    assert "s3cr" not in str(raised.value) and "s3cr" not in repr(vars(workspace))


# Promises


def test_writing__says_itself_what_a_servers_defaults_might_not(postgres, url):
    for setting in ("synchronous_commit = off", "default_transaction_isolation = 'serializable'"):
        postgres.execute(f"alter database {_name(url)} set {setting}")
    server = Server(url)
    with server.writing() as execute:
        assert execute("show synchronous_commit") == [("on",)]
        assert execute("show transaction_isolation") == [("read committed",)]
    server.close()


def test_writing__one_at_a_time_and_nothing_where_it_raises(url):
    first, second = Server(url), Server(url)
    order = []
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with pytest.raises(KeyError), first.writing() as execute:
            execute.insert("decisions", {"id": [1], "set_id": ["s"]})
            inside.set()
            go_on.wait(10)
            order.append("first")
            raise KeyError

    def quick() -> None:
        inside.wait(10)
        with second.writing() as execute:
            order.append("second")
            assert execute("select count(*) from decisions") == [(0,)]

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(slow), pool.submit(quick)]
        inside.wait(10)
        assert not threading.Event().wait(0.2) and order == []
        go_on.set()
        for running in both:
            running.result()
    assert order == ["first", "second"]
    for server in (first, second):
        server.close()


@pytest.fixture(scope="module")
def to_stop():
    """A server that nobody else's tests are on."""
    with serving() as server:
        yield server


@pytest.fixture
def own(to_stop, tmp_path):
    """That server, and a workspace on a new database of it."""
    with Workspace.open(tmp_path / "w", decisions=to_stop.new_database()) as workspace:
        yield to_stop, workspace, workspace.add_set(write_set(tmp_path / "set.npz"))


def test_away__one_sentence_then_it_goes_on_by_itself(own):
    server, workspace, set_id = own
    kept = workspace.decide(set_id, Decision(0, "keep", annotator="ada"))
    for how in ("fast", "immediate"):
        server.stop(how)
        for _ in range(2):
            with pytest.raises(StoreAway, match="does not answer") as raised:
                workspace.decide(set_id, Decision(1, "prune", annotator="ada"))
            assert "\n" not in str(raised.value)
        assert workspace.decisions(set_id)[0] == kept, "what was known still shows"
        assert workspace.trouble.startswith("What you see is as of ")
        server.start()
        assert not workspace.trouble
        later = workspace.decide(set_id, Decision(1, "prune", annotator="ada"))
        assert workspace.decisions(set_id)[-1] == later
    assert [entry.action for entry in workspace.decisions(set_id)] == ["keep", "prune", "prune"]


@contextmanager
def shut_out(server: Postgres, database: str):
    """The server lives, and lets nobody into the database."""
    server.execute(f"alter database {database} allow_connections false")
    server.execute(f"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'")
    yield
    server.execute(f"alter database {database} allow_connections true")


@contextmanager
def stopped(server: Postgres, database: str):
    server.stop()
    yield
    server.start()


@pytest.mark.parametrize("away", [stopped, shut_out])
def test_away__what_this_process_committed_last_shows_once(own, tmp_path, away):
    """A card offers again what it was not told about; it is known by looking at the log (app.queue.commit_events)."""
    server, workspace, set_id = own
    with Workspace.open(tmp_path / "other", decisions=server.url(_name(_url(workspace)))) as other:
        other.add_set(tmp_path / "set.npz")
        log = [workspace.decide(set_id, Decision(0, "keep")), other.decide(set_id, Decision(1, "keep"))]
        assert workspace.decisions(set_id) == log
        log.append(other.decide(set_id, Decision(2, "keep")))
        log += workspace.decide_many(
            set_id, [Decision(3, "relabel", label=1), Decision(4, "soften", soft_label=(1.0, 0, 0, 0, 0))]
        )
        with away(server, _name(_url(workspace))):
            assert workspace.decisions(set_id) == [*log[:2], *log[3:]], "nobody could know of the other process's last one"
            assert workspace.trouble and set(workspace.states(set_id)) == {0, 1, 3, 4}
        assert workspace.decisions(set_id) == log and not workspace.trouble
        assert workspace.states(set_id) == states(log) == other.states(set_id)


def test_away__a_restart_that_nobody_noticed_is_not_noticed(own):
    server, workspace, set_id = own
    for restarted in range(3):
        assert workspace.decide(set_id, Decision(restarted, "keep")).id == restarted + 1
        server.stop()
        server.start()
        assert len(workspace.decisions(set_id)) == restarted + 1 and not workspace.trouble


def test_away__a_log_that_came_back_shorter_is_read_anew(own):
    server, workspace, set_id = own
    workspace.decide_many(set_id, [Decision(i, "prune") for i in range(4)])
    assert len(workspace.states(set_id)) == 4
    server.execute("delete from stillroom.decisions where id > 2", _name(_url(workspace)))
    server.stop()
    server.start()
    assert sorted(workspace.states(set_id)) == [0, 1]
    workspace.decide(set_id, Decision(9, "prune"))
    assert sorted(workspace.states(set_id)) == [0, 1, 9]


def test_away__connections_cut_one_by_one(own):
    server, workspace, set_id = own
    cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'stillroom'"
    for i in range(5):
        server.execute(cut)
        workspace.decide(set_id, Decision(i, "keep"))
        server.execute(cut)
        assert len(workspace.decisions(set_id)) == i + 1


@contextmanager
def answer_lost(monkeypatch, committed: bool):
    """The connection breaks in the next commit, after or before it is done."""
    commit, broken = psycopg.Connection.commit, []

    def breaking(connection: psycopg.Connection) -> None:
        if committed or broken:
            commit(connection)
        if not broken:
            broken.append(connection)
            connection.close()
            raise psycopg.OperationalError("the connection is lost")

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.Connection, "commit", breaking)
        yield


def test_commit__whose_answer_was_lost(two, monkeypatch):
    a, b, _ = two
    set_id = both_open(two)
    with answer_lost(monkeypatch, committed=True):
        kept = a.decide(set_id, Decision(0, "keep"))
    assert b.decisions(set_id) == [kept]
    with answer_lost(monkeypatch, committed=False), pytest.raises(StoreAway):
        a.decide(set_id, Decision(1, "keep"))
    assert b.decisions(set_id) == [kept]


def test_undo__by_two_processes_at_once_takes_back_two(two):
    a, b, _ = two
    set_id = both_open(two)
    for i in range(20):
        a.decide(set_id, Decision(i, "prune", annotator="ada"))
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda i: (a, b)[i % 2].undo(set_id, "ada").undoes, range(20)))
    assert len(set(taken)) == 20 and a.states(set_id) == {} == b.states(set_id)


def _url(workspace: Workspace) -> str:
    return psycopg.conninfo.make_conninfo(**workspace._shared._server._parameters)


def _name(url: str) -> str:
    return psycopg.conninfo.conninfo_to_dict(url)["dbname"]

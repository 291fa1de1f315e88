"""Who somebody is: what a provider says, what is typed without one, and the file that names the provider."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit.web.server.server_util import AUTH_COOKIE_NAME
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from app import wall
from app.__main__ import main
from app.identity import from_claims, person, scope_of, signed_by, typed_signature
from app.login import CALLBACK, kept_secret, read_login
from app.services import services
from data.decisions import CRITIC
from data.errors import StillroomError
from data.people import People, person_id, signature
from tests.app.oidc_provider import Provider, login_file
from tests.app.sessions import ISSUER, LOGIN, claims, session
from tests.app.workspaces import opened

LOCAL = "http://127.0.0.1:8501"
PROVIDER = Provider(ISSUER, f"{LOCAL}{CALLBACK}", {}, client_secret="never to be shown", key=None)
OWNERS = '["Olga@Example.org", "#0123456789abcdef"]'


@pytest.fixture
def people(tmp_path) -> People:
    with opened(tmp_path, login=LOGIN) as (running, _):
        yield running.workspace.people


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "login.toml"
    file.write_text(text)
    file.chmod(mode)
    return file


def refusal(folder: Path, text: str, mode: int = 0o600, address: str = LOCAL) -> str:
    with pytest.raises(StillroomError) as refused:
        read_login(written(folder, text, mode), folder / "workspace", address)
    assert PROVIDER.client_secret not in str(refused.value)
    return str(refused.value)


# Claims


def test_from_claims__a_verified_address_and_digits_of_the_subject_sign(people):
    ann = from_claims(LOGIN, claims("ann"), people)
    assert ann.name == f"ann@example.org #{person_id(ISSUER, 'ann')[:8]}" and ann.role == "viewer"


def test_from_claims__an_address_that_nobody_verified_makes_no_owner(people):
    for number, word in enumerate((False, None, "false", 1)):
        eve = from_claims(LOGIN, claims(f"eve {number}", email="olga@example.org", email_verified=word, name="Olga"), people)
        assert eve.role == "viewer" and "olga@example.org" not in eve.name
    for word in (True, "true"):
        assert from_claims(LOGIN, claims("olga", email="OLGA@example.org", email_verified=word), people).role == "owner"


def test_from_claims__an_owner_may_be_named_by_id(people):
    login = replace(LOGIN, owners=frozenset({f"#{person_id(ISSUER, 'ann')}"}))
    assert from_claims(login, claims("ann", email=None), people).role == "owner"
    assert from_claims(login, claims("bob", email=None), people).role == "viewer"


@pytest.mark.parametrize("said", [{}, {"is_logged_in": "true"}, {"sub": ""}, {"iss": 3}, {"sub": None}])
def test_from_claims__who_is_not_named_is_nobody(people, said):
    assert from_claims(LOGIN, {**claims("ann"), **said} if said else {}, people) is None
    assert not people.all()


def test_from_claims__a_name_stays_whatever_becomes_of_the_address(people):
    before = from_claims(LOGIN, claims("ann"), people)
    after = from_claims(LOGIN, claims("ann", email="ann.now@example.org"), people)
    assert before == after and people.get(before.id).email == "ann.now@example.org"


def test_from_claims__two_people_of_one_name_differ_also_where_the_short_ids_agree(people):
    same = [from_claims(LOGIN, claims(who, email=None, name="Kim"), people).name for who in ("1", "2")]
    assert len(set(same)) == 2
    first, second = "a" * 16, "a" * 8 + "b" * 8
    assert people.meet(first, "Lee", "", "viewer").signs_as == "Lee #aaaaaaaa"
    assert people.meet(second, "Lee", "", "viewer").signs_as == "Lee #aaaaaaaabbbbbbbb"


@given(st.text(max_size=120))
def test_signature__is_one_printable_line_that_ends_with_the_id(readable):
    name = signature("0123456789abcdef", readable)
    assert name.isprintable() and name.endswith(" #01234567") and name.count("#") == 1 and len(name) < 100
    name.encode()


@given(
    st.text(max_size=40) | st.builds("{} #{:08x}".format, st.text(max_size=9), st.integers(0, 2**32 - 1)) | st.just(CRITIC)
)
def test_typed_signature__never_signs_as_the_critic_nor_as_somebody_who_logged_in(typed):
    name = typed_signature(typed)
    assert name != CRITIC and name == typed_signature(name)
    assert not re.search(r"#[0-9a-f]{8}([0-9a-f]{8})?$", name)


def test_signed_by__a_login_leaves_no_other_name(tmp_path):
    with opened(tmp_path, login=LOGIN):
        with session(claims("ann"), annotator="olga@example.org"):
            assert signed_by("olga@example.org").startswith("ann@example.org #")
        with session({}, annotator="ann"):
            assert (signed_by("ann"), person()) == ("", None)


def test_signed_by__without_a_login_the_typed_name(tmp_path):
    with opened(tmp_path), session({}, annotator=" Ann "):
        assert (signed_by(), signed_by("Ben"), person().role) == ("Ann", "Ben", "owner")


def test_scope_of__what_waits_in_a_browser_belongs_to_one_person(tmp_path):
    scopes = []
    with opened(tmp_path, login=LOGIN):
        for who in ("ann", "bob"):
            with session(claims(who)):
                scopes.append(scope_of("a set"))
    with opened(tmp_path / "other"):
        scopes.append(scope_of("a set"))
    assert len(set(scopes)) == 3 and scopes[-1] == "a set"


# The file


def test_read_login__owners_newcomers_and_where_people_come_back_to(tmp_path):
    login = read_login(written(tmp_path, login_file(PROVIDER, owners=OWNERS)), tmp_path / "workspace", LOCAL)
    assert login.names_owner("", "olga@example.org") and login.names_owner("0123456789abcdef", "")
    assert not login.names_owner("", "") and not login.names_owner("0123", "ann@example.org")
    assert (login.newcomers, login.redirect_uri, login.origin) == ("viewer", f"{LOCAL}{CALLBACK}", LOCAL)


def test_read_login__the_cookie_secret_is_drawn_once_for_its_owner_s_eyes_only(tmp_path):
    file, workspace = written(tmp_path, login_file(PROVIDER, owners=OWNERS)), tmp_path / "workspace"
    first, second = (read_login(file, workspace, LOCAL) for _ in range(2))
    assert first == second and len(first.cookie_secret) == 64
    assert (workspace / "cookie_secret").stat().st_mode & 0o777 == 0o600
    assert kept_secret(tmp_path / "another") != first.cookie_secret


def test_login__cookies_of_another_provider_name_nobody(tmp_path):
    text = login_file(PROVIDER, owners=OWNERS)
    keys = set()
    for said in (text, text.replace("provider.example", "elsewhere.example"), text.replace('"stillroom"', '"other"')):
        login = read_login(written(tmp_path, said), tmp_path / "workspace", LOCAL)
        keys.add(login.for_streamlit["auth"]["cookie_secret"])
    assert len(keys) == 3


def test_login__shows_no_secret(tmp_path):
    login = read_login(written(tmp_path, login_file(PROVIDER, owners=OWNERS)), tmp_path / "workspace", LOCAL)
    assert PROVIDER.client_secret not in repr(login) and login.cookie_secret not in repr(login)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o644])
def test_read_login__a_file_that_everybody_can_reach_is_refused(tmp_path, mode):
    assert "chmod 600" in refusal(tmp_path, login_file(PROVIDER, owners=OWNERS), mode)


def test_read_login__a_cookie_secret_that_everybody_can_reach_is_refused(tmp_path):
    kept_secret(tmp_path / "workspace")
    os.chmod(tmp_path / "workspace" / "cookie_secret", 0o644)
    assert "chmod 600" in refusal(tmp_path, login_file(PROVIDER, owners=OWNERS))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"owners": "[]"}, "owners"),
        ({"owners": '"olga@example.org"'}, "owners"),
        ({"owners": "[3]"}, "owners"),
        ({"owners": OWNERS, "newcomers": '"owner"'}, "newcomers"),
        ({"owners": OWNERS, "newcomers": '["viewer"]'}, "newcomers"),
        ({"owners": OWNERS, "cookie_secret": '"short"'}, "cookie_secret"),
        ({"owners": OWNERS, "redirect_uri": '"https://here.example.org"'}, CALLBACK),
        ({"owners": OWNERS, "redirect_uri": '"http://[/oauth2callback"'}, CALLBACK),
        ({"owners": OWNERS, "client_id": '""'}, "client_id"),
        ({"owners": OWNERS, "roles": '"all"'}, "roles"),
        ({"owners": "[[["}, "TOML"),
    ],
)
def test_read_login__one_sentence_for_what_cannot_be_used(tmp_path, more, words):
    said = refusal(tmp_path, login_file(PROVIDER, **more))
    assert words in said and "\n" not in said


def test_read_login__beyond_loopback_the_address_has_to_be_said(tmp_path):
    assert "redirect_uri" in refusal(tmp_path, login_file(PROVIDER, owners=OWNERS), address="")


def test_read_login__no_file(tmp_path):
    with pytest.raises(StillroomError, match="cannot be read"):
        read_login(tmp_path / "nothing.toml", tmp_path, LOCAL)


# Starting


@pytest.fixture
def served(monkeypatch) -> list[str]:
    hosts: list[str] = []
    monkeypatch.setattr("app.__main__._serve", lambda host, port, headless: hosts.append(host))
    return hosts


def start(folder: Path, *more: str) -> int:
    return main(["--workspace", str(folder / "w"), "--port", "0", "--headless", *more])


def test_main__no_network_without_a_login_unless_it_is_said(tmp_path, capsys, served):
    assert start(tmp_path, "--host", "0.0.0.0") == 2 and served == []
    (line,) = capsys.readouterr().err.splitlines()
    assert "--auth" in line and "--without-login" in line and not (tmp_path / "w").exists()
    assert start(tmp_path, "--host", "0.0.0.0", "--without-login") == 0 and served == ["0.0.0.0"]
    assert "There is no login" in capsys.readouterr().out


def test_main__loopback_needs_no_login(tmp_path, served):
    for host in ("127.0.0.1", "localhost"):
        assert start(tmp_path, "--host", host) == 0
    assert served == ["127.0.0.1", "localhost"]


def test_main__a_login_and_none_contradict_each_other(tmp_path, capsys, served):
    assert start(tmp_path, "--auth", "login.toml", "--without-login") == 2 and served == []
    assert "contradict" in capsys.readouterr().err


def test_main__with_a_login_a_network_is_served_and_no_secret_is_printed(tmp_path, capfd, served):
    text = login_file(PROVIDER, owners=OWNERS, redirect_uri=f'"https://stillroom.example.org{CALLBACK}"')
    assert start(tmp_path, "--host", "0.0.0.0", "--auth", str(written(tmp_path, text))) == 0 and served == ["0.0.0.0"]
    said = capfd.readouterr()
    kept = (tmp_path / "w" / "cookie_secret").read_text()
    assert "https://stillroom.example.org" in said.out
    assert PROVIDER.client_secret not in said.out + said.err and kept not in said.out + said.err


# What is served beside the pages


@pytest.fixture
def client(tmp_path, monkeypatch):
    """Routes like Streamlit's behind the wall, and a function that makes the cookie of a login."""

    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("held")

    monkeypatch.setattr(wall, "get_cookie_secret", lambda: "the key")
    with opened(tmp_path, login=LOGIN):
        app = Starlette(routes=[Route("/{path:path}", answer)], middleware=[Middleware(wall.LoginWall)])
        yield TestClient(app)


def cookie(said: dict, key: str = "the key") -> dict[str, str]:
    """The header with which a browser shows that it was told ``said``."""
    return {"cookie": f"{AUTH_COOKIE_NAME}={create_signed_value(key, AUTH_COOKIE_NAME, json.dumps(said)).decode()}"}


STRANGERS = {
    "nothing": {},
    "signed with another key": cookie(claims("olga"), "another key"),
    "not signed": {"cookie": f"{AUTH_COOKIE_NAME}={json.dumps(claims('olga'))}"},
    "no text": {"cookie": f"{AUTH_COOKIE_NAME}=é".encode("latin-1")},
    "logged out": cookie(claims("olga", is_logged_in=False)),
    "nobody": cookie({}),
}


@pytest.mark.parametrize("path", ["/media/a.png", "/media//a.png", "/_stcore/upload_file/s/f", "/_stcore/metrics"])
def test_login_wall__files_and_uploads_are_closed_to_strangers(client, path):
    answers = {who: client.get(path, headers=headers).status_code for who, headers in STRANGERS.items()}
    assert answers == dict.fromkeys(STRANGERS, 403)
    assert client.get(path, headers=cookie(claims("olga"))).text == "held"


def test_login_wall__takes_the_role_that_it_takes_on_the_page(client):
    ann, upload = cookie(claims("ann")), "/_stcore/upload_file/s/f"
    assert client.get("/media/a.png", headers=ann).text == "held"
    assert client.get(upload, headers=ann).status_code == 403
    services().workspace.people.give(person_id(ISSUER, "ann"), "reviewer", "olga")
    assert client.get(upload, headers=ann).text == "held", "a reviewer uploads decisions to import"


@pytest.mark.parametrize("path", ["/", "/decide", "/_stcore/health", "/static/js/index.js", "/oauth2callback", "/mediation"])
def test_login_wall__the_way_to_the_door_is_open(client, path):
    assert client.get(path).text == "held"

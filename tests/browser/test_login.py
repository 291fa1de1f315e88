"""Logging in with a real provider, in a real browser: who sees what, who may decide, and what the log says of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.login import CALLBACK
from tests.app.oidc_provider import Provider, login_file, providing
from tests.browser.conftest import Server, free_port, serve
from tests.browser.steps import choose, go_to, heard, log_of, made, tiles
from tests.data.sets import N

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ACCOUNTS = {
    "Ada": {"sub": "1", "email": "ada@example.org", "email_verified": True, "name": "Ada"},
    "Eve": {"sub": "2", "email": "ada@example.org", "email_verified": False, "name": "Eve"},
}
SIGNED = re.compile(r"ada@example\.org #[0-9a-f]{8}")


@contextmanager
def guarded(folder: Path) -> Iterator[tuple[Server, Provider]]:
    """The app on one set, owned by Ada."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    path, file = made(folder), folder / "login.toml"
    with providing(f"{address}{CALLBACK}", ACCOUNTS) as provider:
        file.write_text(login_file(provider, owners='["ada@example.org"]'))
        file.chmod(0o600)
        arguments = ["-m", "app", str(path), "--workspace", str(folder / "workspace"), "--port", str(port), "--headless"]
        with serve([*arguments, "--auth", str(file)], port, folder / "app.log") as server:
            yield server, provider


def log_in(page: Page, name: str) -> None:
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.get_by_role("heading", name="Sets", exact=True)).to_be_visible()


def keep_one(page: Page, left: int) -> None:
    """One decision by key; ``left`` of the queue's before it."""
    go_to(page, "Decide")
    choose(page, "Queue", "Everything undecided, in stored order")
    expect(page.get_by_text(f"{left} left")).to_be_visible()
    page.keyboard.press("k")
    expect(page.get_by_text(f"{N - left + 1} of {N} decided")).to_be_visible()  # it is in the log


def test_login__a_stranger_sees_the_door_and_nothing_behind_it(page: Page, tmp_path: Path):
    frames = heard(page)
    with guarded(tmp_path) as (server, provider):
        for place in ("/decide", "/", "/label_errors", "/people"):
            page.goto(server.address + place)
            expect(page.get_by_role("button", name="Log in")).to_be_visible()
            expect(page.get_by_test_id("stSidebarNav")).to_have_count(0)
            expect(page.get_by_role("dialog")).to_have_count(0)
        name = made(tmp_path / "again").stem
        told = b"".join(frames)
        assert frames and name.encode() not in told and b"airplane" not in told and str(tmp_path).encode() not in told
        assert page.request.get(f"{server.address}/media/anything.png").status == 403
        log_in(page, "Ada")
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        assert name.encode() in b"".join(frames), "else the search above could not have found it"
        assert page.request.get(f"{server.address}/media/anything.png").status == 404
        assert provider.client_secret not in server.output()


def test_login__who_decides_is_who_the_provider_says(new_page: Callable[..., Page], tmp_path: Path):
    with guarded(tmp_path) as (server, provider):
        ada, eve = new_page(), new_page()
        ada.goto(server.address)
        log_in(ada, "Ada")
        keep_one(ada, N)
        expect(ada.get_by_label("Your name")).to_have_count(0)
        expect(ada.get_by_text(SIGNED).first).to_be_visible()

        eve.goto(server.address)
        log_in(eve, "Eve")
        links = eve.get_by_test_id("stSidebarNav").get_by_role("link")
        expect(links.filter(has_text="Browse")).to_be_visible()
        for closed in ("Decide", "Compare", "Correct", "Export", "People"):
            expect(eve.get_by_test_id("stSidebarNav").get_by_role("link", name=closed, exact=True)).to_have_count(0)
        expect(eve.get_by_text("Open a set")).to_have_count(0)
        go_to(eve, "Browse")
        expect(tiles(eve).first).to_be_visible()
        expect(eve.get_by_role("button", name="Prune")).to_have_count(0)
        eve.goto(f"{server.address}/decide")
        expect(eve.get_by_text("takes the role annotator or more")).to_be_visible()

        go_to(ada, "People")
        choose(ada, "Role of Eve", "annotator")
        ada.get_by_text("Who gave which role, and when").click()
        expect(ada.get_by_test_id("stDataFrame")).to_be_visible()
        eve.goto(server.address)
        keep_one(eve, N - 1)
        assert provider.logins == ["Ada", "Eve"]
    first, second = log_of(tmp_path)
    assert SIGNED.fullmatch(first.annotator) and re.fullmatch(r"Eve #[0-9a-f]{8}", second.annotator)


def test_login__after_logging_out_the_door_is_closed_again(page: Page, tmp_path: Path):
    with guarded(tmp_path) as (server, _):
        page.goto(server.address)
        log_in(page, "Ada")
        page.reload()
        expect(page.get_by_role("heading", name="Sets", exact=True)).to_be_visible()
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        page.goto(f"{server.address}/decide")
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        assert not [cookie for cookie in page.context.cookies() if cookie["name"].startswith("_streamlit_user")]

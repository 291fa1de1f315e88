"""What people do in the app, as the browser tests say it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from data.decisions import Decision
from data.workspace import Workspace
from tests.browser.conftest import Server, free_port, serve
from tests.data.sets import make

OPENS_MS = 3_000
SAVED = "all saved"


@contextmanager
def app(folder: Path, *paths: Path, decisions: str = "") -> Iterator[Server]:
    """The real app on a workspace below ``folder``, with its ``decisions`` there or in the database of that URL."""
    port = free_port()
    arguments = ["-m", "app", *map(str, paths), "--workspace", str(folder / "workspace"), "--port", str(port), "--headless"]
    arguments += ["--decisions", decisions] if decisions else []
    with serve(arguments, port, folder / "app.log") as server:
        yield server


def made(folder: Path) -> Path:
    """A DC result file of N samples."""
    return make("dc", folder / "set").path


def go_to(page: Page, name: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()


def settled(page: Page) -> None:
    """Nothing is being worked out: until then a page may still put other things where somebody is about to click."""
    expect(page.locator('[data-test-script-state="notRunning"]')).to_be_visible()


def saved(page: Page) -> None:
    """Everything that was answered on the card is in the log, as it says."""
    expect(page.locator(".saved")).to_have_text(SAVED)


def heard(page: Page) -> list[bytes]:
    """Everything that reaches the page through websockets from now on."""
    frames: list[bytes] = []

    def keep(payload: bytes | str) -> None:
        frames.append(payload if isinstance(payload, bytes) else payload.encode())

    page.on("websocket", lambda socket: socket.on("framereceived", keep))
    return frames


def log_of(folder: Path, decisions: str = "") -> list[Decision]:
    """What is in the log of the one set there, once the app is down; ``folder`` and ``decisions`` as for ``app``."""
    with Workspace.open(folder / "workspace", decisions=decisions) as workspace:
        return workspace.decisions(workspace.sets()[0].id)


def tiles(page: Page):
    return page.locator('[role="listbox"] [role="option"]')


def open_path(page: Page, path: Path) -> None:
    expect(page.get_by_role("heading", name="Sets", exact=True)).to_be_visible()
    field = page.get_by_label("File or folder")
    try:  # the panel is open on an empty workspace, but opens with a movement
        field.wait_for(timeout=OPENS_MS)
    except PlaywrightTimeout:
        page.get_by_text("Open a set", exact=True).click()
    field.fill(str(path))
    page.get_by_test_id("stMain").get_by_role("button", name="Open", exact=True).click()


def choose(page: Page, label: str, option: str) -> None:
    menu = page.get_by_role("combobox", name=label)
    menu.click()
    page.get_by_role("option", name=option).first.click()
    expect(menu).to_have_attribute("aria-expanded", "false")  # an open one takes the keys that follow


def export_here(page: Page, folder: Path) -> dict:
    """Write the set at hand through the Export page; returns the manifest."""
    go_to(page, "Export")
    page.get_by_label("Folder to write, new or empty").fill(str(folder))
    page.get_by_role("button", name=re.compile("^(output )?Write")).click()
    expect(page.get_by_text("Written to")).to_be_visible()
    return json.loads((folder / "manifest.json").read_text())

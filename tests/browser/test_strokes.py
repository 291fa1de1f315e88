"""Keys as fast as people press them, over lines and apps that fail: every decision is in the log, once, in order.

The oracle is what the page showed at each key (tests/browser/annotators.py).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.async_api import Browser

from data.decisions import Decision
from tests.browser.annotators import Annotator, Line, Meant, annotator, drive, line_to, prepare, said
from tests.browser.conftest import Server
from tests.browser.steps import SAVED, app, log_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]
MANY = 200
PAUSE_SECONDS = 1.0
LONG_SECONDS = 3_600
SOON_SECONDS = 1.5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "app"


def check(log: Sequence[Decision], meant: Sequence[Meant], name: str) -> None:
    """The log is what the keys meant, entry by entry, signed and timed."""
    assert said(log) == [one.said for one in meant]
    assert {entry.annotator for entry in log} == {name}
    assert all(entry.seconds is not None for entry in log if entry.action != "undo")
    assert len({(entry.sample_id, entry.at, entry.action) for entry in log}) == len(log), "no two strokes share a time"


def test_bursts__through_a_reload_a_cut_line_and_reruns__each_decision_once_in_order(folder):
    async def work(browser: Browser) -> list[Meant]:
        async with line_to(server.port) as line:
            ann = await annotator(browser, "Ann")
            await ann.open(line.address)
            await ann.decide(MANY // 4, PAUSE_SECONDS)
            await ann.burst(10)
            await ann.page.reload()
            await ann.choose_everything()
            await ann.decide(MANY // 2, PAUSE_SECONDS)
            await ann.shown()
            await ann.burst(3)
            line.cut()
            await ann.burst(5)
            line.up = True
            await ann.decide(3 * MANY // 4, PAUSE_SECONDS)
            for _ in range(5):
                await ann.burst(4)
                await ann.page.keyboard.press("r")  # Streamlit's own key: all of the page runs anew
                await ann.burst(4)
            await ann.decide(MANY, PAUSE_SECONDS)
            await ann.saved()
            return await ann.meant()

    prepare(folder, 2 * MANY)
    with app(folder) as server:
        meant = drive(work)
    assert len(meant) >= MANY
    check(log_of(folder), meant, "Ann")


class DyingApp:
    """An app behind a line that is killed and started again on the same workspace."""

    def __init__(self, folder: Path, decisions: str, line: Line) -> None:
        self._folder = folder
        self._decisions = decisions
        self._line = line
        self._running: AbstractContextManager[Server] | None = None

    async def start(self) -> None:
        self._running = app(self._folder, decisions=self._decisions)
        self._server = await asyncio.to_thread(self._running.__enter__)
        self._line.port = self._server.port

    async def kill(self) -> list[Decision]:
        """What is in the log then."""
        self._server.process.kill()
        await self.stop()
        return await asyncio.to_thread(log_of, self._folder, self._decisions)

    async def stop(self) -> None:
        await asyncio.to_thread(self._running.__exit__, None, None, None)


async def decide_while_killed(browser: Browser, folder: Path, decisions: str, times: int) -> list[Meant]:
    """A tab decides, the app is killed so many times, and the tab finds the next one by itself or by a reload."""
    chance = random.Random(times)
    async with line_to(0) as line:
        dying = DyingApp(folder, decisions, line)
        await dying.start()
        ann = await annotator(browser, "Ann")
        await ann.open(line.address)
        for time in range(times):
            await ann.shown()
            deciding = asyncio.create_task(ann.burst(chance.randint(4, 10)))
            await asyncio.sleep(chance.uniform(0, SOON_SECONDS))
            log = await dying.kill()
            await deciding
            meant = await ann.meant()
            assert said(log) == [one.said for one in meant[: len(log)]], "what is there is in order, and there once"
            assert len(log) >= await acknowledged(ann, meant), "all that the card called saved is there"
            await dying.start()
            if time % 2:
                await ann.page.reload()
                await ann.choose_everything()
        await ann.decide(len(meant) + 5, PAUSE_SECONDS)
        await ann.saved()
        meant = await ann.meant()
        await dying.stop()
        return meant


async def acknowledged(ann: Annotator, meant: Sequence[Meant]) -> int:
    """How many decisions were made when the card last said that all is saved."""
    saved = max((status.keys for status in await ann.statuses() if status.text == SAVED), default=0)
    return sum(one.key < saved for one in meant)


LONG = (pytest.mark.long, pytest.mark.timeout(LONG_SECONDS))
TIMES = [3, pytest.param(50, marks=LONG)]


@pytest.mark.parametrize("times", TIMES)
def test_killed_at_random_moments__every_stroke_is_there_once(folder, times):
    prepare(folder, 1_500)
    meant = drive(lambda browser: decide_while_killed(browser, folder, "", times))
    assert len(meant) > 3 * times
    check(log_of(folder), meant, "Ann")


@pytest.mark.parametrize("times", [3, pytest.param(10, marks=LONG)])
def test_killed_beside_postgresql__every_stroke_is_there_once(folder, postgres, times):
    url = postgres.new_database()
    prepare(folder, 1_000, url)
    meant = drive(lambda browser: decide_while_killed(browser, folder, url, times))
    assert len(meant) > 3 * times
    check(log_of(folder, url), meant, "Ann")

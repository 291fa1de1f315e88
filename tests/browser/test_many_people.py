"""Many people who decide at once, each at a browser of their own: everybody's decisions are in the log, once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from playwright.async_api import Browser

from data.decisions import Decision
from tests.browser.annotators import Annotator, Meant, annotator, drive, prepare, said
from tests.browser.steps import app, log_of

pytestmark = [pytest.mark.browser, pytest.mark.slow]
FEW, MANY_SESSIONS = 3, 16
A_FEW_EACH, MANY_EACH = 20, 200
PAUSE_SECONDS = 1.0
BUSY_SECONDS, LONG_SECONDS = 900, 3_600
"""Sixteen browsers on two quiet cores take two minutes, on one core five."""


async def decide_at_once(browser: Browser, addresses: Sequence[str], sessions: int, each: int) -> dict[str, list[Meant]]:
    """What each person meant, by name; the addresses are given out in turn."""
    people = [await annotator(browser, f"person {i}", seed=i) for i in range(sessions)]
    for i, person in enumerate(people):
        await person.open(addresses[i % len(addresses)])
    return dict(await asyncio.gather(*(_decide(person, each) for person in people)))


async def _decide(person: Annotator, each: int) -> tuple[str, list[Meant]]:
    await person.decide(each, PAUSE_SECONDS)
    await person.saved()
    return person.name, await person.meant()


def check(log: list[Decision], meant: dict[str, list[Meant]], each: int) -> None:
    """Every session's decisions exactly once, in its order, with its name and the seconds taken."""
    assert {entry.annotator for entry in log} == set(meant)
    for name, made in meant.items():
        entries = [entry for entry in log if entry.annotator == name]
        assert len(made) >= each
        assert said(entries) == [one.said for one in made]
        assert all(entry.seconds is not None for entry in entries if entry.action != "undo")
    by = {entry.id: entry for entry in log}
    undos = [entry for entry in log if entry.action == "undo"]
    assert all(by[undo.undoes].annotator == undo.annotator for undo in undos), "nobody took back what another decided"


LONG = (pytest.mark.long, pytest.mark.timeout(LONG_SECONDS))
BUSY = pytest.mark.timeout(BUSY_SECONDS)
SIZES = [
    (FEW, A_FEW_EACH),
    pytest.param(MANY_SESSIONS, A_FEW_EACH, marks=BUSY),
    pytest.param(MANY_SESSIONS, MANY_EACH, marks=LONG),
]


@pytest.mark.parametrize(("sessions", "each"), SIZES)
def test_sessions_at_once_on_duckdb(tmp_path, sessions, each):
    folder = tmp_path / "one"
    prepare(folder, 2 * sessions * each)
    with app(folder) as server:
        meant = drive(lambda browser: decide_at_once(browser, [server.address], sessions, each))
    check(log_of(folder), meant, each)


@pytest.mark.parametrize(("sessions", "each"), SIZES)
def test_sessions_at_two_processes_on_postgresql(tmp_path, postgres, sessions, each):
    url, folders = postgres.new_database(), [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        prepare(folder, 2 * sessions * each, url)
    with app(folders[0], decisions=url) as one, app(folders[1], decisions=url) as other:
        meant = drive(lambda browser: decide_at_once(browser, [one.address, other.address], sessions, each))
    logs = [log_of(folder, url) for folder in folders]
    assert logs[0] == logs[1]
    check(logs[0], meant, each)

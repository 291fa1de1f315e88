"""How fast decisions are made and saved: `python -m benchmarks.strokes [--sessions N] [--each N]`.

In a real Chromium on a DuckDB workspace, people press keys in bursts of 8 to 12, 20 ms apart, with a second between them:
one person alone, then ``sessions`` at once, each until ``each`` decisions are made (issue: 40 a minute, sustained). Printed
are the decisions a minute of one person, from their first key until the last one is saved, and the milliseconds from a key
to the moment at which the page says that its decision is saved. The log is compared with what the keys meant before
anything is printed.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from playwright.async_api import Browser

from benchmarks.common import sizes
from tests.browser.annotators import Annotator, Key, Meant, Status, annotator, drive, prepare, said
from tests.browser.serving import chromium_path
from tests.browser.steps import SAVED, app, log_of

PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Session:
    """What one person did and saw."""

    name: str
    keys: list[Key]
    statuses: list[Status]
    meant: list[Meant]


def main() -> None:
    given = sizes(__doc__.splitlines()[0], sessions=16, each=200)
    if chromium_path() is None:
        sys.exit("there is no Chromium on this machine; set CHROMIUM to its path.")
    print(f"{given['each']} decisions each; load average beside it")
    for number in (1, given["sessions"]):
        with tempfile.TemporaryDirectory() as place:
            _report(_measured(Path(place) / "app", number, given["each"]))


def saved_after(session: Session) -> list[float]:
    """Milliseconds from each decision's key until the page said that nothing waits, or no more than was made after it.

    Decisions of which it never said so are left out.
    """
    made = np.asarray([one.key for one in session.meant])
    waits: list[float] = []
    for status in session.statuses:
        waiting = _waiting(status.text)
        if waiting is None:
            continue
        saved = int(np.searchsorted(made, status.keys)) - waiting
        waits += [status.at - session.keys[made[i]].at for i in range(len(waits), saved)]
    return waits


def _waiting(status: str) -> int | None:
    """How many decisions wait by what the card says; None where it says nothing."""
    first = status.split(" ")[0]
    return 0 if status == SAVED else int(first) if first.isdigit() else None


def _measured(folder: Path, number: int, each: int) -> list[Session]:
    prepare(folder, 2 * number * each)
    with app(folder) as server:
        found = drive(lambda browser: _at_once(browser, server.address, number, each))
    log = log_of(folder)
    for session in found:
        assert said(entry for entry in log if entry.annotator == session.name) == [one.said for one in session.meant]
    return found


async def _at_once(browser: Browser, address: str, number: int, each: int) -> list[Session]:
    people = [await annotator(browser, f"person {i}", seed=i) for i in range(number)]
    for person in people:
        await person.open(address)
    return list(await asyncio.gather(*(_session(person, each) for person in people)))


async def _session(person: Annotator, each: int) -> Session:
    await person.decide(each, PAUSE_SECONDS)
    await person.saved()
    return Session(person.name, await person.pressed(), await person.statuses(), await person.meant())


def _report(found: Sequence[Session]) -> None:
    waits = np.concatenate([saved_after(session) for session in found])
    paces = [60_000 * len(one.meant) / (one.statuses[-1].at - one.keys[one.meant[0].key].at) for one in found]
    print(
        f"{len(found):3} at once   decisions a minute, each: median {np.median(paces):.0f}, slowest {min(paces):.0f}   "
        f"ms from key to saved: median {np.median(waits):.0f}, p95 {np.percentile(waits, 95):.0f}, worst {waits.max():.0f} "
        f"(n = {len(waits):,} of {sum(len(one.meant) for one in found):,})   load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()

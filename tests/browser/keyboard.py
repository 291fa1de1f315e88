"""Going through a page by Tab alone: where the focus stands, what it is called, and whether it can be seen there."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from playwright.sync_api import Page

MOST_STOPS = 400
MOST_VISITS = 60
"""Of one element: Tab goes through the columns of a table, which is one, and comes to it again from its tools."""
OUTSIDE = 2
"""Stops at which the focus may be with the browser itself before it comes round."""
_HELPERS = Path(__file__).with_name("keyboard.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Stop:
    """One element that Tab leads to. ``box`` is left, top, width, height on the whole page; ``visible`` says whether any of
    it was in the window while it had the focus, ``ring`` whether anything on or around it looked different then."""

    number: int
    name: str
    what: str
    box: tuple[float, float, float, float]
    visible: bool
    ring: bool = False

    @property
    def left(self) -> float:
        return self.box[0]

    @property
    def right(self) -> float:
        return self.box[0] + self.box[2]

    @property
    def top(self) -> float:
        return self.box[1]

    @property
    def bottom(self) -> float:
        return self.box[1] + self.box[3]

    @property
    def is_cell(self) -> bool:
        """Whether it is a cell of a table, whose way in and out is the table's."""
        return self.what.startswith("td ")

    def __str__(self) -> str:
        return f"'{self.name}', {self.what}, at {tuple(map(round, self.box))}"


def stops(page: Page, key: str = "Tab") -> list[Stop]:
    """Every stop from where the focus is until it leaves the page. Raises AssertionError where it never does."""
    page.evaluate(_HELPERS)
    page.evaluate("stops.reset()")
    met: list[Stop] = []
    visits: Counter[int] = Counter()
    while len(met) < MOST_STOPS:
        page.keyboard.press(key)
        here = page.evaluate("stops.here()")
        if met:
            met[-1] = replace(met[-1], ring=here["told"])
        if here["stop"] is None:
            return met
        met.append(Stop(**{**here["stop"], "box": tuple(here["stop"]["box"])}))
        visits[met[-1].number] += 1
        if visits[met[-1].number] > MOST_VISITS:
            break
    raise AssertionError(f"{key} does not leave the page: {len(met)} stops, the last of them {met[-1]}")


def tab_to(page: Page, words: str, key: str = "Tab") -> None:
    """Press ``key`` until something whose name has ``words`` in it has the focus. Raises AssertionError where that never
    comes."""
    page.evaluate(_HELPERS)
    met, outside = [], 0
    while outside <= OUTSIDE and len(met) < MOST_STOPS:
        page.keyboard.press(key)
        stop = page.evaluate("stops.here()")["stop"]
        if stop is None:
            outside += 1
            continue
        met.append(stop["name"])
        if re.match(rf"(.* )?{re.escape(words)}(\W|$)", stop["name"]):
            return
    raise AssertionError(f"{key} leads to nothing called '{words}', only to {met}")

"""People who decide by keys in a real Chromium, several at once, over a line that can be cut; and what their keys meant.

What a key meant is worked out from what the page showed when it was pressed, which a listener of our own notes before any
of the app's hears the key. So it owes nothing to the queue that carries the decisions. Nobody here presses a key while
Streamlit has taken the card out of the page for a moment: the listener takes such keys away, as no page shows what they are
about. What becomes of those is the matter of test_card_mount.py.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect
from playwright.async_api import TimeoutError as PlaywrightTimeout

from data.decisions import REASONS, Decision
from data.workspace import Workspace
from tests.browser.serving import FLAGS, chromium_path
from tests.browser.steps import SAVED
from tests.data.workspaces import write_set

FAST_MS, GAP_MS = 20, 1_000
CLASSES = 10
PATIENCE_MS = 120_000
SHOWN = '.card[data-sample]:not([data-sample=""])'
NO_SAMPLE = -1

# Before anything of the app's: a listener of the window, in the phase in which an event comes down to its target. Components
# live in shadow roots, which nothing in the document leads to, so these are remembered as they are made.
_NOTE = """(() => {
  const read = name => JSON.parse(localStorage.getItem(name) ?? '[]');
  const note = (name, what) => localStorage.setItem(name, JSON.stringify([...read(name), what]));
  const roots = new Set();
  const all = selector => [...roots].filter(root => root.isConnected).flatMap(root => [...root.querySelectorAll(selector)]);
  addEventListener('keydown', event => {
    const covered = document.querySelector('[role="dialog"]'); // as when the app cannot be reached
    const cards = covered ? [] : all('.card[data-sample]').filter(card => card.checkVisibility());
    if (!covered && !cards.length) {
      event.preventDefault();
      event.stopImmediatePropagation();
      return;
    }
    const undo = cards[0]?.querySelector('[data-action="undo"]');
    note('keys', {
      key: event.key,
      at: performance.timeOrigin + event.timeStamp,
      samples: cards.map(card => card.dataset.sample),
      keeps: cards[0]?.querySelector('[data-action="keep"]')?.textContent ?? '',
      undoable: Boolean(undo) && !undo.disabled,
    });
  }, true);
  let last = '';
  const look = () => {
    const status = all('.saved')[0]?.textContent ?? '';
    if (status === last) return;
    last = status;
    note('statuses', { text: status, at: performance.timeOrigin + performance.now(), keys: read('keys').length });
  };
  const watcher = new MutationObserver(look);
  const attach = Element.prototype.attachShadow;
  Element.prototype.attachShadow = function (options) {
    const root = attach.call(this, options);
    roots.add(root);
    watcher.observe(root, { subtree: true, childList: true, characterData: true });
    return root;
  };
})()"""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Key:
    """A key, when it was pressed (ms since 1970), the samples on the cards to be seen then, and whether undo was offered.

    ``keeps`` is the label that the card said it would keep, where somebody else's may stand instead of the given one; -1
    where it said nothing.
    """

    key: str
    at: float
    samples: tuple[str, ...]
    undoable: bool
    keeps: int


@dataclass(frozen=True)
class Status:
    """What the card began to say of what is saved, when (ms since 1970), and after how many keys."""

    text: str
    at: float
    keys: int


@dataclass(frozen=True)
class Meant:
    """A decision that a key made: ``key`` is its place among the keys."""

    action: str
    sample_id: int
    label: int | None = None
    reason: str | None = None
    key: int = -1

    @property
    def said(self) -> tuple:
        return self.action, self.sample_id, self.label, self.reason


class Annotator:
    """One person at one tab."""

    def __init__(self, page: Page, name: str, seed: int = 0) -> None:
        self.page = page
        self.name = name
        self._chance = random.Random(seed)

    async def open(self, address: str) -> None:
        """The Decide page over everything undecided, ready for keys."""
        await self.page.goto(f"{address}/decide?by={quote(self.name)}")
        await self.choose_everything()

    async def choose_everything(self) -> None:
        menu = self.page.get_by_role("combobox", name="Queue")
        await menu.click()
        await self.page.get_by_role("option", name="Everything undecided").first.click()
        await expect(menu).to_have_attribute("aria-expanded", "false")
        await self.ready()

    async def ready(self) -> None:
        """Wait until a card shows a sample and nothing is being computed, so that it stays where it is."""
        await self.page.locator('[data-test-script-state="notRunning"]').wait_for(state="attached")
        await self.shown()

    async def shown(self) -> None:
        await self.page.locator(SHOWN).first.wait_for()

    async def saved(self) -> None:
        await expect(self.page.locator(".saved")).to_have_text(SAVED)

    async def burst(self, many: int, spacing_ms: float = FAST_MS) -> None:
        """``many`` keys of mixed meaning, a few more where a prune takes two."""
        for key in self.keys(many):
            with suppress(PlaywrightTimeout):  # nobody presses a key while there is no card to be seen, if they can help it
                await self.page.locator(SHOWN).first.wait_for(timeout=GAP_MS)
            await self.page.keyboard.press(key)
            await asyncio.sleep(spacing_ms / 1000)

    def keys(self, many: int) -> list[str]:
        """Half keep; the rest relabel, prune with or without a reason, skip and undo."""
        pressed: list[str] = []
        for _ in range(many):
            kind = self._chance.random()
            if kind < 0.5:
                pressed.append("k")
            elif kind < 0.7:
                pressed.append(str(self._chance.randrange(CLASSES)))
            elif kind < 0.8:
                pressed += ["p", self._chance.choice(["1", "2", "3", "4", "5", "Enter"])]
            else:
                pressed.append("s" if kind < 0.9 else "z")
        return pressed

    async def pressed(self) -> list[Key]:
        noted = await self._noted("keys")
        return [_key(one) for one in noted]

    async def statuses(self) -> list[Status]:
        return [Status(**one) for one in await self._noted("statuses")]

    async def meant(self) -> list[Meant]:
        return meaning(await self.pressed())

    async def decide(self, many: int, pause_seconds: float) -> None:
        """Bursts of 8 to 12 keys with a pause after each, until ``many`` decisions are made."""
        while (left := many - len(await self.meant())) > 0:
            await self.shown()
            await self.burst(min(left, self._chance.randint(8, 12)))
            await asyncio.sleep(pause_seconds)

    async def _noted(self, name: str) -> list[dict[str, Any]]:
        return await self.page.evaluate("name => JSON.parse(localStorage.getItem(name) ?? '[]')", name)


def meaning(pressed: Sequence[Key]) -> list[Meant]:
    """The decisions that keys made, each about the sample that was shown; ``given`` says which labels are the set's own.

    A prune takes a second key, which counts while the same sample is shown. An undo takes back the latest decision that was
    not taken back, where the card offers it.
    """
    found: list[Meant] = []
    history: list[int] = []
    pruning: int | None = None
    for place, one in enumerate(pressed):
        sample = int(one.samples[0]) if len(one.samples) == 1 else NO_SAMPLE
        made = _pruned(one.key, sample) if pruning == sample != NO_SAMPLE else None
        pruning = sample if one.key == "p" and pruning != sample else None
        made = made or _decided(one, sample)
        if made and sample != NO_SAMPLE:
            history.append(sample)
            found.append(Meant(*made.said, key=place))
        elif one.key == "z" and one.undoable and history:
            found.append(Meant("undo", history.pop(), key=place))
    return found


def said(log: Iterable[Decision]) -> list[tuple]:
    """The entries of a log as ``Meant.said`` has them."""
    return [(entry.action, entry.sample_id, entry.label, entry.reason) for entry in log]


def given(sample: int) -> int:
    """The label of a sample in the sets made here."""
    return sample % CLASSES


def prepare(folder: Path, n: int, decisions: str = "") -> None:
    """A workspace below ``folder`` that lists one set of ``n`` small images, beside it; nothing is being analysed."""
    path = folder.parent / "set.npz"
    if not path.exists():  # a second workspace lists the same one
        write_set(path, n, CLASSES)
    folder.mkdir(exist_ok=True)
    with Workspace.open(folder / "workspace", decisions=decisions) as workspace:
        workspace.add_set(path)


def drive(work: Callable[[Browser], Awaitable[Result]]) -> Result:
    """What ``work`` returns, given a Chromium of its own; it runs in a thread, since other tests keep a loop in this one."""
    path = chromium_path()
    if path is None:
        pytest.skip("there is no Chromium on this machine; set CHROMIUM to its path")
    ended: list[Result | BaseException] = []

    async def run() -> Result:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
            try:
                return await work(browser)
            finally:
                await browser.close()

    def thread() -> None:
        try:
            ended.append(asyncio.run(run()))
        except BaseException as error:
            ended.append(error)

    running = threading.Thread(target=thread)
    running.start()
    running.join()
    (result,) = ended
    if isinstance(result, BaseException):
        raise result
    return result


async def annotator(browser: Browser, name: str, seed: int = 0) -> Annotator:
    """Somebody at a browser of their own."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    await context.add_init_script(_NOTE)
    return Annotator(await context.new_page(), name, seed)


class Line:
    """A line from browsers to the app, at an address that stays while the app behind it dies, moves or is cut off."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.up = True
        self.address = ""
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """End every connection, and refuse new ones until ``up`` is True again."""
        self.up = False
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a browser."""
        if not self.up:
            writer.transport.abort()
            return
        with suppress(OSError):
            there, out = await asyncio.open_connection("127.0.0.1", self.port)
            ends = {writer, out}
            self._writers |= ends
            await asyncio.wait(
                [asyncio.create_task(_pass_on(reader, out)), asyncio.create_task(_pass_on(there, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
            self._writers -= ends
            out.close()
        writer.close()


@asynccontextmanager
async def line_to(port: int) -> AsyncIterator[Line]:
    """A line to the app at ``port``; ``Line.port`` may be set to another while it is used."""
    line = Line(port)
    server = await asyncio.start_server(line.serve, "127.0.0.1", 0)
    line.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield line
    finally:
        line.cut()
        server.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(1 << 16):
            writer.write(part)
            await writer.drain()


def _pruned(key: str, sample: int) -> Meant | None:
    """What the second key of a prune does, where it is one."""
    if key == "Enter":
        return Meant("prune", sample)
    return Meant("prune", sample, reason=REASONS[int(key) - 1]) if key in "12345" else None


def _decided(one: Key, sample: int) -> Meant | None:
    if one.key == "k":
        return _labelled(sample, one.keeps) if one.keeps >= 0 else Meant("keep", sample)
    if one.key == "s":
        return Meant("skip", sample)
    return _labelled(sample, int(one.key)) if one.key.isdigit() else None


def _labelled(sample: int, label: int) -> Meant:
    return Meant("keep", sample) if label == given(sample) else Meant("relabel", sample, label)


def _key(noted: Mapping[str, Any]) -> Key:
    kept = re.search(r"[0-9]+$", noted["keeps"])
    samples = tuple(filter(None, noted["samples"]))
    return Key(noted["key"], noted["at"], samples, noted["undoable"], int(kept[0]) if kept else -1)

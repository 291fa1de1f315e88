"""From the key to the next image, in a real Chromium: `python -m benchmarks.card [--keys N] [--classes N]`.

Keeps one image after the other in the app, of the demo set and of a made set of so many classes of 224-pixel images, one key
at a leisurely pace and one every 20 ms (issue: the next card within 50 ms at the client). Times are the browser's own: "next
paint" is what the Event Timing API says of the keydown, from the stroke to the next paint after it, in steps of 8 ms, where
less than 16 is not told apart; "two frames" is from its capturing phase until two frames after it, when that paint is surely
over; the card's own work, without waiting for a frame, is printed beside them. Keys that found no image there, because they
outran the server, are counted and have no time. Then how long the search takes over 10,000 class names, a keystroke.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from benchmarks.common import sizes
from benchmarks.pages_sets import image_folder, known_workspace
from data.demo import DEMO
from tests.browser.serving import REPOSITORY, chromium_path, free_port, launched, serve
from tests.browser.steps import choose

IPC = 50
NAMES = 10_000
SIZE = {"width": 1280, "height": 900}
PATIENCE_MS = 120_000
LEISURE_MS, BURST_MS, BURST = 600, 20, 25
LEAST_PAINT_MS = 16.0
KEY, QUEUE = "k", "Everything undecided, in stored order"

_WATCH = """() => {
    window.keyed = [];
    window.paints = [];
    new PerformanceObserver(list => window.paints.push(...list.getEntries().filter(one => one.name === 'keydown').map(
        one => ({ at: one.startTime, took: one.duration })))).observe({ type: 'event', durationThreshold: 16 });
    const find = root => root.querySelector('.card') ?? [...root.querySelectorAll('*')].map(one =>
        one.shadowRoot && find(one.shadowRoot)).find(Boolean);
    window.addEventListener('keydown', event => {
        const card = find(document), before = card.dataset.sample, began = performance.now();
        const note = { moved: false, at: event.timeStamp };
        window.keyed.push(note);
        setTimeout(() => { note.done = performance.now() - began; });
        requestAnimationFrame(() => requestAnimationFrame(() => {
            const image = card.querySelector('.frame img');
            note.moved = note.moved || card.dataset.sample !== before;
            note.whole = image.complete && image.naturalWidth > 0;
            note.painted = performance.now() - began;
        }));
    }, true);
}"""


def main() -> None:
    given = sizes(__doc__.splitlines()[0], keys=40, classes=1_000)
    path = chromium_path()
    if path is None:
        sys.exit("there is no Chromium on this machine; set CHROMIUM to its path.")
    with tempfile.TemporaryDirectory() as place, launched(path) as browser:
        folder = Path(place)
        made = image_folder(folder / "sets", given["classes"] * IPC)
        print(f"milliseconds from keydown; load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
        for name, at in (("demo set, 28 px, 10 classes", DEMO), (f"224 px, {given['classes']:,} classes", made)):
            workspace = known_workspace(folder / name.replace(" ", "-"), at)
            _deciding(browser, folder, name, workspace, given["keys"])
        _searching(browser)


def _deciding(browser: Browser, folder: Path, name: str, workspace: Path, keys: int) -> None:
    port = free_port()
    arguments = ["-m", "app", "--workspace", str(workspace), "--port", str(port), "--headless"]
    with serve(arguments, port, folder / "app.log") as server:
        page = browser.new_context(viewport=SIZE).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(server.address)
        page.get_by_test_id("stSidebarNav").get_by_role("link", name="Decide", exact=True).click()
        choose(page, "Queue", QUEUE)
        page.locator(".card .frame img").wait_for()
        page.wait_for_timeout(LEISURE_MS)
        page.evaluate(_WATCH)
        _print(f"{name}, a key each {LEISURE_MS} ms", _press(page, keys, LEISURE_MS))
        _print(f"{name}, bursts of {BURST} at {BURST_MS} ms", _press(page, keys, BURST_MS))


def _press(page: Page, keys: int, spacing_ms: int) -> list[dict[str, Any]]:
    page.evaluate("() => { window.keyed.length = 0; }")
    for pressed in range(keys):
        if spacing_ms < LEISURE_MS and pressed and pressed % BURST == 0:
            page.get_by_text("all saved").wait_for()
        page.keyboard.press(KEY)
        page.wait_for_timeout(spacing_ms)
    page.get_by_text("all saved").wait_for()
    page.wait_for_timeout(LEISURE_MS)
    keyed, paints = page.evaluate("() => [window.keyed, window.paints]")
    took = {round(one["at"], 1): one["took"] for one in paints}
    return [{**one, "paint": took.get(round(one["at"], 1), LEAST_PAINT_MS)} for one in keyed]


def _print(what: str, keyed: list[dict[str, Any]]) -> None:
    there = [one for one in keyed if one["moved"] and one["whole"]]
    names = {"paint": "next paint", "painted": "two frames", "done": "the key's task"}
    told = (
        f"{name}: median {statistics.median(one[key] for one in there):5.1f}  worst {max(one[key] for one in there):5.1f}"
        for key, name in names.items()
    )
    print(f"{what:54} {'  '.join(told)}  n {len(there)}, outran {len(keyed) - len(there)}")


def _searching(browser: Browser) -> None:
    source = (REPOSITORY / "app" / "components" / "card_parts" / "class_search.js").read_text(encoding="utf-8")
    page = browser.new_page()
    times = page.evaluate(
        """([source, count]) => {
            const Index = new Function(source + '; return ClassIndex')();
            const names = Array.from({ length: count }, (_, i) => `synset ${i * 7919 % count}, a kind of thing ${i % 97}`);
            const began = performance.now(), index = new Index(names), made = performance.now() - began;
            const keys = ['s', 'sy', 'thing', 'thing 9', 'of', 'zz', '77', '777', ''];
            const took = keys.flatMap(typed => Array.from({ length: 20 }, () => {
                const start = performance.now();
                index.find(typed, 6);
                return performance.now() - start;
            }));
            return { made, took };
        }""",
        [source, NAMES],
    )
    took = times["took"]
    print(
        f"search over {NAMES:,} class names: index once {times['made']:.1f}, then a keystroke median "
        f"{statistics.median(took):.2f}, worst {max(took):.2f}, n {len(took)}"
    )


if __name__ == "__main__":
    main()

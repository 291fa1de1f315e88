"""From the click to the picture, in a real Chromium: `python -m benchmarks.pages [--images N] [--repeats N]`.

Opens a folder of N 224-pixel images in the app (issue: its first page within 3 s), turns pages of 100 thumbnails that
were never seen before (issue: at most one image request, shown whole within 300 ms), while analyses run and while none
does, in a folder and in a tensor file, and does the same with the peer, 100 `st.image`. Times count from the browser's
own event until two frames after the tiles were laid out, so they hold what painting takes.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Request

from benchmarks.common import sizes
from benchmarks.pages_sets import image_folder, known_workspace, tensor_file, worked_in_workspace
from tests.browser.serving import chromium_path, free_port, launched, serve

A_PAGE = 100
OPENINGS = 5
LEISURE_MS = 800
PATIENCE_MS = 60_000
PEER = Path(__file__).with_name("pages_peer.py")

_NOTE_CLICKS = "addEventListener('click', event => { window.clicked = event.timeStamp }, true)"
_GALLERY = """gallery => ({
    at: Number(gallery.dataset.rendered) - window.clicked,
    first: Number(gallery.querySelector('.tile')?.dataset.id),
    tiles: gallery.querySelectorAll('.tile').length,
})"""
_WHEN = """first => new Promise(resolve => {
    const look = () => {
        if (SHOWN) requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - window.clicked)));
        else requestAnimationFrame(look);
    };
    look();
})"""
_STRIP = _WHEN.replace("SHOWN", "document.querySelector('.tile-picture')")
_ALL_IMAGES = _WHEN.replace(
    "SHOWN",
    """[...document.querySelectorAll('[data-testid="stImage"] img')].filter(i => i.complete && i.naturalWidth).length === 100
        && [...document.querySelectorAll('[data-testid="stImageCaption"]')].some(c => Number(c.innerText) === first)""",
)


def main() -> None:
    given = sizes(__doc__.splitlines()[0], images=50_000, repeats=15)
    path = chromium_path()
    if path is None:
        sys.exit("there is no Chromium on this machine; set CHROMIUM to its path.")
    with tempfile.TemporaryDirectory() as place, launched(path) as browser:
        _Benchmark(Path(place), browser, given["repeats"]).run(given["images"])


class _Benchmark:
    """Measures in milliseconds and prints as it goes."""

    def __init__(self, place: Path, browser: Browser, repeats: int) -> None:
        self._place = place
        self._browser = browser
        self._repeats = repeats
        self._ours: float | None = None

    def run(self, images: int) -> None:
        folder, tensors = image_folder(self._place / "sets", images), tensor_file(self._place / "sets", images)
        print(f"{images:,} images; milliseconds from click to painted; load average beside it")
        self._opening(folder)
        for name, path in (("224-px files", folder), ("32-px tensor", tensors)):
            workspace = known_workspace(self._place / f"{name} known", path)
            self._paging(name, ["--workspace", str(workspace)])
        workspace = worked_in_workspace(self._place / "worked in", tensors)
        self._paging("32-px tensor, mapped, 10,000 decisions", ["--workspace", str(workspace)])
        self._paging("224-px files, analyses running", [str(folder), "--workspace", str(self._place / "busy")])
        self._peer(folder)

    def _opening(self, folder: Path) -> None:
        opened, browsed, from_click = [], [], []
        for number in range(OPENINGS):
            with self._app(["--workspace", str(self._place / f"empty {number}")]) as page:
                page.get_by_label("File or folder").fill(str(folder))
                page.get_by_test_id("stForm").get_by_role("button", name="Open", exact=True).first.click()
                opened.append(page.evaluate(_STRIP))
                before = time.perf_counter()
                browsed.append(_browse(page))
                from_click.append(opened[-1] + 1000 * (time.perf_counter() - before))
        self._print("open the folder: its first images", opened)
        self._print("then Browse: its first 100", browsed)
        self._print("both, as a quick person does it", from_click)

    def _paging(self, name: str, arguments: Sequence[str]) -> None:
        with self._app(arguments) as page:
            _browse(page)
            requests = _image_requests(page)
            at_leisure = self._turn(page, 1, LEISURE_MS)
            at_once = self._turn(page, 1 + self._repeats, 0)
            self._print(f"next page, {name}", at_leisure)
            self._print("  without a pause", at_once)
            print(f"{'  image requests for all of these pages':58}{len(requests):>8}")
        self._ours = self._ours or statistics.median(at_leisure)

    def _turn(self, page: Page, first: int, pause_ms: int) -> list[float]:
        """Turn as many pages as repeats, the first of them to page number ``first``."""
        times = []
        for number in range(first, first + self._repeats):
            page.wait_for_timeout(pause_ms)
            page.get_by_role("button", name="chevron_right").click()
            times.append(_painted(page, number * A_PAGE))
        return times

    def _peer(self, folder: Path) -> None:
        port = free_port()
        options = ["--server.port", str(port), "--server.address", "127.0.0.1", "--server.headless", "true"]
        command = ["-m", "streamlit", "run", str(PEER), *options, "--", str(folder)]
        with serve(command, port, self._place / "peer.log") as server, self._page(server.address) as page:
            page.get_by_role("button", name="Next page").wait_for(timeout=PATIENCE_MS)
            requests, times = _image_requests(page), []
            for number in range(1, self._repeats + 1):
                page.wait_for_timeout(LEISURE_MS)
                page.get_by_role("button", name="Next page").click()
                times.append(page.evaluate(_ALL_IMAGES, number * A_PAGE))
        self._print("peer: next page of 100 st.image, 224-px files", times)
        print(f"{'  image requests for all of these pages':58}{len(requests):>8}")
        print(f"peer / ours: {statistics.median(times) / self._ours:.1f}")

    @contextmanager
    def _app(self, arguments: Sequence[str]) -> Iterator[Page]:
        port = free_port()
        command = ["-m", "app", *arguments, "--port", str(port), "--headless"]
        with serve(command, port, self._place / "app.log") as server, self._page(server.address) as page:
            page.get_by_role("heading", name="Sets", exact=True).wait_for()
            yield page

    @contextmanager
    def _page(self, address: str) -> Iterator[Page]:
        context = self._browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.add_init_script(_NOTE_CLICKS)
        page.goto(address)
        try:
            yield page
        finally:
            context.close()

    def _print(self, name: str, times: Sequence[float]) -> None:
        spread = f"min {min(times):6.0f}  max {max(times):6.0f}  of {len(times):3}  load {os.getloadavg()[0]:.1f}"
        print(f"{name:58}{statistics.median(times):8.0f}  {spread}", flush=True)


def _browse(page: Page) -> float:
    """Go to Browse and see its first page; milliseconds."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Browse", exact=True).click()
    return _painted(page, 0)


def _painted(page: Page, first: int) -> float:
    """Milliseconds from the last click until a gallery of a whole page, from sample ``first``, was painted."""
    give_up = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < give_up:
        for seen in page.locator(".gallery").evaluate_all(f"all => all.map({_GALLERY})"):
            if seen["at"] > 0 and seen["first"] == first and seen["tiles"] == A_PAGE:
                return seen["at"]
        time.sleep(0.02)  # the browser notes the moment itself, so looking now and then is enough
    raise TimeoutError("the page did not show its images.")


def _image_requests(page: Page) -> list[Request]:
    """Grows by every image that the page asks a server for from now on."""
    requests: list[Request] = []
    page.on("request", lambda asked: requests.append(asked) if asked.resource_type == "image" and _is_asked(asked) else None)
    return requests


def _is_asked(request: Request) -> bool:
    return not request.url.startswith(("data:", "blob:"))


if __name__ == "__main__":
    main()

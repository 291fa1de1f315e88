"""A real Chromium, and servers for it to look at."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

REPOSITORY = Path(__file__).resolve().parents[2]
COMPONENT_PAGES = Path(__file__).with_name("component_pages")
START_SECONDS = 60
BROWSER_MS = 20_000
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
# A proxy of the machine must not stand between the tests and this very machine.
_NO_PROXY = {"no_proxy": "127.0.0.1,localhost", "NO_PROXY": "127.0.0.1,localhost"}


@dataclass(frozen=True)
class Server:
    """A running app. ``log`` is the file that its stdout and stderr go to."""

    address: str
    process: subprocess.Popen
    log: Path

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def serve(arguments: Sequence[str], port: int, log: Path) -> Iterator[Server]:
    """Run a Python command that serves on ``port`` until the block ends; it starts once the port answers.

    ``arguments`` follow the interpreter, for example ``["-m", "app", "--port", str(port), "--headless"]``.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **_NO_PROXY, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser: $CHROMIUM, or Debian's."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(path).exists():
        pytest.skip("there is no Chromium on this machine; set CHROMIUM to its path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """A function that opens a page in a context of its own; keyword arguments go to ``Browser.new_context``."""
    contexts = []

    def open_page(**options: object) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(BROWSER_MS)
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    return new_page()


@pytest.fixture(scope="session")
def component_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """All of component_pages/ in one app, at /<name of the file>."""
    port = free_port()
    log = tmp_path_factory.mktemp("component-pages") / "server.log"
    with serve([str(COMPONENT_PAGES / "serve.py"), str(port)], port, log) as server:
        yield server


def _wait(server: Server) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        if server.process.poll() is not None:
            break
        try:
            with opener.open(f"{server.address}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{server.output()}")

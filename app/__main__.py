"""``python -m app [PATH ...]``: open the workspace, serve the pages."""

from __future__ import annotations

import argparse
import gc
import importlib
import ipaddress
import os
import pkgutil
import socket
import sys
from dataclasses import replace
from pathlib import Path

from analysis.device import describe, pick
from analysis.registry import analyses
from app import services
from app.login import Login, read_login
from data.cli import add_opening_options, opening_options, report_errors
from data.distilled_set import PLACES, OpenOptions
from data.errors import ImpossibleRequest

DECISIONS = "STILLROOM_DECISIONS"
DEFAULT_PORT = 8501
LOOPBACK = "127.0.0.1"


@report_errors
def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when stopped, 2 with one sentence on stderr where it cannot start."""
    given = _parser().parse_args(arguments)
    device = pick(given.device)
    _check_listening(given)
    _check_port(given.host, given.port)
    address = f"http://{given.host}:{given.port}"
    options = _options(given)
    login = _login(given, address)
    running = services.start(given.workspace, address, str(device), login, given.decisions)
    try:
        for path in given.paths:
            running.start_first(running.workspace.add_set(path, options))
        _import_pages()
        print(f"Stillroom: {address}   (workspace {given.workspace}, {describe(device)}; stop with Ctrl-C)", flush=True)
        if login is not None:
            print(f"People log in at {login.origin}", flush=True)
        elif not _is_loopback(given.host):
            print(f"There is no login: whoever reaches {given.host} can read files as you and decide as anyone.", flush=True)
        _serve(given.host, given.port, given.headless)
    finally:
        running.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app", description="Stillroom in the browser.")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="distilled sets to open")
    parser.add_argument(
        "--workspace", type=Path, default=Path("workspace"), metavar="DIR", help="where decisions and results are kept"
    )
    parser.add_argument(
        "--decisions",
        metavar="URL",
        default=os.environ.get(DECISIONS, ""),
        help="the PostgreSQL database in which several app processes share decisions, as postgresql://USER@HOST/DATABASE; "
        f"a URL with a password belongs in {DECISIONS}, since everybody on the machine can see command lines",
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--host", default=LOOPBACK, metavar="ADDR", help="other than loopback takes one of the next two")
    parser.add_argument("--auth", type=Path, metavar="FILE.toml", help="people log in with the provider that FILE names")
    parser.add_argument(
        "--without-login", action="store_true", help="serve a network that you trust: whoever reaches it may do everything"
    )
    parser.add_argument("--device", default="auto", help="cuda, mps or cpu; the best one by default")
    parser.add_argument("--headless", action="store_true", help="do not open a browser window")
    add_opening_options(parser)
    return parser


def _options(given: argparse.Namespace) -> OpenOptions:
    """What was said about the one set that is opened; other files are remembered by where they lie, whatever the next
    working folder. Raises ImpossibleRequest where several sets are opened."""
    options = opening_options(given)
    if len(given.paths) != 1 and options != OpenOptions():
        raise ImpossibleRequest(
            f"options that say something about a set need exactly one PATH, not {len(given.paths)}; open the others without."
        )
    named = {name: getattr(options, name) for name in PLACES}
    return replace(options, **{name: os.path.abspath(place) for name, place in named.items() if place is not None})


def _check_listening(given: argparse.Namespace) -> None:
    """Raises ImpossibleRequest rather than let a network in by mistake."""
    if given.auth is not None and given.without_login:
        raise ImpossibleRequest("--auth and --without-login contradict each other; leave one of them out.")
    if given.auth is None and not given.without_login and not _is_loopback(given.host):
        raise ImpossibleRequest(
            f"whoever reaches {given.host} could read files as you and decide as anyone; give a login with --auth "
            "FILE.toml, or say --without-login where the network is trusted."
        )


def _login(given: argparse.Namespace, address: str) -> Login | None:
    if given.auth is None:
        return None
    return read_login(given.auth, given.workspace, address if _is_loopback(given.host) else "")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_port(host: str, port: int) -> None:
    """Say in one sentence what uvicorn would say in many."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, OverflowError) as error:
        raise ImpossibleRequest(f"port {port} on {host} cannot be used ({error}); choose another with --port.") from error


def _import_pages() -> None:
    """Everything that the first page would import (2 s and more), before anybody waits for it."""
    analyses()
    for page in pkgutil.iter_modules([str(Path(__file__).parent / "pages")]):
        importlib.import_module(f"app.pages.{page.name}")


def _serve(host: str, port: int, headless: bool) -> None:
    import streamlit as st
    import torch
    from starlette.middleware import Middleware

    from app.wall import LoginWall

    torch.set_num_threads(1)  # pages do small tensor work only; threads cost more than they bring, and the worker needs them
    gc.collect()
    gc.freeze()  # torch's and UMAP's objects never die: without this every rerun walks them all (measured: 233 ms)
    login = services.services().login
    st.App(
        Path(__file__).parent / "frame" / "main.py",
        secrets=None if login is None else login.for_streamlit,
        middleware=[] if login is None else [Middleware(LoginWall)],
    ).run(
        config={
            "secrets.files": [],  # a secrets.toml of another project must not answer for who somebody is, nor a header
            "server.trustedUserHeaders": {},
            "server.enableAgentApi": False,
            "server.corsAllowedOrigins": [] if login is None else [login.origin],
            "server.address": host,
            "server.port": port,
            "server.headless": headless,
            "server.fileWatcherType": "none",
            "server.maxUploadSize": 4096,
            "browser.gatherUsageStats": False,
            "runner.postScriptGC": False,
            "client.toolbarMode": "minimal",
            "client.showErrorDetails": "type",
            "client.showErrorLinks": False,
            **_THEME,
        }
    )


# Paper and copper by day, slate and copper by night; the browser's preference chooses. Streamlit writes captions, and all
# that is in them, with 60% of the ink: it is as dark, or as light, as those need for a contrast of 4.5 (WCAG 1.4.3).
_THEME = {
    "theme.light.primaryColor": "#8e4a26",
    "theme.light.backgroundColor": "#fdfbf7",
    "theme.light.secondaryBackgroundColor": "#f4efe6",
    "theme.light.textColor": "#15110d",
    "theme.light.codeTextColor": "#15110d",
    "theme.dark.primaryColor": "#d99a6c",
    "theme.dark.backgroundColor": "#17181a",
    "theme.dark.secondaryBackgroundColor": "#212326",
    "theme.dark.textColor": "#e9e5df",
    "theme.dark.codeTextColor": "#e9e5df",
}


if __name__ == "__main__":
    sys.exit(main())

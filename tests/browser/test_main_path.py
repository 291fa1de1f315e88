"""A newcomer's whole job in a real browser: open, look, diagnose, decide, export; and what must hold meanwhile."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from playwright.sync_api import expect

from tests.browser.conftest import REPOSITORY, free_port
from tests.browser.steps import app, choose, export_here, go_to, made, open_path, tiles
from tests.data.sets import N
from tests.fixtures import fixture

pytestmark = pytest.mark.browser
ANALYSED_MS = 240_000


def test_empty_app__says_what_to_do_next(page, tmp_path):
    with app(tmp_path) as server:
        page.goto(server.address)
        expect(page.get_by_role("button", name="Open the demo set")).to_be_visible()
        for name in ("Browse", "Decide", "Export"):
            page.get_by_test_id("stSidebarNav").get_by_role("link", name=name, exact=True).click()
            expect(page.get_by_text("No set is open yet")).to_be_visible()


def test_bad_path__is_one_sentence_and_leaves_the_page_usable(page, tmp_path):
    with app(tmp_path) as server:
        page.goto(server.address)
        open_path(page, tmp_path / "nothing here")
        expect(page.get_by_role("alert").filter(has_text="does not exist")).to_be_visible()
        open_path(page, made(tmp_path))
        expect(page.get_by_role("heading", name="What next")).to_be_visible()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "DC_CIFAR100_ConvNet_1ipc.pt",
        "res_DC_MNIST_ConvNet_1ipc.pt",
        "vis_DC_CIFAR10_ConvNet_10ipc_exp3_iter1000.png",
        "vis_DM_CIFAR10_ConvNet_10ipc_exp0_iter20000.png",
        "vis_DSA_CIFAR10_ConvNet_10ipc_exp4_iter1000.png",
    ],
)
def test_published_set__opened_analysed_decided_exported(page, tmp_path, name):
    with app(tmp_path) as server:
        page.goto(server.address)
        open_path(page, fixture("distilled", name))
        expect(page.get_by_role("heading", name="What next")).to_be_visible()
        go_to(page, "Within-class diversity")
        expect(page.get_by_text(re.compile(r"^Computed in .* s on "))).to_be_visible(timeout=ANALYSED_MS)
        go_to(page, "Browse")
        tiles(page).nth(3).click()
        expect(page.get_by_role("heading", name="Sample 3")).to_be_visible()
        page.get_by_role("button", name="Prune", exact=True).click()
        expect(page.get_by_text("1 × prune, saved.")).to_be_visible()
        manifest = export_here(page, tmp_path / "curated")
    assert manifest["counts"]["pruned"] == 1
    assert all((tmp_path / "curated" / file["path"]).is_file() for file in manifest["written_files"])


def test_learned_soft_labels__open_without_images(page, tmp_path):
    with app(tmp_path, fixture("learned-soft-labels", "sldd-trec6-step000.txt")) as server:
        page.goto(server.address)
        expect(page.get_by_text("no images")).to_be_visible()
        go_to(page, "Browse")
        expect(page.get_by_test_id("stDataFrame")).to_be_visible()


def test_keys__decide_and_undo_and_survive_kill_9(page, tmp_path):
    path = made(tmp_path)
    with app(tmp_path, path) as server:
        page.goto(server.address)
        go_to(page, "Decide")
        choose(page, "Queue", "Everything undecided")
        expect(page.get_by_text(f"of {N} decided")).to_be_visible()
        for key in "kkp1z":
            page.keyboard.press(key)
        expect(page.get_by_text(re.compile(rf"^2 of {N} decided"))).to_be_visible()
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    with app(tmp_path, path) as server:
        page.goto(server.address)
        go_to(page, "Decide")
        expect(page.get_by_text(re.compile(rf"^2 of {N} decided"))).to_be_visible()


def test_export__of_nothing_decided_is_bit_for_bit(page, tmp_path):
    path = made(tmp_path)
    with app(tmp_path, path) as server:
        page.goto(server.address)
        manifest = export_here(page, tmp_path / "same")
    (written,) = [tmp_path / "same" / f["path"] for f in manifest["written_files"] if f["path"].endswith(".pt")]
    before, after = (torch.load(p, weights_only=False)["data"][0] for p in (path, written))
    assert all(torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(before, after, strict=True))


def test_second_app__on_the_same_workspace_gets_one_sentence(tmp_path):
    with app(tmp_path, made(tmp_path)) as server:
        second = subprocess.run(
            [sys.executable, "-m", "app", "--workspace", str(tmp_path / "workspace"), "--port", str(free_port())],
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert second.returncode == 2
    (sentence,) = second.stderr.strip().splitlines()
    assert server.address in sentence and "--workspace" in sentence


def test_analysis__cancelled_leaves_the_page_usable(page, tmp_path):
    with app(tmp_path, made(tmp_path)) as server:
        page.goto(server.address)
        page.locator('[class*="st-key-cancel-map"] button').first.click()
        go_to(page, "Map")
        expect(page.get_by_text("The last run was cancelled")).to_be_visible()
        expect(page.get_by_role("button", name="Run it again")).to_be_enabled()
        page.get_by_text("Parameters").click()
        expect(page.get_by_role("button", name="Run", exact=True)).to_be_enabled()


def test_nothing_is_asked_of_any_other_machine(page, tmp_path):
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    with app(tmp_path, made(tmp_path)) as server:
        page.goto(server.address)
        go_to(page, "Browse")
        expect(tiles(page).first).to_be_visible()
    assert [url for url in asked if not url.startswith((server.address, "data:", "blob:"))] == []

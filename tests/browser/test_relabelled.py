"""A set with a relabelled tree in a real browser: its facts, its crops, pruning the tree, exporting through it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from data.distilled_set import OpenOptions
from data.formats import open_set
from data.workspace import Workspace
from tests.browser.steps import app, export_here, go_to, tiles
from tests.data.trees import MadeFile, MadeTree, make_tree

pytestmark = pytest.mark.browser
EPOCHS, PRUNED = 8, 2


@pytest.fixture
def made(tmp_path) -> MadeTree:
    return make_tree("sre2l", tmp_path / "set", epochs=EPOCHS)


@pytest.fixture
def listed(made, tmp_path) -> MadeTree:
    """The set is on the workspace's list, and nothing is being analysed."""
    with Workspace.open(tmp_path / "workspace") as workspace:
        workspace.add_set(made.images.parent)
    return made


def frames(page: Page):
    """The frames on the picture; the first path is their common casing."""
    return page.locator('[class*="frames"] .js-plotly-plot .scatterlayer .trace')


def test_sets__images_and_a_tree_kept_elsewhere(page, tmp_path, made):
    with app(tmp_path) as server:
        page.goto(server.address)
        expect(page.get_by_role("button", name="Open the demo set")).to_be_visible()
        page.get_by_text("What the files leave out, or Stillroom gets wrong").click()
        page.get_by_label("Label file or relabelled tree kept elsewhere").fill(str(made.tree))
        page.get_by_label("File or folder").fill(str(made.images))
        page.get_by_test_id("stBaseButton-primaryFormSubmit").first.click()
        expect(page.get_by_role("heading", name="Soft labels of crops")).to_be_visible()
        rows = sum(len(file.images) for file in made.files)
        for fact in ("SRe2L", str(EPOCHS), str(len(made.files)), f"{rows:,}"):
            expect(page.get_by_test_id("stMetricValue").get_by_text(fact, exact=True).first).to_be_visible()
        expect(page.get_by_text(f"{EPOCHS} crops an image.")).to_be_visible()
        expect(page.get_by_text(re.compile(r"Checked: [\d,]+ of [\d,]+ rows"))).to_be_visible()


def votes_for_others(made: MadeTree, image: int) -> list[tuple[MadeFile, int]]:
    """File and row of those of its crops that the teacher takes for another class."""
    rows = [(file, int(row)) for file in made.files for row in np.flatnonzero(file.images == image)]
    return [(file, row) for file, row in rows if int(file.logits[row].argmax()) != int(made.labels[image])]


def test_browse__crops_of_a_sample(page, tmp_path, listed):
    sample = next(i for i in range(len(listed.labels)) if 0 < len(votes_for_others(listed, i)) < EPOCHS)
    others = len(votes_for_others(listed, sample))
    with app(tmp_path) as server:
        page.goto(server.address)
        go_to(page, "Browse")
        tiles(page).nth(sample).click()
        expect(page.get_by_text(f"{EPOCHS} crops. The colour")).to_be_visible()
        expect(frames(page)).to_have_count(EPOCHS + 1)
        page.get_by_text("Only those voting another class").click()
        expect(page.get_by_text(f"{EPOCHS} crops; {others} of these are drawn")).to_be_visible()
        expect(frames(page)).to_have_count(others + 1)


def point_at(page: Page, box: list[float]) -> None:
    """Move the pointer onto the left edge of the crop ``box``: top, left, height, width as shares of the picture."""
    top, left, height, _ = box
    picture = page.locator('[class*="frames"] .js-plotly-plot .imagelayer image')
    picture.scroll_into_view_if_needed()
    place = picture.bounding_box()
    page.mouse.move(place["x"] + left * place["width"] + 1, place["y"] + (top + height / 2) * place["height"], steps=3)


def test_browse__a_crop_pointed_at_says_where_it_is_from_and_what_the_teacher_saw(page, tmp_path, listed):
    sample = next(i for i in range(len(listed.labels)) if len(votes_for_others(listed, i)) == 1)
    ((file, row),) = votes_for_others(listed, sample)
    seen = file.logits[row].half().float().softmax(dim=0)
    partner = int(file.partners[row])
    with app(tmp_path) as server:
        page.goto(server.address)
        go_to(page, "Browse")
        tiles(page).nth(sample).click()
        page.get_by_text("Only those voting another class").click()
        expect(frames(page)).to_have_count(2)
        said = page.locator('[class*="frames"] .hovertext')
        expect(said).to_have_count(0)
        point_at(page, file.boxes[row].tolist())
        top = [f"new{label:03d}" for label in seen.argsort(descending=True)[:3].tolist()]
        expect(said).to_have_text(re.compile(f"^{top[0]} {float(seen.max()):.0%}{top[1]} .*%{top[2]} .*%"))
        expect(said).to_contain_text(f"{file.own:.0%} this image")
        expect(said).to_contain_text(f"{1 - file.own:.0%} sample {partner} (new{listed.labels[partner]:03d})")
        expect(said).to_contain_text(f"epoch {file.epoch}, batch {file.number}, row {row}")


def test_label_budget__a_pruned_tree_is_written_and_remembered(page, tmp_path, listed):
    out = tmp_path / "pruned"
    with app(tmp_path) as server:
        page.goto(server.address)
        go_to(page, "Label budget")
        page.get_by_label("Folder to write, new or empty").fill(str(out))
        page.get_by_label("Leave out, % of the batches").fill("75")
        page.get_by_role("button", name=re.compile("Write the pruned tree")).click()
        expect(page.get_by_text("Written to")).to_be_visible()
        go_to(page, "Sets")
        go_to(page, "Label budget")
        expect(page.get_by_text("Written to")).to_be_visible()
        page.get_by_label("Folder to write, new or empty").fill(str(out))
        page.get_by_role("button", name=re.compile("Write the pruned tree")).click()
        expect(page.get_by_role("alert").filter(has_text="not empty")).to_be_visible()
    full = [file for file in listed.files if len(file.images) == listed.sizes.batch]
    pruned = open_set(listed.images, OpenOptions(labels=str(out))).label_sources["given"].tree
    assert len(pruned) == len(full) // 4


def test_export__says_what_each_way_costs_and_writes_the_chosen_one(page, tmp_path, listed):
    with app(tmp_path) as server:
        page.goto(server.address)
        go_to(page, "Browse")
        tiles(page).nth(PRUNED).click()
        page.get_by_role("button", name="Prune", exact=True).click()
        expect(page.get_by_text("1 × prune, saved.")).to_be_visible()
        go_to(page, "Export")
        expect(page.get_by_role("heading", name="Soft labels of crops")).to_be_visible()
        page.get_by_text("keep such crops as they are").first.click()
        manifest = export_here(page, tmp_path / "curated")
    assert manifest["counts"]["pruned"] == 1
    tree = open_set(tmp_path / "curated").label_sources["given"].tree
    assert tree.rows == sum(int((file.images != PRUNED).sum()) for file in listed.files), "only its own rows are gone"

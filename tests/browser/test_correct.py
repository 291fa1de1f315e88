"""Correcting soft labels in a real browser: seen, kept, chosen, written, and opened again."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page, expect

from data.demo import DEMO
from data.distilled_set import GIVEN
from data.formats import open_set
from tests.browser.steps import app, choose, export_here, go_to
from tests.data.sets import make

pytestmark = pytest.mark.browser
SHOWN_MS = 60_000
NAME = re.compile(r"teacher medium, ADSA tau \d")


def values_of(folder: Path) -> np.ndarray:
    return np.load(folder / "values.npy")


def kept_name(page: Page) -> str:
    field = page.get_by_label("Keep these labels as")
    expect(field).to_have_value(NAME, timeout=SHOWN_MS)
    return field.input_value()


def parameter(page: Page, name: str, value: str) -> None:
    page.get_by_label(name, exact=True).fill(value)
    page.get_by_label(name, exact=True).press("Enter")


@pytest.mark.slow
def test_correct__adsa_from_preview_to_files_that_open_again(page, tmp_path):
    with app(tmp_path, DEMO) as server:
        page.goto(server.address)
        go_to(page, "Correct")
        choose(page, "Label source", "teacher medium")
        name = kept_name(page)
        expect(page.get_by_text("Samples that change most")).to_be_visible()
        expect(page.get_by_text("How tau was chosen")).to_be_visible()
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_text("is a label source of this set now")).to_be_visible(timeout=SHOWN_MS)
        (folder,) = (tmp_path / "workspace" / "derived").glob("*/*")
        recipe = json.loads((folder / "recipe.json").read_text())
        assert (recipe["name"], recipe["correction"], recipe["source"]) == (name, "adsa", "teacher medium")
        go_to(page, "Export")
        choose(page, "As the set's own", name)
        manifest = export_here(page, tmp_path / "out")
        assert manifest["soft_labels"]["own"]["name"] == name
    before, again = open_set(DEMO), open_set(tmp_path / "out")
    own = again.label_sources[GIVEN]
    assert own.kind == "logits" and own.dtype == torch.float32
    assert np.array_equal(own.stored(np.arange(len(again))).numpy(), values_of(folder))
    assert np.array_equal(again.labels, before.labels) and again.class_names == before.class_names
    medium = before.label_sources["teacher medium"].stored(np.arange(len(before))).double()
    prior = torch.from_numpy(before.class_counts / before.class_counts.sum()).log()
    tau = next(figure["value"] for figure in recipe["found"] if figure["label"] == "Tau")
    assert torch.allclose(own.stored(np.arange(len(again))).double(), medium - tau * prior, atol=1e-4)


@pytest.mark.slow
def test_correct__a_changed_parameter_shows_at_once_and_a_removed_source_is_gone_everywhere(page, tmp_path):
    made = make("datm", tmp_path / "set")
    with app(tmp_path, made.path) as server:
        page.goto(server.address)
        go_to(page, "Correct")
        choose(page, "Correction", re.compile("^Temperature"))
        field = page.get_by_label("Keep these labels as")
        expect(field).to_have_value("given, Temperature 2", timeout=SHOWN_MS)
        parameter(page, "Temperature", "3")
        expect(field).to_have_value("given, Temperature 3", timeout=SHOWN_MS)
        field.fill("given")
        field.press("Enter")
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_role("alert").filter(has_text="already")).to_be_visible()
        field.fill("../warm *3*")
        field.press("Enter")
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_text("Corrected label sources")).to_be_visible(timeout=SHOWN_MS)
        assert [path.name for path in (tmp_path / "workspace" / "derived").glob("*/*")] == ["1"]
        choose(page, "Label source", "../warm *3*")
        expect(page.get_by_text("Head, medium and tail")).to_be_visible(timeout=SHOWN_MS)
        page.get_by_role("button", name="delete").click()
        page.get_by_role("button", name="Remove", exact=True).click()
        expect(page.get_by_text("Corrected label sources")).not_to_be_visible()
        expect(page.get_by_role("combobox", name="Label source")).to_have_value("given")
        go_to(page, "Export")
        expect(page.get_by_text("Soft labels to write")).not_to_be_visible()


@pytest.mark.slow
def test_correct__a_set_with_hard_labels_only_is_offered_what_needs_no_others(page, tmp_path):
    with app(tmp_path, make("mtt", tmp_path / "set").path) as server:
        page.goto(server.address)
        go_to(page, "Correct")
        expect(page.get_by_text("came with hard labels only")).to_be_visible(timeout=SHOWN_MS)
        choose(page, "Correction", "Zipf labels")
        expect(page.get_by_label("Keep these labels as")).to_have_value(re.compile("Zipf"), timeout=SHOWN_MS)
        choose(page, "Correction", "ADSA")
        expect(page.get_by_text("This needs soft labels and class counts")).to_be_visible()


@pytest.mark.slow
def test_correct__a_damaged_source_is_listed_with_its_trouble_and_can_be_removed(page, tmp_path):
    with app(tmp_path, make("datm", tmp_path / "set").path) as server:
        page.goto(server.address)
        go_to(page, "Correct")
        choose(page, "Correction", re.compile("^Temperature"))
        expect(page.get_by_label("Keep these labels as")).to_have_value(re.compile("Temperature"), timeout=SHOWN_MS)
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_text("Corrected label sources")).to_be_visible(timeout=SHOWN_MS)
        (folder,) = (tmp_path / "workspace" / "derived").glob("*/*")
        (folder / "recipe.json").write_text("{")
        page.reload()
        expect(page.get_by_role("alert").filter(has_text="recipe.json")).to_be_visible(timeout=SHOWN_MS)
        page.get_by_role("button", name="delete").click()
        page.get_by_role("button", name="Remove", exact=True).click()
        expect(page.get_by_text("Corrected label sources")).not_to_be_visible()
        assert not folder.exists()

"""The list of corrected label sources: what it says of each, and of those that are damaged."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.corrections.registry import find
from analysis.findings import SHARE, Figure
from app.correct_sources import found_words, made_sources, proposed_name, recipe_words
from app.sample_panel import label_bars
from data.derived_sources import RECIPE, VALUES, attach_derived, write_derived
from data.formats import open_set
from tests.data.sets import CLASSES, N, make

RECIPE_SAID = {
    "correction": "adsa",
    "title": "ADSA: calibration",
    "source": "given",
    "parameters": {"tau": 1.0, "search": "automatic"},
    "found": [{"label": "Tau", "value": 1.354}, {"label": "Spread", "value": None}],
}


def write(folder, name="mine", **recipe):
    rows = torch.zeros(N, CLASSES)
    rows[:, 2] = 9.0
    write_derived(folder, name, (N, CLASSES), [(np.arange(N), rows)], {**RECIPE_SAID, **recipe})
    return folder


@pytest.fixture
def plain(tmp_path):
    return open_set(make("datm", tmp_path / "set").path)


def test_made__says_how(plain, tmp_path):
    folder = write(tmp_path / "1")
    (made,) = made_sources((folder,), attach_derived(plain, [folder]))
    assert (made.name, made.trouble) == ("mine", "")
    assert made.how == "ADSA: calibration of given: tau 1, search automatic" and made.found == "Tau 1.35"


@pytest.mark.parametrize("damage", ["recipe", "values", "shape", "twice", "clash"])
def test_made__a_damaged_one_is_listed_with_its_trouble(plain, tmp_path, damage):
    folders = (write(tmp_path / "1"), write(tmp_path / "2", {"twice": "mine", "clash": "given"}.get(damage, "other")))
    if damage == "recipe":
        (folders[1] / RECIPE).write_text("no JSON")
    if damage == "values":
        (folders[1] / VALUES).unlink()
    if damage == "shape":
        np.save(folders[1] / VALUES, np.zeros((N, CLASSES + 1), np.float32))
    whole, broken = made_sources(folders, attach_derived(plain, folders))
    assert whole.trouble == "" and broken.trouble and "\n" not in broken.trouble
    assert broken.folder == folders[1]


@pytest.mark.parametrize(
    "recipe", [{}, {"parameters": [1], "found": {"a": 1}}, {"found": [3], "source": None}, {"title": 5}]
)
def test_words__a_recipe_somebody_else_wrote(recipe):
    assert isinstance(recipe_words(recipe), str) and isinstance(found_words(recipe), str)


def test_proposed_name__source_correction_and_its_number():
    found = (Figure("Tau", 1.3512, "", 9), Figure("Spread of class confidence before", 0.3, "", 9))
    assert proposed_name("given", find("adsa"), {}, found, ()) == "given, ADSA tau 1.35"
    assert proposed_name("given", find("temperature"), {"temperature": 2.0}, (), ()) == "given, Temperature 2"
    assert proposed_name("", find("zipf"), {"a": 1}, (), ()) == "Zipf labels"


def test_proposed_name__what_was_measured_is_no_part_of_it():
    found = (Figure("Labels changed", 0.09, "", 200, SHARE, low=0.05, high=0.13), Figure("Stages done", 1, "", 200))
    assert proposed_name("given", find("self_distillation"), {}, found, ()) == "given, Self-distillation"


def test_proposed_name__never_one_that_is_taken():
    assert proposed_name("g", find("zipf"), {"a": 1}, (), ("g, Zipf labels", "g, Zipf labels (2)")) == "g, Zipf labels (3)"
    assert len(proposed_name("x" * 300, find("zipf"), {"a": 1}, (), ())) <= 120


def test_label_bars__a_corrected_source_is_told_from_an_opinion(plain, tmp_path):
    attached = attach_derived(plain, [write(tmp_path / "1")])
    kinds = {bar.name: bar.kind for bar in label_bars(attached, 0)}
    assert kinds == {"given soft label": "logits", "mine": "corrected"}

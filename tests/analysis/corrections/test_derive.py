"""Corrected labels kept as a label source of their own, with how they were made."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.context import Cancelled, Context
from analysis.corrections import correct, corrections
from analysis.corrections.derive import derive
from analysis.label_sources import choose
from data.derived_sources import RECIPE, attach_derived
from data.errors import ImpossibleRequest
from tests.analysis.made_sets import made_set

OURS = ("absld", "adsa", "neighbours", "prior_matching", "prototypes", "temperature", "zipf")


def quick(name: str) -> dict[str, object]:
    return {"embedding": "pixels"} if name in ("neighbours", "prototypes", "zipf") else {}


@pytest.mark.parametrize("name", OURS)
def test_derive__writes_what_the_correction_gives(name, tmp_path):
    made = made_set((6, 5, 0, 2))
    written = derive(name, made, "teacher 1", Context(), tmp_path / "new", "better", quick(name))
    opened = attach_derived(made, [tmp_path / "new"])
    source = choose(opened, "better").labels
    expected = correct(name, made, "teacher 1", **quick(name))
    assert source.kind == "logits"
    torch.testing.assert_close(source.stored(np.arange(13)), expected.logits(np.arange(13)), rtol=1e-5, atol=1e-5)
    assert list(opened.label_sources) == list(made.label_sources), "never an opinion beside those it came from"
    recipe = written.recipe
    assert recipe == json.loads((tmp_path / "new" / RECIPE).read_text())
    entry = corrections()[name]
    assert recipe["name"] == "better" and recipe["correction"] == name and recipe["paper"] == entry.paper
    assert recipe["source"] == "teacher 1" and recipe["samples"] == 13
    assert recipe["parameters"] == entry.arguments(quick(name))
    assert [found["label"] for found in recipe["found"]] == [figure.label for figure in expected.found]
    assert recipe["caveats"] == list(expected.caveats)
    if expected.rescaling is not None:
        np.testing.assert_allclose(recipe["rescaling"]["shift"], expected.rescaling.shift)
        np.testing.assert_allclose(recipe["rescaling"]["divisor"], expected.rescaling.divisor)


def test_derive__the_default_source_is_named(tmp_path):
    made = made_set((3, 3))
    assert derive("temperature", made, "", Context(), tmp_path / "a", "t", {}).recipe["source"] == "given"
    bare = replace(made, label_sources={})
    assert derive("zipf", bare, "", Context(), tmp_path / "b", "z", quick("zipf")).recipe["source"] is None


def test_derive__figures_that_say_nothing_are_null(tmp_path):
    lone = made_set((1, 0))
    derive("neighbours", lone, "", Context(), tmp_path / "a", "n", quick("neighbours"))
    assert json.loads((tmp_path / "a" / RECIPE).read_text())["found"][0]["value"] is None


def test_derive__more_classes_than_anybody_reads_are_left_out(tmp_path):
    many = made_set((1,) * 1_001, size=1, channels=1, reference=False, teachers=1)
    said = derive("temperature", many, "", Context(), tmp_path / "a", "t", {}).recipe["rescaling"]
    assert said == {"formula": "logits / divisor[label] - shift"}


def test_derive__a_name_that_is_taken_is_refused(tmp_path):
    with pytest.raises(ImpossibleRequest, match="called 'teacher 0' already"):
        derive("temperature", made_set((2, 2)), "", Context(), tmp_path / "a", "teacher 0", {})
    assert not (tmp_path / "a").exists()


def test_derive__stopped_it_leaves_nothing(tmp_path):
    def stop(fraction: float, message: str) -> None:
        if "computing" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        derive("temperature", made_set((2, 2)), "", Context(report=stop), tmp_path / "a", "t", {})
    assert list(tmp_path.iterdir()) == []


def test_derive__from_a_derived_source(tmp_path):
    made = made_set((4, 4))
    derive("temperature", made, "", Context(), tmp_path / "a", "softer", {"temperature": 2.0})
    opened = attach_derived(made, [tmp_path / "a"])
    again = derive("temperature", opened, "softer", Context(), tmp_path / "b", "as before", {"temperature": 0.5})
    assert again.recipe["source"] == "softer"
    found = choose(attach_derived(opened, [tmp_path / "b"]), "as before").labels.stored(np.arange(8))
    torch.testing.assert_close(found, made.label_sources["given"].values)

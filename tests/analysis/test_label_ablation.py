"""What is cut is what is said, and a cut that ruins labels ruins students."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis import label_ablation as module
from analysis.registry import run
from data.errors import ImpossibleRequest
from data.soft_labels import TopKSoftLabels
from tests.analysis.made_sets import made_set
from tests.analysis.students.made_marks import trainer

TINY = {"network": "linear", "steps": 2, "seeds": 3}


@pytest.fixture(scope="module")
def ordinary():
    return made_set(n_per_class=[8], num_classes=6, test=True)


def figure(found, label):
    return next(f for f in found.summary if f.label == label)


def test_label_ablation__losing_the_largest_costs_most(ordinary):
    found = run("label_ablation", ordinary, network="linear", steps=40, seeds=3, augment=False)
    by_k = found.tables["by k"].set_index(["group", "k"])["accuracy"]
    assert by_k[module.SWAP, 1] < 0.2 < 0.9 < by_k[module.SWAP, 0], "each sample's own class comes to the last place"
    assert by_k[module.KEEP, 1] > 0.9, "the class itself is all that these labels say"


def test_label_ablation__sweeps_powers_of_two_from_what_they_depart_from(ordinary):
    found = run("label_ablation", ordinary, **TINY)
    by_k = found.tables["by k"]
    assert by_k["k"].tolist() == [0, 1, 2, 4] * 2
    cuts = found.tables["cuts"].set_index("label")["accuracy"]
    starts = by_k[by_k["k"] == 0].set_index("group")["accuracy"]
    assert starts[module.KEEP] == cuts["hard label"] and starts[module.SWAP] == cuts["whole soft label"]
    assert len(run("label_ablation", ordinary, most_k=1, **TINY).tables["cuts"]) == 4


def test_label_ablation__the_mass_taken_is_counted(ordinary):
    p = np.sort(ordinary.label_sources["given"].probabilities(np.arange(48)).double().numpy(), axis=1)[:, ::-1]
    mass = run("label_ablation", ordinary, **TINY).tables["cuts"].set_index("label")["mass_taken"]
    assert mass["top 2 only"] == pytest.approx(1 - p[:, :2].sum(axis=1).mean(), abs=1e-6)
    assert mass["2nd largest exchanged with the last"] == pytest.approx((p[:, 1] - p[:, -1]).mean(), abs=1e-6)
    assert mass["whole soft label"] == 0 and np.isnan(mass["hard label"])


def test_label_ablation__fewest_classes_only_where_all_larger_cuts_do_as_well(ordinary, monkeypatch):
    def marked(**worse: float):
        cuts = (
            "top 1 only",
            "top 2 only",
            "top 4 only",
            *(f"{th} exchanged with the last" for th in ("largest", "2nd largest", "4th largest")),
        )
        shares = {
            name: worse.get(name.split(" only")[0].replace(" ", "_"), 0.8)
            for name in ("whole soft label", "hard label", *cuts)
        }
        right = {name: (lambda seed, share=share: share + seed / 36) for name, share in shares.items()}
        if worse:
            right["top 2 only"] = lambda seed: (
                0.3 + [0, 2, 2][seed] / 36
            )  # seeds that agree to the last would tell no spread
        monkeypatch.setattr(module, "train", trainer(right))
        return figure(run("label_ablation", ordinary, seeds=3), "Fewest classes kept that do as well")

    assert marked().value is None and "tell no spread" in marked().basis, "all agree, so no spread is known"
    assert marked(top_2=0.3).value == 4


def test_label_ablation__two_classes_have_one_rank_to_cut():
    found = run("label_ablation", made_set(n_per_class=(4, 4), test=True), **TINY)
    assert found.tables["by k"]["k"].tolist() == [0, 1] * 2
    assert figure(found, "Costliest rank to lose after the first").value is None


def test_label_ablation__one_class_has_no_parts():
    only = TopKSoftLabels(torch.ones(4, 1), torch.zeros(4, 1, dtype=torch.int64), 1, "probabilities")
    with pytest.raises(ImpossibleRequest, match="one class"):
        run(
            "label_ablation",
            replace(made_set(n_per_class=(4,), teachers=0, test=True), label_sources={"given": only}),
            **TINY,
        )

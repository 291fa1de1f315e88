"""Who sits on a panel, who is excused with which reason, and that nobody is asked while it is made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.context import Context
from analysis.critic import given_judge
from analysis.critic import panel as panels
from analysis.critic.panel import Panel, Wanted, panel
from analysis.critic.prototype_judge import prototype_judge
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest, UnreadableInput
from data.soft_labels import DenseSoftLabels
from tests.analysis.critic.scripted_endpoint import ScriptedEndpoint, form
from tests.analysis.made_sets import made_set

GIVEN, PROTOTYPES, COMMITTEE, MODEL = given_judge.NAME, "prototypes", "committee", "vision-language model"
ONLY_GIVEN_SPEAKS = "no judge but the given label can speak of this set"


def wanted(**chosen: object) -> Wanted:
    usual = {
        "prototypes": True,
        "committee": True,
        "zero_shot": False,
        "embedding": "pixels",
        "weights_folder": "",
        "endpoint": "",
        "model": "",
        "examples": 1,
        "repeats": 1,
        "pairs": 40,
        "endpoint_pairs": 7,
    }
    return Wanted(**{**usual, **chosen})


def made_panel(of: DistilledSet, context: Context | None = None, **chosen: object) -> Panel:
    return panel(of, wanted(**chosen), context or Context())


def names(found: Panel) -> list[str]:
    return [seat.judge.name for seat in found.seats]


@pytest.fixture(scope="module")
def ordinary() -> DistilledSet:
    return made_set(n_per_class=(6, 5, 4))


@pytest.fixture
def endpoint():
    with ScriptedEndpoint(lambda number, seen: form("A")) as served:
        yield served


def test_panel__what_costs_nothing_is_asked_first_each_within_its_own_budget(ordinary, endpoint):
    found = made_panel(ordinary, endpoint=endpoint.base, model="tiny")
    assert names(found) == [GIVEN, PROTOTYPES, COMMITTEE, MODEL]
    assert [seat.budget for seat in found.seats] == [40, 40, 40, 7]
    assert found.seats[-1].effort > max(seat.effort for seat in found.seats[:-1])


def test_panel__nothing_is_sent_while_it_is_made_up(ordinary, endpoint, tmp_path):
    made_panel(ordinary, Context(cache=tmp_path), endpoint=endpoint.base, model="tiny")
    assert endpoint.seen == []


@pytest.mark.parametrize("chosen", [{"prototypes": False}, {"committee": False}, {"committee": False, "prototypes": True}])
def test_panel__the_given_label_always_sits_and_what_was_not_wanted_does_not(ordinary, chosen):
    left = [name for name in (PROTOTYPES, COMMITTEE) if chosen.get(name, True)]
    assert names(made_panel(ordinary, **chosen)) == [GIVEN, *left]


def test_panel__without_images_or_sources_judges_are_excused_with_the_reason(ordinary):
    labels_only = made_panel(replace(ordinary, images=None, reference=None), zero_shot=True)
    assert names(labels_only) == [GIVEN, COMMITTEE]
    assert "prototypes did not judge: the set holds no images." in labels_only.caveats
    assert any(sentence.startswith("semantic did not judge: the set holds no images") for sentence in labels_only.caveats)
    no_sources = made_panel(replace(ordinary, label_sources={}))
    assert names(no_sources) == [GIVEN, PROTOTYPES]
    assert "committee did not judge: the set has no label sources." in no_sources.caveats


def test_panel__names_without_meaning_excuse_the_semantic_judge(ordinary):
    found = made_panel(ordinary, zero_shot=True)
    assert names(found) == [GIVEN, PROTOTYPES, COMMITTEE]
    assert [
        sentence for sentence in found.caveats if sentence.startswith("semantic did not judge: ") and "class 0" in sentence
    ]


def test_panel__nobody_left_to_speak_says_why_of_each(ordinary):
    bare = replace(ordinary, images=None, reference=None, label_sources={})
    with pytest.raises(ImpossibleRequest, match=ONLY_GIVEN_SPEAKS) as refused:
        made_panel(bare, zero_shot=True)
    for name in ("prototypes", "committee", "semantic"):
        assert f"{name} did not judge: " in str(refused.value)
    with pytest.raises(ImpossibleRequest, match=ONLY_GIVEN_SPEAKS):
        made_panel(ordinary, prototypes=False, committee=False)


def test_panel__an_endpoint_without_images_to_show_is_refused(ordinary, endpoint):
    with pytest.raises(ImpossibleRequest, match="no image to show"):
        made_panel(replace(ordinary, images=None, reference=None), endpoint=endpoint.base, model="tiny")


def test_panel__a_folder_of_weights_that_is_not_there_is_refused_and_not_replaced(ordinary, tmp_path):
    with pytest.raises(UnreadableInput, match="there is no weights folder"):
        made_panel(
            replace(ordinary, class_names=("cat", "dog", "ship")), zero_shot=True, weights_folder=str(tmp_path / "none")
        )


@pytest.mark.parametrize("committee", [True, False])
def test_panel__what_to_know_of_the_sources_is_said_once_whether_they_judge_or_only_name_candidates(ordinary, committee):
    alone = replace(ordinary, label_sources={"given": ordinary.label_sources["given"]})
    said = [sentence for sentence in made_panel(alone, committee=committee).caveats if "given soft labels speak" in sentence]
    assert len(said) == 1 and said[0].startswith("committee: ") == committee


def test_panel__prototypes_name_candidates_only_where_no_source_does(ordinary, monkeypatch):
    monkeypatch.setattr(panels, "OWN_ROWS", 4)
    assert made_panel(ordinary).own is None
    bare = replace(ordinary, label_sources={})
    own = made_panel(bare).own
    assert own.dtype == np.float32 and own.shape == (len(bare), bare.num_classes)
    judge = prototype_judge(bare, Context(), "pixels")
    np.testing.assert_allclose(own, judge.probabilities(np.arange(len(bare))), rtol=1e-5)


def test_panel__more_likelihoods_than_fit_are_refused(ordinary, monkeypatch):
    bare = replace(ordinary, label_sources={})
    monkeypatch.setattr(panels, "MOST_OWN_VALUES", len(bare) * bare.num_classes - 1)
    with pytest.raises(ImpossibleRequest, match="soft-label file"):
        made_panel(bare)


def journal_of(of: DistilledSet, endpoint: ScriptedEndpoint, cache: Path | None, **chosen: object) -> Path | None:
    asked = {"endpoint": endpoint.base, "model": "tiny", **chosen}
    return made_panel(of, Context(cache=cache), prototypes=False, **asked).seats[-1].journal


def test_panel__answers_are_kept_for_the_same_question_only(ordinary, endpoint, tmp_path):
    kept = journal_of(ordinary, endpoint, tmp_path)
    assert kept.is_relative_to(tmp_path) and kept == journal_of(ordinary, endpoint, tmp_path)
    assert journal_of(ordinary, endpoint, None) is None
    others = [
        journal_of(made_set(n_per_class=(6, 5, 4), seed=1), endpoint, tmp_path),
        journal_of(replace(ordinary, class_names=("x", "y", "z")), endpoint, tmp_path),
        journal_of(ordinary, endpoint, tmp_path, model="another"),
        journal_of(ordinary, endpoint, tmp_path, examples=2),
        journal_of(ordinary, endpoint, tmp_path, repeats=2),
    ]
    assert len({kept, *others}) == 6


def test_panel__only_the_endpoint_keeps_a_journal(ordinary, endpoint, tmp_path):
    found = made_panel(ordinary, Context(cache=tmp_path), endpoint=endpoint.base, model="tiny")
    assert [seat.journal is not None for seat in found.seats] == [False, False, False, True]


def test_panel__a_judges_caveats_name_it(ordinary):
    scores = {"given": DenseSoftLabels(torch.randn(len(ordinary), 3), "scores")}
    found = made_panel(replace(ordinary, label_sources=scores), prototypes=False)
    assert found.caveats and all(sentence.startswith("committee: ") for sentence in found.caveats)

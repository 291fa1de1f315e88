"""The registry: a decorator is all that an analysis needs."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pytest

from analysis import registry
from analysis.findings import Findings, per_class_table, per_sample_table
from analysis.registry import Between, Embedding, LabelSource, analysis, find, run
from data.errors import ImpossibleRequest
from tests.analysis.made_sets import made_set


def counting(distilled_set, context, *, scale: Annotated[int, Between(1, 3)] = 1, loud: bool = False) -> Findings:
    n = len(distilled_set)
    return Findings(per_sample_table(np.full(n, 1 / scale), np.full(n, loud)), per_class_table(("a",), np.array([n])))


@pytest.fixture
def registered(monkeypatch):
    registry.analyses()  # all of them, before the registry is exchanged: they register only once
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    return analysis(title="Counting", meaning="Counts.", paper="none", needs=("images",))(counting)


def test_analyses__only_our_own():
    """Those that tests make are gone again, or were never there: others ask for every analysis, and run it."""
    assert {entry.function.__module__.split(".")[0] for entry in registry.analyses().values()} == {"analysis"}


def test_run__passes_parsed_parameters(registered):
    found = run("counting", made_set(n_per_class=(2, 2)), scale="2", loud="yes")
    assert found.per_sample["score"].tolist() == [0.5] * 4
    assert found.per_sample["flag"].all()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"scale": "four"}, "needs int"),
        ({"scale": 4}, "between 1 and 3"),
        ({"loud": "perhaps"}, "needs bool"),
        ({"volume": 1}, "has no parameter 'volume'"),
    ],
)
def test_run__refuses_bad_parameters_in_a_sentence(registered, given, sentence):
    with pytest.raises(ImpossibleRequest, match=sentence):
        run("counting", made_set(n_per_class=(2, 2)), **given)


def test_run__says_what_the_set_lacks(registered):
    from dataclasses import replace

    without = replace(made_set(n_per_class=(2, 2)), images=None)
    with pytest.raises(ImpossibleRequest, match="needs images"):
        run("counting", without)


def test_find__names_the_choices():
    with pytest.raises(ImpossibleRequest, match="diversity"):
        find("no such thing")


def test_analysis__two_of_one_name(registered):
    def counting(distilled_set, context) -> Findings: ...

    counting.__module__ = "another"
    with pytest.raises(ValueError, match="two analyses"):
        analysis(title="", meaning="", paper="")(counting)


def test_analysis__reads_verdicts_only_where_it_says_so(registered):
    assert not find("counting").reads_verdicts
    analysis(title="Counting", meaning="Counts.", paper="none", reads_verdicts=True)(counting)
    assert find("counting").reads_verdicts


def test_analysis__parameter_types():
    def typed(
        distilled_set,
        context,
        *,
        way: Literal["up", "down"] = "up",
        source: Annotated[str, LabelSource()] = "",
        embedding: Annotated[str, Embedding()] = "pixels",
    ) -> Findings: ...

    way, source, embedding = registry.parameters_of(typed)
    assert way.choices == ("up", "down") and way.parse("down") == "down"
    assert isinstance(source.marker, LabelSource) and isinstance(embedding.marker, Embedding)
    with pytest.raises(ImpossibleRequest, match="one of up, down"):
        way.parse("sideways")


def test_analysis__untyped_parameter_is_a_bug():
    def untyped(distilled_set, context, *, thing: list = ()) -> Findings: ...

    with pytest.raises(ValueError, match="no form can show"):
        registry.parameters_of(untyped)


def test_analyses__every_one_explains_itself():
    for entry in registry.analyses().values():
        assert entry.meaning.count(".") >= 2, f"{entry.name} needs two sentences for a stranger"
        assert entry.paper and entry.title
        assert entry.arguments({}) == {p.name: p.default for p in entry.parameters}

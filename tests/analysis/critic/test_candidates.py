"""Candidates: a brute-force loop as oracle, planted labels, order, what is refused, and memory."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.context import Context
from analysis.critic.candidates import MOST_CANDIDATES, NO_CLASS, Candidates, candidates
from analysis.suggestions import suggestions
from data.distilled_set import DistilledSet, Provenance
from data.errors import ImpossibleRequest
from data.pair_answers import NOTHING
from data.soft_labels import TopKSoftLabels
from data.verdicts import Verdicts
from tests.analysis.made_sets import made_set
from tests.analysis.voters import spoken

CLASSES = 7


def named(found: Candidates) -> dict[int, dict[int, str]]:
    """{sample: {class: who named it}}."""
    return {
        int(i): {int(c): who for c, who in zip(row, words, strict=True) if c != NO_CLASS}
        for i, row, words in zip(found.sample_id, found.classes, found.origins, strict=True)
    }


def by_hand(
    given_labels: np.ndarray, rows: dict[str, np.ndarray], people: dict[int, int], answers: int, least: float
) -> list[dict[int, list[str]]]:
    """Who names what of each sample, but for the suggestion."""
    found = []
    for i, label in enumerate(given_labels):
        who = {int(label): ["given"]}
        if i in people:
            who.setdefault(people[i], []).append("people")
        for name, p in rows.items():
            for c in sorted(range(CLASSES), key=lambda c, row=p[i]: (-row[c], c))[:answers]:
                if p[i][c] >= least and p[i].max() > 1 / CLASSES + 1e-6:
                    who.setdefault(c, []).append(name)
        found.append(who)
    return found


def noisy(seed: int, samples: int = 60) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Labels a tenth of which are wrong, and two sources that mostly see the right class."""
    rng = np.random.default_rng(seed)
    true = np.arange(samples) % CLASSES
    labels = np.where(rng.random(samples) < 0.1, (true + 1) % CLASSES, true)
    rows = {
        name: 0.6 * np.eye(CLASSES)[true] + 0.4 * rng.dirichlet(np.full(CLASSES, 0.2), samples) for name in ("red", "blue")
    }
    rows["red"][0] = 1 / CLASSES
    return labels, rows


@given(st.integers(0, 10_000), st.integers(1, 3), st.floats(0.01, 0.4))
@settings(max_examples=25, deadline=None)
def test_candidates__are_those_a_loop_finds(seed, answers, least):
    labels, rows = noisy(seed)
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(60, 12, replace=False))
    said = rng.integers(0, CLASSES, 12)
    people = dict(zip(ids.tolist(), said.tolist(), strict=True))
    context = Context(verdicts=Verdicts(ids, said))
    found = candidates(spoken(labels, **rows), context, answers_a_source=answers, least_share=least)
    suggested = suggestions(spoken(labels, **rows), Context()).per_sample
    expected = by_hand(labels, {name: p.astype(np.float32) for name, p in rows.items()}, people, answers, least)
    for i, who in named(found).items():
        told = expected[i]
        rival, p = int(suggested["suggested_label"][i]), suggested["p_suggested"][i]
        if abs(p - least) > 1e-5 and (p >= least or p > suggested["p_given"][i]):
            told.setdefault(rival, []).insert(len({"given", "people"} & set(told.get(rival, []))), "suggestion")
        if len(told) == 1:
            told[NOTHING] = []
        if abs(p - least) > 1e-5 and len(told) <= MOST_CANDIDATES:
            assert who == {c: ", ".join(words) for c, words in told.items()}


def test_support__is_the_cleaned_posterior():
    labels, rows = noisy(1)
    opened = spoken(labels, **rows)
    found, table = candidates(opened, Context()), suggestions(opened, Context()).per_sample
    np.testing.assert_allclose(found.support[:, 0], table["p_given"][found.sample_id], atol=1e-6)
    rival = found.classes == table["suggested_label"].to_numpy()[found.sample_id][:, None]
    sample, place = np.nonzero(rival)
    np.testing.assert_allclose(found.support[sample, place], table["p_suggested"][found.sample_id[sample]], atol=1e-6)
    assert len(sample) > 20
    assert (np.isnan(found.support) == (found.classes == NO_CLASS)).all()


def test_candidates__stand_in_order():
    labels, rows = noisy(2, samples=300)
    rows["red"][5:9], rows["blue"][5:9], labels[5:9] = np.eye(CLASSES)[3], np.eye(CLASSES)[3], 3
    found = candidates(spoken(labels, **rows), Context())
    assert sorted(found.sample_id) == list(range(300))
    np.testing.assert_array_equal(found.classes[:, 0], labels[found.sample_id])
    alone = found.classes[:, 1] == NOTHING
    assert 0 < alone.sum() < 300 and (np.diff(alone.astype(int)) >= 0).all(), "those with something to compare come first"
    for part in (found.take(~alone), found.take(alone)):
        assert (np.diff(part.support[:, 0]) >= 0).all()
        equal = np.diff(part.support[:, 0]) == 0
        assert (np.diff(part.sample_id)[equal] > 0).all()
    others = np.nan_to_num(found.support[:, 1:], nan=-1)
    assert (np.diff(others, axis=1) <= 0).all()
    np.testing.assert_allclose(found.support[alone, 1], 1 - found.support[alone, 0], atol=1e-6)


def test_candidates__planted_wrong_labels_come_first():
    clean = made_set(n_per_class=(30,), num_classes=6)
    wrong = np.arange(0, 180, 12)
    labels = clean.labels.copy()
    labels[wrong] = (labels[wrong] + 1) % 6
    found = candidates(replace(clean, labels=labels), Context())
    assert sorted(found.sample_id[: len(wrong)]) == wrong.tolist()
    np.testing.assert_array_equal(found.classes[: len(wrong), 1], clean.labels[found.sample_id[: len(wrong)]])
    assert "suggestion" in found.origins[0, 1] and "teacher 1" in found.origins[0, 1]


def test_candidates__more_than_six_keep_given_people_and_the_likeliest():
    """Four sources name two classes each, people a ninth."""
    labels = np.repeat(np.arange(10), 6)
    good = 0.98 * np.eye(10)[labels] + 0.002
    sources = [good.copy() for _ in range(4)]
    for place, source in enumerate(sources):
        source[0] = 0.0
        source[0, [1 + 2 * place, 2 + 2 * place]] = [0.6 - place / 20, 0.4 + place / 20]
    context = Context(verdicts=Verdicts(np.array([0]), np.array([9])))
    found = candidates(spoken(labels, *sources), context)
    assert found.sample_id[0] == 0 and found.classes.shape[1] == MOST_CANDIDATES
    assert found.classes[0, 0] == 0 and 9 in found.classes[0], "though nothing else speaks for them"
    assert set(found.classes[0, 1:]) - {9} == {1, 3, 5, 8}
    assert found.origins[0, found.classes[0].tolist().index(9)] == "people"


def test_candidates__people_who_keep_a_label_name_it():
    labels, rows = noisy(3)
    context = Context(verdicts=Verdicts(np.array([4]), labels[[4]]))
    found = named(candidates(spoken(labels, **rows), context))
    assert found[4][int(labels[4])].startswith("given, people")


def test_candidates__a_people_label_beyond_the_classes_is_passed_over():
    labels, rows = noisy(3)
    found = candidates(spoken(labels, **rows), Context(verdicts=Verdicts(np.array([4]), np.array([CLASSES]))))
    assert found.classes.max() < CLASSES


def test_candidates__of_many_sources_only_the_mean_is_heard(monkeypatch):
    labels, rows = noisy(4)
    monkeypatch.setattr("analysis.critic.candidates.MOST_SOURCES_HEARD", 1)
    many = named(candidates(spoken(labels, **rows), Context()))
    mean = named(candidates(spoken(labels, one=(rows["red"] + rows["blue"]) / 2), Context()))
    assert {i: set(who) for i, who in many.items()} == {i: set(who) for i, who in mean.items()}
    assert any("mean of 2 sources" in words for who in many.values() for words in who.values())


def test_candidates__given_soft_labels_name_but_do_not_support():
    labels, rows = noisy(5)
    doubtful = np.eye(CLASSES)[labels] * 0.8 + 0.2 * np.eye(CLASSES)[(labels + 3) % CLASSES]
    found = candidates(spoken(labels, given=doubtful, red=rows["red"], blue=rows["blue"]), Context())
    without = candidates(spoken(labels, red=rows["red"], blue=rows["blue"]), Context())
    assert all("given soft labels" in who[(labels[i] + 3) % CLASSES] for i, who in named(found).items())
    one, other = (dict(zip(c.sample_id.tolist(), c.support[:, 0].tolist(), strict=True)) for c in (found, without))
    assert one == pytest.approx(other)


def test_candidates__sources_that_know_nothing_suggest_nothing():
    rng = np.random.default_rng(0)
    labels, rows = rng.integers(0, CLASSES, 80), rng.dirichlet(np.ones(CLASSES), 80)
    found = candidates(spoken(labels, noise=rows), Context())
    assert not any("suggestion" in words for words in found.origins.ravel() if words)
    np.testing.assert_allclose(found.support[:, 0], rows[found.sample_id, labels[found.sample_id]], atol=1e-6)


def test_own__is_the_one_source_where_there_are_no_soft_labels():
    opened = made_set(n_per_class=(5, 5, 5), teachers=0)
    own = np.full((15, 3), 0.01, np.float32)
    own[np.arange(15), opened.labels] = 0.98
    own[2], own[3] = [0.3, 0.7, 0.0], np.nan
    found = candidates(opened, Context(), own)
    assert found.sample_id[0] == 2 and found.classes[0].tolist() == [0, 1]
    np.testing.assert_allclose(found.support[0], [0.3, 0.7])
    assert found.origins[0].tolist() == ["given, prototypes", "prototypes"]
    unknown = int(np.flatnonzero(found.sample_id == 3)[0])
    assert found.classes[unknown].tolist() == [0, NOTHING] and found.origins[unknown].tolist() == ["given", ""]
    assert found.support[unknown, 0] == pytest.approx(1 / 3)


def test_own__counts_for_nothing_beside_soft_labels():
    opened = made_set()
    own = np.full((36, 3), 1 / 3, np.float32)
    np.testing.assert_array_equal(candidates(opened, Context(), own).support, candidates(opened, Context()).support)


def test_candidates__without_any_source_are_refused():
    with pytest.raises(ImpossibleRequest, match="no label has a rival"):
        candidates(made_set(teachers=0), Context())


def of_top_k(labels: np.ndarray, classes: int, width: int, seed: int = 0) -> DistilledSet:
    """A set that keeps ``width`` of its classes a sample: the given one and random others."""
    rng = np.random.default_rng(seed)
    indices = (labels[:, None] + np.arange(width) * (1 + rng.integers(0, 3, (len(labels), 1)))) % classes
    values = np.tile(0.5 ** np.arange(1, width + 1), (len(labels), 1)).astype(np.float32)
    values[:, 0] += 1 - values[0].sum()
    held = TopKSoftLabels(torch.from_numpy(values), torch.from_numpy(indices), classes, "probabilities")
    names = tuple(map(str, range(classes)))
    return DistilledSet("wide", labels, names, Provenance(Path("wide"), "made", "", ()), label_sources={"teacher": held})


def test_candidates__one_class_has_single_candidates_only():
    found = candidates(of_top_k(np.zeros(5, int), 1, 1), Context())
    assert found.classes.tolist() == [[0, NOTHING]] * 5
    np.testing.assert_allclose(found.support, [[1, 0]] * 5)


def test_candidates__hold_few_numbers_a_sample():
    """The rates of 20,000 samples under 1,000 classes alone would be 160 MB of float64 at once."""
    labels = np.arange(20_000) % 1_000
    opened = of_top_k(labels, 1_000, 3)
    tracemalloc.start()
    found = candidates(opened, Context())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) == 20_000 and found.classes.dtype == np.int64 and found.support.dtype == np.float32
    assert peak < 40e6, f"{peak / 1e6:.0f} MB"

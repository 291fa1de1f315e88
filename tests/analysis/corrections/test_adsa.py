"""ADSA against a loop of its own and scipy's bounded search, and against shifts that were planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from analysis.corrections import correct
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels
from tests.analysis.made_sets import made_set

COUNTS = np.array([5000, 800, 400, 60, 20])


def taught(planted: float, n: int = 40, seed: int = 0, counts: np.ndarray = COUNTS):
    """A balanced set whose unbiased teacher sees every class alike, class by class the same draws, and is then biased by
    ``planted`` times the log prior."""
    rng = np.random.default_rng(seed)
    classes = len(counts)
    fair = np.zeros((classes, n, classes))
    draws, others = rng.normal(3, 1, n), rng.normal(0, 1, (n, classes - 1))
    for c in range(classes):
        fair[c, :, c] = draws
        fair[c][:, np.arange(classes) != c] = others
    logits = fair.reshape(-1, classes) + planted * np.log(counts / counts.sum())
    made = made_set((n,), num_classes=classes, teachers=0, size=4, reference=False)
    source = DenseSoftLabels(torch.from_numpy(logits).float(), "logits")
    return replace(made, label_sources={"given": source}, class_counts=counts)


def spread_by_loop(made, tau: float, temperature: float) -> float:
    prior = made.class_counts / made.class_counts.sum()
    rows = made.label_sources["given"].values.double().numpy()
    confidence = []
    for c in np.unique(made.labels):
        own = [softmax((row - tau * np.log(prior)) / temperature)[c] for row in rows[made.labels == c]]
        confidence.append(np.mean(own))
    return float(np.std(confidence))


def figures(corrected) -> dict[str, float | None]:
    return {figure.label: figure.value for figure in corrected.found}


@pytest.mark.parametrize("planted", [0.0, 0.4, 1.0, 1.7])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_adsa__finds_the_planted_tau_and_gives_the_fair_logits_back(planted, temperature):
    corrected = correct("adsa", taught(planted), temperature=temperature)
    assert figures(corrected)["Tau"] == pytest.approx(planted, abs=2e-3)
    fair = taught(0.0).label_sources["given"].values.softmax(dim=1)
    found = corrected.logits(np.arange(200)).softmax(dim=1)
    torch.testing.assert_close(found, fair, atol=5e-3, rtol=0)
    assert figures(corrected)["Spread of class confidence after"] == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_adsa__agrees_with_a_loop_and_scipys_search(seed, temperature):
    rng = np.random.default_rng(seed)
    made = made_set((7, 4, 9, 2), teachers=0)
    values = rng.normal(0, 1, (22, 4)) + 2 * np.eye(4)[made.labels] + [1.5, 1, 0, -1]
    source = DenseSoftLabels(torch.from_numpy(values).float(), "logits")
    made = replace(made, label_sources={"given": source}, class_counts=np.array([900, 500, 90, 30]))
    corrected = correct("adsa", made, temperature=temperature)
    coarse = np.linspace(0, 3, 61)
    start = coarse[np.argmin([spread_by_loop(made, tau, temperature) for tau in coarse])]
    bounds = (max(start - 0.1, 0), min(start + 0.1, 3))
    by_scipy = minimize_scalar(
        lambda tau: spread_by_loop(made, tau, temperature), bounds=bounds, method="bounded", options={"xatol": 1e-7}
    )
    found = figures(corrected)
    assert found["Spread of class confidence after"] == pytest.approx(by_scipy.fun, abs=1e-5)
    assert found["Tau"] == pytest.approx(by_scipy.x, abs=5e-3)
    assert found["Spread of class confidence before"] == pytest.approx(spread_by_loop(made, 0, temperature), abs=1e-6)


def test_adsa__a_fixed_tau_is_taken_as_it_is():
    made = taught(1.0)
    corrected = correct("adsa", made, search="fixed", tau=0.75)
    expected = made.label_sources["given"].values - 0.75 * torch.from_numpy(np.log(COUNTS / COUNTS.sum())).float()
    torch.testing.assert_close(corrected.logits(np.arange(200)), expected, atol=1e-5, rtol=0)
    assert figures(corrected)["Tau"] == 0.75


def test_adsa__its_table_is_the_curve_by_a_loop():
    made = taught(0.8, n=5)
    curve = correct("adsa", made).tables["tau"]
    assert curve["tau"].is_monotonic_increasing and curve["tau"].is_unique
    assert {0.0, figures(correct("adsa", made))["Tau"]} <= set(curve["tau"])
    for row in curve.iloc[::17].itertuples():
        assert row.spread == pytest.approx(spread_by_loop(made, row.tau, 1), abs=1e-6)
        assert row.nsd == pytest.approx(row.spread / row.mean_confidence)


def hardly_known():
    """A teacher that is right on the head and hardly knows the tail's classes, which no tau can give back."""
    made = made_set((60,), num_classes=5, teachers=0, size=4, reference=False)
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (300, 5)) + np.array([4, 3, 2, 1, 0.5])[made.labels, None] * np.eye(5)[made.labels]
    values += np.log(COUNTS / COUNTS.sum())
    source = DenseSoftLabels(torch.from_numpy(values).float(), "logits")
    return replace(made, label_sources={"given": source}, class_counts=COUNTS)


def test_adsa__agreement_with_the_hard_labels_is_told_and_its_fall_warned_of():
    made = hardly_known()
    rows = made.label_sources["given"].values.double().numpy()
    for tau, falls in ((1.0, False), (3.0, True)):
        corrected = correct("adsa", made, search="fixed", tau=tau)
        found = figures(corrected)
        assert found["Agrees with the hard label before"] == pytest.approx((rows.argmax(axis=1) == made.labels).mean())
        after = (rows - tau * np.log(COUNTS / COUNTS.sum())).argmax(axis=1) == made.labels
        assert found["Agrees with the hard label after"] == pytest.approx(after.mean())
        assert any("takes away more" in said for said in corrected.caveats) == falls


def test_adsa__the_nsd_goes_less_far_than_the_papers_spread():
    """Which falls where all classes become unsure as well; both against a loop."""
    made = hardly_known()
    prior = np.log(COUNTS / COUNTS.sum())
    rows, taus = made.label_sources["given"].values.double().numpy(), np.linspace(0, 3, 301)
    own = [softmax(rows - tau * prior, axis=1)[np.arange(300), made.labels].reshape(5, 60).mean(axis=1) for tau in taus]
    spreads = np.std(own, axis=1)
    plain, normalised = (figures(correct("adsa", made, minimise=m))["Tau"] for m in ("spread", "NSD"))
    assert plain == pytest.approx(taus[spreads.argmin()], abs=0.01)
    assert normalised == pytest.approx(taus[(spreads / np.mean(own, axis=1)).argmin()], abs=0.01)
    assert normalised < plain


def test_adsa__says_so_where_the_smallest_spread_is_at_a_bound():
    assert any("a bound of the search" in said for said in correct("adsa", taught(2.0), highest=1.0).caveats)
    assert not any("a bound" in said for said in correct("adsa", taught(0.7), highest=1.0).caveats)


def test_adsa__equal_counts_change_nothing_and_say_so():
    made = taught(0.0, counts=np.full(5, 100))
    corrected = correct("adsa", made)
    assert any("same original count" in said for said in corrected.caveats)
    before = made.label_sources["given"].probabilities(np.arange(200))
    torch.testing.assert_close(corrected.logits(np.arange(200)).softmax(dim=1), before)


def test_adsa__says_so_where_the_spread_hardly_falls():
    rng = np.random.default_rng(0)
    made = taught(0.0)
    easy = rng.permuted(np.array([6.0, 0.5, 5.0, 0.2, 7.0]))[made.labels, None] * np.eye(5)[made.labels]
    made = replace(made, label_sources={"given": DenseSoftLabels(torch.from_numpy(easy).float(), "logits")})
    made = replace(made, class_counts=np.array([100, 101, 100, 101, 100]))
    assert any("hardly falls" in said for said in correct("adsa", made, highest=1).caveats)
    assert not any("hardly falls" in said for said in correct("adsa", taught(1.0)).caveats)


def test_adsa__a_count_of_0_is_taken_for_the_number_given():
    made = replace(taught(1.0), class_counts=np.array([5000, 800, 400, 60, 0]))
    corrected = correct("adsa", made, search="fixed", tau=1, empty_counts_as=4)
    assert any("had no original images" in said and "having had 4" in said for said in corrected.caveats)
    counts = np.array([5000, 800, 400, 60, 4])
    np.testing.assert_allclose(corrected.rescaling.shift, np.log(counts / counts.sum()))


def test_adsa__classes_of_too_few_samples_are_named():
    assert any("fewer than 3 samples" in said for said in correct("adsa", taught(1.0, n=2)).caveats)


def test_adsa__refuses_what_it_cannot_search():
    with pytest.raises(ImpossibleRequest, match="nothing to search"):
        correct("adsa", taught(1.0), lowest=2, highest=2)
    with pytest.raises(ImpossibleRequest, match="only one class"):
        correct("adsa", made_set((5, 0, 0)))
    assert figures(correct("adsa", made_set((5, 0, 0)), search="fixed"))["Spread of class confidence before"] is None
    with pytest.raises(ImpossibleRequest, match="class counts"):
        correct("adsa", replace(taught(1.0), class_counts=None))

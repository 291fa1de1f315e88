"""ABSLD's temperatures against the authors' rule written out as a loop, and against losses of known shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.context import Context
from analysis.corrections import correct
from analysis.corrections.absld import absld_temperatures
from analysis.corrections.class_losses import losses_by_temperature
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels
from tests.analysis.made_sets import made_set


def by_loop(losses_of, num_classes, beta, low, high, steps):
    t = [1.0] * num_classes
    for step in range(steps):
        losses = losses_of(np.array(t))
        known = [loss for loss in losses if loss == loss]
        mean = sum(known) / len(known)
        widest = max(abs(loss - mean) for loss in known)
        now = beta * (1 if step < steps * 215 / 300 else 0.1 if step < steps * 260 / 300 else 0.01)
        now = now if step < steps * 285 / 300 else beta / 1000
        for c in range(num_classes):
            if losses[c] == losses[c]:
                t[c] = min(max(t[c] - now * (losses[c] - mean) / widest, low), high)
    return np.array(t)


def test_absld_temperatures__follows_the_authors_rule():
    hardness = np.array([0.5, 1.0, 3.0, np.nan, 1.4])

    def losses_of(t):
        return hardness + 0.3 * np.sqrt(t)

    found = absld_temperatures(losses_of, 5, beta=0.1, bounds=(0.5, 5), steps=60)
    np.testing.assert_allclose(found.temperatures, by_loop(losses_of, 5, 0.1, 0.5, 5, 60), rtol=1e-9)
    assert found.temperatures[2] == 0.5 and found.temperatures[3] == 1, "the hardest is sharpest; the empty one is let be"
    assert not found.settled and found.steps == 60


def test_absld_temperatures__brings_losses_together_where_the_bounds_allow():
    hardness = np.array([0.8, 1.0, 1.3])
    found = absld_temperatures(lambda t: hardness * t, 3, steps=300)
    assert np.ptp(found.losses) < 1e-3 < np.ptp(found.first_losses)
    assert found.temperatures[2] < found.temperatures[1] < found.temperatures[0]


def test_absld_temperatures__is_asked_once_a_step_as_a_student_would_be():
    asked = []

    def losses_of(t):
        asked.append(t.copy())
        return np.array([1.0, 2.0]) * t

    found = absld_temperatures(losses_of, 2, steps=7)
    assert len(asked) == 8 and found.steps == 7
    np.testing.assert_array_equal(asked[0], [1, 1])
    np.testing.assert_array_equal(asked[-1], found.temperatures)


def test_absld_temperatures__equal_losses_settle_at_once():
    found = absld_temperatures(lambda t: np.ones(3), 3)
    assert found.settled and found.steps == 0 and (found.temperatures == 1).all()


@pytest.mark.parametrize("loss", ["entropy", "hard label"])
def test_losses_by_temperature__agrees_with_torch(loss):
    made = made_set((5, 0, 7, 3))
    values = made.label_sources["given"].values.double() / 4
    source = DenseSoftLabels(values.float(), "logits")
    losses_of = losses_by_temperature(source, made.labels, loss, (0.5, 5), Context())
    hard = torch.from_numpy(made.labels)
    for temperatures in ([1.0, 1, 1, 1], [0.5, 0.5, 5, 5], [0.63, 2, 4.99, 1.234]):
        tempered = values / torch.tensor(temperatures, dtype=torch.float64)[hard][:, None]
        row = torch.distributions.Categorical(logits=tempered).entropy()
        if loss == "hard label":
            row = torch.nn.functional.cross_entropy(tempered, hard, reduction="none")
        found = losses_of(np.array(temperatures))
        for c in (0, 2, 3):
            assert found[c] == pytest.approx(float(row[hard == c].mean()), abs=1e-3)
        assert np.isnan(found[1])


def unequal(labels_right: bool = True):
    """Class 0 sure, class 2 unsure; where not ``labels_right``, class 2's labels name class 0."""
    made = made_set((6, 6, 6), teachers=0)
    values = np.random.default_rng(0).normal(0, 0.2, (18, 3))
    seen = np.where((made.labels == 2) & (not labels_right), 0, made.labels)
    values[np.arange(18), seen] += np.array([5.0, 3.0, 2.0])[made.labels]
    return replace(made, label_sources={"given": DenseSoftLabels(torch.from_numpy(values).float(), "logits")})


@pytest.mark.parametrize("loss", ["entropy", "hard label"])
def test_absld__makes_the_classes_equally_hard(loss):
    corrected = correct("absld", unequal(), loss=loss)
    found = {figure.label: figure.value for figure in corrected.found}
    assert found["Spread of class loss before"] > 0.05 > 0.01 > found["Spread of class loss after"]
    assert (np.diff(corrected.rescaling.divisor) < 0).all(), "the surer, the softer"
    assert any("where the paper follows a student's" in said for said in corrected.caveats)


def test_absld__the_new_labels_have_the_losses_it_tells_of():
    made = unequal()
    corrected = correct("absld", made)
    told = corrected.tables["class temperatures"]["loss_after"].to_numpy()
    entropies = torch.distributions.Categorical(logits=corrected.logits(np.arange(18))).entropy().numpy()
    np.testing.assert_allclose(entropies.reshape(3, 6).mean(axis=1), told, atol=2e-3)


def test_absld__says_so_where_a_class_named_otherwise_runs_to_a_bound():
    corrected = correct("absld", unequal(labels_right=False), loss="hard label")
    assert corrected.rescaling.divisor[2] == 0.5
    assert any("further apart than before" in said for said in corrected.caveats)
    assert any("at the lowest temperature" in said for said in corrected.caveats)


def test_absld__one_class_alone_is_refused():
    with pytest.raises(ImpossibleRequest, match="only one class"):
        correct("absld", made_set((5, 0)))

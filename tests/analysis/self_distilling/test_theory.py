"""Self-distillation on its noisy Gaussian mixture: what theory predicts of it, on simulated data.

Takanami, Takahashi & Sakata (arXiv 2501.16226) predict, of a linear classifier with tuned penalties: multi-stage
self-distillation helps where labels are noisy and samples are neither few nor plentiful; nearly all of it comes from
denoising, so that hard pseudo-labels do as well as soft ones; with unequal classes a fixed bias does better than refitted
ones, which in the end lose what early stages gained. Their saddle-point equations are solved in ``replica.py``, and Mobahi,
Farajtabar & Bartlett (arXiv 2002.05715) have the closed form of ridge regression. Parameters are those of
``benchmarks.self_distillation``: Delta = 0.5, least squares, penalties tuned on other mixtures than those that are measured.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.stats import norm

from analysis.context import Context
from analysis.intervals import mean_interval
from analysis.self_distilling.chain import Chain, Pupils, Rules
from analysis.self_distilling.solvers import Linear, Logistic, Ridge
from benchmarks.self_distillation import IN_PAPER, Mixture, tuned
from tests.analysis.self_distilling.replica import Asked, accuracies

WITHOUT_BIAS = replace(IN_PAPER, bias="none")
REPETITIONS = 8
LAMBDAS = (1.0, 10.0, 100.0, 1e4)


@cache
def balanced(alpha: float, theta: float) -> np.ndarray:
    """Tuned accuracies of the first fit and of one stage, (repetitions, 2)."""
    return tuned(Mixture(alpha, theta), [WITHOUT_BIAS], 1, REPETITIONS, lambdas=LAMBDAS)


def gain(curve: np.ndarray) -> tuple[float, float, float]:
    """What the last stage adds to the first fit: mean and interval."""
    difference = curve[:, -1] - curve[:, 0]
    low, high = mean_interval(difference)
    assert low is not None and high is not None
    return float(difference.mean()), low, high


# Against closed forms


@pytest.mark.parametrize("seed", [0, 1])
def test_ridge__stages_are_powers_of_its_shrinkage(seed):
    rng = torch.Generator().manual_seed(seed)
    inputs = torch.randn(40, 12, generator=rng, dtype=torch.float64)
    labels = torch.randint(0, 3, (40,), generator=rng)
    penalties = (0.2, 0.7)
    solvers = (Ridge([inputs], penalties[0]), Ridge([inputs], penalties[1]))
    rules = Rules("scores", 1.0, "none", crossed=False)
    chain = Chain(solvers, Pupils([inputs], [labels], lambda fold: labels, 3), (0,), rules)
    values, vectors = torch.linalg.eigh(inputs @ inputs.T / len(inputs))
    expected = vectors.T @ torch.eye(3, dtype=torch.float64)[labels]
    for stage in range(5):
        expected = (values / (values + penalties[min(stage, 1)]))[:, None] * expected
        np.testing.assert_allclose(chain.next_stage(Context())(inputs), vectors @ expected, atol=1e-9)


def test_accuracy__of_the_direction_itself_is_bayes_and_nothing_surpasses_it():
    for rho in (0.5, 0.2):
        mixture = Mixture(3.0, rho=rho)
        direction = mixture.draw(0).direction
        bias = mixture.delta * np.log(rho / (1 - rho)) / 2
        weights = torch.from_numpy(np.stack([-direction, direction]) / 2)
        best = mixture.accuracy(Linear(weights, torch.tensor([-bias, bias]) / 2), direction)
        assert best == pytest.approx(mixture.bayes)
        rng = np.random.default_rng(0)
        for _ in range(200):
            other = Linear(
                weights + 0.1 * torch.from_numpy(rng.standard_normal(weights.shape)),
                torch.from_numpy(rng.standard_normal(2)),
            )
            assert mixture.accuracy(other, direction) <= mixture.bayes + 1e-12
    assert Mixture(3.0).bayes == pytest.approx(norm.cdf(1 / np.sqrt(0.5)))


def test_accuracy__is_that_of_images_drawn_anew():
    mixture = Mixture(1_000.0, 0.0, 0.3, dimensions=20)
    drawn = mixture.draw(0)
    rng = np.random.default_rng(1)
    model = Linear(torch.from_numpy(rng.standard_normal((2, 20))), torch.from_numpy(rng.standard_normal(2)))
    right = (model(drawn.inputs).argmax(dim=1) == drawn.given).double().mean()
    assert mixture.accuracy(model, drawn.direction) == pytest.approx(float(right), abs=0.012)


@pytest.mark.parametrize(
    ("alpha", "theta", "rho", "penalties", "bias"),
    [
        (3.0, 0.2, 0.5, (1.5, 0.5, 0.5), "none"),
        (3.0, 0.2, 0.4, (1.5, 0.5, 0.5), "refitted"),
        (5.0, 0.3, 0.3, (1.0, 2.0, 2.0), "first stage's"),
    ],
)
def test_stages__agree_with_the_saddle_point_equations(alpha, theta, rho, penalties, bias):
    expected = accuracies(Asked(alpha, 0.5, rho, theta, penalties, bias))
    mixture, rules = Mixture(alpha, theta, rho, dimensions=200), replace(IN_PAPER, bias=bias)
    curves = []
    for seed in range(30):
        drawn = mixture.draw(seed)
        curves.append(drawn.curve((drawn.solver(penalties[0]), drawn.solver(penalties[1])), rules, 2))
    error = np.std(curves, axis=0, ddof=1) / np.sqrt(len(curves))
    # Of order 1 / N, 200 dimensions stay below the limit of infinitely many.
    assert (np.abs(np.mean(curves, axis=0) - expected) < 3 * error + 0.006).all()


# Against what the paper predicts


@pytest.mark.parametrize("theta", [0.2, 0.4])
def test_one_stage__helps_where_labels_are_noisy_and_samples_moderate(theta):
    mean, low, _ = gain(balanced(3.0, theta))
    assert low > 0.005
    assert mean > gain(balanced(0.3, theta))[0] + 0.01, "few samples gain less"
    assert mean > gain(balanced(30.0, theta))[0] + 0.01, "many samples gain less"


def test_one_stage__helps_the_more_the_noisier_the_labels_are():
    gains = [gain(balanced(3.0, theta))[0] for theta in (0.0, 0.2, 0.4)]
    assert gains[2] > gains[1] + 0.03 > gains[0] + 0.03


@pytest.mark.parametrize("alpha", [0.3, 3.0, 30.0])
def test_one_stage__does_not_help_where_labels_are_clean(alpha):
    assert gain(balanced(alpha, 0.0))[0] <= 0.001


def test_one_stage__stays_below_bayes():
    for alpha, theta in ((3.0, 0.2), (3.0, 0.4), (30.0, 0.4)):
        assert balanced(alpha, theta).max() <= Mixture(alpha).bayes


def test_hard_pseudo_labels__do_as_well_as_soft_ones():
    soft_rules = [replace(WITHOUT_BIAS, pseudo_labels="soft", beta=beta) for beta in (0.5, 1.0, 4.0)]
    soft = tuned(Mixture(3.0, 0.3), soft_rules, 1, REPETITIONS, lambdas=LAMBDAS)
    hard = balanced(3.0, 0.3)
    assert gain(hard)[1] > 0.02
    assert gain(hard)[0] > 0.85 * gain(soft)[0]


@cache
def by_stage(bias: str) -> np.ndarray:
    """Tuned accuracies of 0 to 6 stages where one class has 30 % of the images, (repetitions, 7)."""
    return tuned(Mixture(3.0, 0.3, 0.3), [replace(IN_PAPER, bias=bias)], 6, REPETITIONS, lambdas=LAMBDAS)


def test_fixed_bias__is_better_than_refitted_ones_where_classes_are_unequal():
    low, _ = mean_interval(by_stage("first stage's")[:, -1] - by_stage("refitted")[:, -1])
    assert low is not None and low > 0.03
    assert np.allclose(by_stage("first stage's")[:, 0], by_stage("refitted")[:, 0]), "the first fit is the same"


def test_early_stopping__many_stages_lose_what_the_first_gained_where_the_bias_is_refitted():
    curve = by_stage("refitted").mean(axis=0)
    best = int(curve.argmax())
    assert 1 <= best <= 2
    assert curve[-1] < curve[best] - 0.01
    fixed = by_stage("first stage's").mean(axis=0)
    assert fixed[-1] >= fixed.max() - 0.005, "with the bias fixed they do no harm"


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [1.0, 3.0])
def test_logistic__hard_pseudo_labels_denoise_as_well_as_soft_ones(alpha):
    mixture, lambdas = Mixture(alpha, 0.3, dimensions=60), (0.3, 3.0, 100.0)
    soft_rules = [replace(WITHOUT_BIAS, pseudo_labels="soft", beta=beta) for beta in (1.0, 4.0)]
    hard = tuned(mixture, [WITHOUT_BIAS], 1, REPETITIONS, Logistic, lambdas)
    soft = tuned(mixture, soft_rules, 1, REPETITIONS, Logistic, lambdas)
    assert gain(hard)[1] > 0
    assert gain(hard)[0] > 0.7 * gain(soft)[0]

"""Self-distillation on its noisy Gaussian mixture: accuracy over sample ratio, label noise, imbalance and stages.

    python -m benchmarks.self_distillation [--dimensions 100] [--repetitions 8] [--stages 6]

The model of Takanami, Takahashi & Sakata (arXiv 2501.16226): M = alpha N images x = y v / sqrt(N) + sqrt(Delta) z in N
dimensions, |v|² = N, y = +1 for a share rho of them and -1 for the others, labels flipped with probability theta; a linear
classifier with least squares and L2. Every penalty is tuned, the first stage's apart from the later ones', on as many
mixtures of their own as are then measured. Accuracies are exact, from the fitted weights, not counted on a test set;
intervals are Student's t over mixtures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from scipy.stats import norm

from analysis.context import Context
from analysis.intervals import mean_interval
from analysis.self_distilling.chain import Chain, Pupils, Rules
from analysis.self_distilling.solvers import Linear, Logistic, Ridge, Solver
from benchmarks.common import sizes

CLASSES = 2
LAMBDAS = (0.1, 1.0, 10.0, 100.0, 1e4)
ALPHAS, THETAS, RHOS = (0.3, 1.0, 3.0, 10.0, 30.0), (0.0, 0.2, 0.4), (0.5, 0.4, 0.3, 0.2)
IN_PAPER = Rules("hard", crossed=False)


@dataclass(frozen=True)
class Mixture:
    """``dimensions`` N, ``alpha`` = M / N, noise ``delta``, ``theta`` of the labels flipped, ``rho`` of the images of
    class 1."""

    alpha: float
    theta: float = 0.2
    rho: float = 0.5
    delta: float = 0.5
    dimensions: int = 100

    @property
    def images(self) -> int:
        return round(self.alpha * self.dimensions)

    @property
    def bayes(self) -> float:
        """The accuracy of who knows v, Delta and rho: Phi(1 / sqrt(Delta)) for equal classes."""
        spread = np.sqrt(self.delta)
        shift = self.delta / 2 * np.log(self.rho / (1 - self.rho))
        return float(self.rho * norm.cdf((1 + shift) / spread) + (1 - self.rho) * norm.cdf((1 - shift) / spread))

    def draw(self, seed: int) -> Drawn:
        rng = np.random.default_rng(seed)
        truth = (np.arange(self.images) < round(self.rho * self.images)).astype(np.int64)
        direction = np.full(self.dimensions, 1 / np.sqrt(self.dimensions))
        noise = np.sqrt(self.delta) * rng.standard_normal((self.images, self.dimensions))
        given = np.where(rng.random(self.images) < self.theta, 1 - truth, truth)
        inputs = np.outer(2 * truth - 1, direction) + noise
        return Drawn(self, torch.from_numpy(inputs), torch.from_numpy(given), direction)

    def accuracy(self, model: Linear, direction: np.ndarray) -> float:
        """Of new images of the mixture, in closed form; 1/2 where the weights are 0."""
        weights = (model.weights[1] - model.weights[0]).numpy()
        bias, spread = float(model.bias[1] - model.bias[0]), np.sqrt(self.delta) * np.linalg.norm(weights)
        if spread == 0:
            return 0.5
        along = weights @ direction
        return float(self.rho * norm.cdf((along + bias) / spread) + (1 - self.rho) * norm.cdf((along - bias) / spread))


@dataclass(frozen=True, eq=False)
class Drawn:
    """Images of a mixture: ``inputs`` (M, N) float64, ``given`` labels int64 (M,), the unit ``direction`` between them."""

    mixture: Mixture
    inputs: torch.Tensor
    given: torch.Tensor
    direction: np.ndarray

    def solver(self, penalty: float, kind: type[Ridge] | type[Logistic] = Ridge) -> Solver:
        """``penalty`` is the paper's lambda: of the sum of losses, on weights that act through x w / sqrt(N)."""
        return kind([self.inputs], 2 * penalty / self.mixture.alpha)

    def curve(self, solvers: tuple[Solver, Solver], rules: Rules, stages: int) -> np.ndarray:
        """The exact accuracy of the first fit and of each stage, (1 + stages,)."""
        pupils = Pupils([self.inputs], [self.given], lambda fold: self.given, CLASSES)
        chain = Chain(solvers, pupils, (0,), rules)
        models = (chain.next_stage(Context()) for _ in range(stages + 1))
        return np.array([self.mixture.accuracy(model, self.direction) for model in models])


def tuned(
    mixture: Mixture,
    rules: Sequence[Rules],
    stages: int,
    repetitions: int,
    kind: type[Ridge] | type[Logistic] = Ridge,
    lambdas: Sequence[float] = LAMBDAS,
) -> np.ndarray:
    """Accuracies (repetitions, 1 + stages): of each number of stages with the penalties and one of ``rules`` that did best
    on as many other mixtures."""
    choices = list(product(range(len(lambdas)), range(len(lambdas)), range(len(rules))))

    def curves(seed: int) -> np.ndarray:
        drawn = mixture.draw(seed)
        solvers = [drawn.solver(penalty, kind) for penalty in lambdas]
        return np.stack([drawn.curve((solvers[one], solvers[two]), rules[rule], stages) for one, two, rule in choices])

    tuning, measuring = (
        np.stack([curves(seed) for seed in range(start, start + repetitions)]) for start in (repetitions, 0)
    )
    best = tuning.mean(axis=0).argmax(axis=0)
    return measuring[:, best, np.arange(stages + 1)]


def shown(values: np.ndarray) -> str:
    """Mean and t interval of accuracies or of differences between them."""
    low, high = mean_interval(values)
    return f"{values.mean():7.4f} [{low:7.4f}, {high:7.4f}]" if low is not None else f"{values.mean():7.4f}"


def main() -> None:
    given = sizes(__doc__ or "", dimensions=100, repetitions=8, stages=6)
    size, repetitions, stages = given["dimensions"], given["repetitions"], given["stages"]
    print(f"N = {size}, Delta = 0.5, {repetitions} mixtures each; 95 % t intervals")
    without = replace(IN_PAPER, bias="none")
    print("\nEqual classes, bias 0: the first fit, one stage on hard pseudo-labels, and what that adds")
    for theta, alpha in product(THETAS, ALPHAS):
        curve = tuned(Mixture(alpha, theta, dimensions=size), [without], 1, repetitions)
        gain = curve[:, 1] - curve[:, 0]
        print(f"theta {theta:.1f} alpha {alpha:4g}   {shown(curve[:, 0])}  {shown(curve[:, 1])}  gain {shown(gain)}")
    print("\nUnequal classes, theta 0.3, alpha 3: accuracy by stage, the bias refitted or held at the first stage's")
    for rho in RHOS:
        mixture = Mixture(3.0, 0.3, rho, dimensions=size)
        for bias in ("refitted", "first stage's"):
            curve = tuned(mixture, [replace(IN_PAPER, bias=bias)], stages, repetitions)
            steps = " ".join(f"{value:.3f}" for value in curve.mean(axis=0))
            print(f"rho {rho:.1f} {bias:14} {steps}   last less first {shown(curve[:, -1] - curve[:, 0])}")
        print(f"        Bayes          {mixture.bayes:.3f}")
    print("\nWhat a stage learns from, theta 0.3, equal classes, bias 0: gain over the first fit")
    kinds = {
        "hard": [without],
        "soft, beta tuned": [replace(without, pseudo_labels="soft", beta=beta) for beta in (0.5, 1.0, 2.0, 8.0)],
        "the scores themselves": [replace(without, pseudo_labels="scores")],
    }
    for alpha, (name, rules) in product((1.0, 3.0, 10.0), kinds.items()):
        curve = tuned(Mixture(alpha, 0.3, dimensions=size), rules, 1, repetitions)
        print(f"alpha {alpha:4g} {name:22} {shown(curve[:, 1] - curve[:, 0])}", flush=True)


if __name__ == "__main__":
    main()

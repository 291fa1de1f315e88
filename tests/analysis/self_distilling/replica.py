"""What statistical physics says of multi-stage self-distillation in the limit of large dimensions: an oracle for tests.

The saddle-point equations of arXiv 2501.16226 for least squares, solved by iteration over a large sample of its effective
single-image process. Stage t has the overlap m_t with the direction between the classes, the weights' Gram matrix Q, the
responses chi and their conjugates; an image of true sign s has the field

    h_t = s m_t + b_t + g_t + sum over s < t of chi_st / chi_ss z_s,    Cov(g) = Delta Q

and the fitted score h_t + z_t, where z_t minimises the loss plus z² / (2 Delta chi_tt).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

SAMPLE = 60_000
ITERATIONS, DAMPING, STILL = 400, 0.7, 1e-7


@dataclass(frozen=True)
class Asked:
    """The mixture (M images / N dimensions = ``alpha``, noise ``delta``, share ``rho`` of one class, ``theta`` of the labels
    flipped), a penalty lambda a stage, and the ``bias``: "refitted", "first stage's" or "none"."""

    alpha: float
    delta: float
    rho: float
    theta: float
    penalties: tuple[float, ...]
    bias: str = "none"


def accuracies(asked: Asked, seed: int = 0) -> np.ndarray:
    """The test accuracy of each stage on hard pseudo-labels, (stages,)."""
    rng = np.random.default_rng(seed)
    stages = len(asked.penalties)
    sign = np.where(np.arange(SAMPLE) < round(asked.rho * SAMPLE), 1.0, -1.0)
    taught = np.where(rng.random(SAMPLE) < asked.theta, -sign, sign)
    xi = rng.standard_normal((SAMPLE, stages))
    state = _State(stages)
    z = np.zeros((SAMPLE, stages))
    for t in range(stages):
        for _ in range(ITERATIONS):
            state.from_conjugates(t, asked.penalties)
            h = _field(state, t, sign, xi, z, asked.delta)
            strength = asked.delta * state.chi[t, t]
            z[:, t] = -strength / (2 + strength) * (h - taught)
            if state.to_conjugates(t, sign, xi, z, asked) < STILL:
                break
        taught = np.sign(h + z[:, t])
    spread = np.sqrt(asked.delta * np.diag(state.q))
    return asked.rho * norm.cdf((state.m + state.b) / spread) + (1 - asked.rho) * norm.cdf((state.m - state.b) / spread)


def _field(state: _State, t: int, sign: np.ndarray, xi: np.ndarray, z: np.ndarray, delta: float) -> np.ndarray:
    state.root = np.linalg.cholesky(delta * state.q[: t + 1, : t + 1])
    echo = z[:, :t] @ (state.chi[:t, t] / np.diag(state.chi)[:t])
    return sign * state.m[t] + state.b[t] + xi[:, : t + 1] @ state.root[t] + echo


class _State:
    """Order parameters, and the hatted ones that are conjugate to them; chi and Q_hat are upper triangular."""

    def __init__(self, stages: int) -> None:
        self.m, self.b, self.m_hat = np.zeros(stages), np.zeros(stages), np.ones(stages)
        self.q, self.chi, self.q_hat, self.chi_hat = (np.eye(stages) for _ in range(4))
        self.root = np.eye(1)

    def from_conjugates(self, t: int, penalties: tuple[float, ...]) -> None:
        """Stage t's weights are a Gaussian process in those before: w_t = (m_hat_t + eta_t - sum Q_hat_st w_s) / (..)."""
        below = self.q_hat[t, t] + penalties[t]
        mixing = np.linalg.inv(
            np.diag(np.diag(self.q_hat)[: t + 1] + penalties[: t + 1]) + np.triu(self.q_hat[: t + 1, : t + 1], 1).T
        )
        self.m[: t + 1] = mixing @ self.m_hat[: t + 1]
        self.q[: t + 1, : t + 1] = (
            mixing @ (np.outer(self.m_hat[: t + 1], self.m_hat[: t + 1]) + self.chi_hat[: t + 1, : t + 1]) @ mixing.T
        )
        self.chi[:t, t] = mixing[t, :t]
        self.chi[t, t] = 1 / below

    def to_conjugates(self, t: int, sign: np.ndarray, xi: np.ndarray, z: np.ndarray, asked: Asked) -> float:
        """The largest change of a conjugate parameter."""
        own = self.chi[t, t]
        m_hat = asked.alpha / (asked.delta * own) * (sign * z[:, t]).mean()
        chi_hat = asked.alpha / (asked.delta * own * np.diag(self.chi)[: t + 1]) * (z[:, : t + 1] * z[:, [t]]).mean(axis=0)
        slopes = (xi[:, : t + 1] * z[:, [t]]).mean(axis=0)
        q_hat = -asked.alpha / own * np.linalg.solve(self.root.T, slopes)
        change = max(abs(m_hat - self.m_hat[t]), np.abs(q_hat - self.q_hat[: t + 1, t]).max())
        self.m_hat[t] += DAMPING * (m_hat - self.m_hat[t])
        self.q_hat[: t + 1, t] += DAMPING * (q_hat - self.q_hat[: t + 1, t])
        self.chi_hat[: t + 1, t] += DAMPING * (chi_hat - self.chi_hat[: t + 1, t])
        self.chi_hat[t, : t + 1] = self.chi_hat[: t + 1, t]
        if asked.bias == "refitted" or (asked.bias == "first stage's" and t == 0):
            self.b[t] += z[:, t].mean()
        elif asked.bias == "first stage's":
            self.b[t] = self.b[0]
        return change

"""ADSA's class-average confidence under logit adjustment, for many taus in one pass over the labels.

Rectifying Soft-Label Entangled Bias in Long-Tailed Dataset Distillation, arXiv 2511.17914: the labels of class i's images
are adjusted to softmax(f - tau log pi), pi being the original class frequencies, and tau is good where all classes are then
equally sure of themselves: where the spread of pbar_i(tau) = mean over class i's images of p(i | x; tau) is smallest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from analysis.balance.class_sums import add_by_class
from analysis.context import Context
from analysis.corrections.logits import LEAST_PROBABILITY
from analysis.device import pick
from analysis.intervals import ratio
from analysis.label_sources import CPU, chunks
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, SoftLabels

MOST_EXPONENT = 600.0
"""Weights e^x that differ by more than this would underflow in float64 before they are added up."""


def log_prior_of(counts: np.ndarray) -> np.ndarray:
    """The logarithm of each class's share of the original images ``counts`` (C,), float64 (C,).

    Raises ImpossibleRequest where a class had none: its logarithm does not exist.
    """
    without = np.flatnonzero(np.asarray(counts) <= 0)
    if len(without):
        raise ImpossibleRequest(
            f"{len(without)} of {len(counts)} classes have an original count of 0 (the first is class {without[0]}), and a "
            "prior of 0 has no logarithm; give every class a count of at least 1."
        )
    shares = np.asarray(counts, dtype=float)
    return np.log(shares / shares.sum())


@dataclass(frozen=True, eq=False)
class Adjusted:
    """``labels`` of samples whose hard labels are ``hard`` int64 (N,), adjusted by ``log_prior`` float64 (C,), finite, and
    read at ``temperature``.

    The probabilities are those of softmax((f - tau log_prior) / temperature), which is what adjusted logits say when read at
    that temperature. f are stored logits, or the logarithm of the probabilities, of which none counts as less than 1e-9.
    """

    labels: SoftLabels
    hard: np.ndarray
    log_prior: np.ndarray
    temperature: float

    def own_confidences(self, taus: np.ndarray, context: Context) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each sample's own-class probability under each of ``taus`` (T,), in chunks: (ids int64 (n,), float64 (n, T))."""
        device = pick(context.device)
        device = CPU if device.type == "mps" else device  # Apple's devices have no float64
        shifts = torch.from_numpy(np.outer(np.asarray(self.log_prior, float), np.asarray(taus, float))) / self.temperature
        shifts = shifts.to(device)
        for ids, log_p in _log_probabilities(self.labels, self.temperature, device, context):
            own = torch.from_numpy(self.hard[ids]).to(device)
            adjusted = log_p.gather(1, own[:, None]) - shifts[own]
            yield ids, (adjusted - _log_totals(log_p, shifts)).exp().cpu().numpy()

    def class_confidences(self, taus: np.ndarray, context: Context) -> np.ndarray:
        """The mean of ``own_confidences`` over each class's samples, float64 (T, C); NaN for a class without samples."""
        sums = np.zeros((len(self.log_prior), len(taus)))
        for ids, own in self.own_confidences(taus, context):
            add_by_class(sums, self.hard[ids], own)
        n = np.bincount(self.hard, minlength=len(self.log_prior))
        return ratio(sums.T, n[None])


def spread(confidence: np.ndarray) -> np.ndarray:
    """The standard deviation over classes of each row of ``confidence`` (T, C), float64 (T,).

    Classes without samples (NaN) are left out; NaN where fewer than two have any.
    """
    known = confidence[:, ~np.isnan(confidence).all(axis=0)]
    return known.std(axis=1) if known.shape[1] > 1 else np.full(len(confidence), np.nan)


def _log_probabilities(
    labels: SoftLabels, temperature: float, device: torch.device, context: Context
) -> Iterator[tuple[np.ndarray, torch.Tensor]]:
    """(ids, log probabilities float64 (n, C)): of dense logits exactly, of anything else from the floored probabilities."""
    exact = isinstance(labels, DenseSoftLabels) and labels.kind == "logits" and labels.values.shape[1] > 1
    for ids, probabilities in chunks(labels, device, context, "Adjusting for the class frequencies", temperature):
        if exact:
            yield ids, torch.log_softmax(labels.stored(ids).to(device).double() / temperature, dim=1)
        else:
            yield ids, probabilities.double().clamp_min(LEAST_PROBABILITY).log()


def _log_totals(log_p: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """log sum_j exp(log_p[n, j] - shifts[j, t]), (n, T): one product of matrices, unless the weights span too far for it."""
    highest = (-shifts).amax(dim=0)
    if bool((highest + shifts.amax(dim=0) <= MOST_EXPONENT).all()):
        return (log_p.exp() @ (-shifts - highest).exp()).log() + highest
    return torch.stack([torch.logsumexp(log_p - column, dim=1) for column in shifts.T], dim=1)

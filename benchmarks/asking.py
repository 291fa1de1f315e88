"""Wrong labels found per decision, for each order of asking, on labels that people have really judged.

    python -m benchmarks.asking FOLDER [--votes cifar10_test_30model_votes.npz] [--every 20] [--weights 0 0.25 0.5 1]

FOLDER is label-errors' (github.com/cleanlab/label-errors): cross-validated probabilities, given labels, and the verdicts of
five people on each of the 275 labels of the CIFAR-10 test set that confident learning suspects. The crowd plays the person:
a label is wrong where fewer than three of five uphold it. Only the judged 275 are asked about, since nothing is known of
the others, so every order starts from labels that are suspected already.

Orders: random (mean of 1,000, and the hypergeometric expectation), lowest self-confidence (the label errors page), and the
queues of the Decide page, as they are and learning from every batch of ``--every`` decisions.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from analysis.asking import INFORMATIVE, anchored, entropy, ranked, relearned, right_and_telling, wrong_and_telling
from analysis.confident.learning import find_issues, learn, quality_scores
from analysis.device import pick
from analysis.found_curve import at_random
from data.soft_labels import DenseSoftLabels

NAME = "cifar10"
BACKING = 3
AT = (20, 40, 60, 100, 150, 200)
SHUFFLES = 1_000

Order = Callable[[np.ndarray], np.ndarray]
"""From the probabilities of being wrong (N,), as they stand, to what asking each is worth (N,)."""


@dataclass(frozen=True)
class Task:
    """``judged`` int64 (n,) of N samples have a verdict, ``wrong`` bool (N,); ``p_wrong`` (N,) to start from, and the
    ``features`` (N, F) that are learnt from.
    """

    judged: np.ndarray
    wrong: np.ndarray
    p_wrong: np.ndarray
    features: np.ndarray


def read(folder: Path, votes: Path | None) -> Task:
    labels = np.load(folder / f"{NAME}_test_set_original_labels.npy").astype(np.int64)
    source = DenseSoftLabels(torch.from_numpy(np.load(folder / f"{NAME}_test_set_pyx.npy")), "probabilities")
    learned = learn(labels, source, pick("cpu"))
    score = quality_scores(learned, "self_confidence").astype(float)
    p_wrong = anchored(1 - score, int(find_issues(learned, "prune_by_noise_rate").sum()))
    verdicts = json.loads((folder / f"{NAME}_mturk.json").read_text())
    wrong = np.zeros(len(labels), dtype=bool)
    wrong[[item["id"] for item in verdicts if item["mturk"]["given"] < BACKING]] = True
    features = np.empty((len(labels), 0)) if votes is None else _from_votes(np.load(votes)["counts"], labels)
    return Task(np.sort([item["id"] for item in verdicts]), wrong, p_wrong, features)


def _from_votes(counts: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The shares of a committee's votes for the given class and for its strongest rival, (N, 2)."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    given = np.take_along_axis(shares, labels[:, None], axis=1)[:, 0]
    np.put_along_axis(shares, labels[:, None], -1.0, axis=1)
    return np.column_stack([given, shares.max(axis=1)])


def asked(task: Task, order: Order, every: int, learning: bool) -> np.ndarray:
    """Whether each decision found a wrong label, bool (n,), in the order asked; learning after ``every`` of them."""
    p_wrong, left, done = task.p_wrong, task.judged, np.zeros(0, np.int64)
    while len(left):
        batch = ranked(order(p_wrong), left)[:every]
        done, left = np.concatenate([done, batch]), np.setdiff1d(left, batch)
        if learning:
            p_wrong = relearned(task.p_wrong, task.features, done, task.wrong[done])
    return task.wrong[done]


def orders(weights: Sequence[float]) -> dict[str, Order]:
    seeking: dict[str, Order] = {"lowest score": lambda p: p}
    for weight in weights:
        seeking[f"wrong and telling, {weight:g}"] = lambda p, weight=weight: wrong_and_telling(p, entropy(p), weight)
    return {**seeking, "right and telling": lambda p: right_and_telling(p, entropy(p))}


def line(name: str, found: np.ndarray) -> str:
    """Found after each of ``AT``, and the mean share found over all decisions (1/2 is random)."""
    curve = np.cumsum(found)
    counts = "".join(f"{curve[min(n, len(curve)) - 1]:7.1f}" for n in AT)
    return f"{name:44}{counts}{curve.mean() / curve[-1]:8.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--votes", type=Path, help="votes of a committee on the same images: an .npz of counts (N, C)")
    parser.add_argument("--every", type=int, default=20, help="decisions a batch")
    parser.add_argument("--weights", type=float, nargs="*", default=[0.0, INFORMATIVE, 0.5, 1.0])
    given = parser.parse_args()
    task = read(given.folder, given.votes)
    n, errors = len(task.judged), int(task.wrong[task.judged].sum())
    print(f"{n} judged labels, {errors} wrong; wrong labels found after so many decisions, and the mean share found")
    print(f"{'':44}{''.join(f'{at:7}' for at in AT)}{'mean':>8}")
    rng = np.random.default_rng(0)
    shuffled = np.stack([task.wrong[rng.permutation(task.judged)] for _ in range(SHUFFLES)]).astype(float)
    print(line("random, mean of 1,000", shuffled.mean(axis=0)))
    expected = at_random(n, errors, n)
    low, high = (np.interp(AT, expected.decisions, bound) for bound in (expected.low, expected.high))
    bounds = (f"{a:.0f}-{b:.0f}" for a, b in zip(low, high, strict=True))
    print(f"{'random, 95 % of orders':44}{''.join(f'{bound:>7}' for bound in bounds)}")
    for name, order in orders(given.weights).items():
        for learning in (False, True):
            suffix = f", learning every {given.every}" if learning else ""
            print(line(name + suffix, asked(task, order, given.every, learning)))


if __name__ == "__main__":
    main()

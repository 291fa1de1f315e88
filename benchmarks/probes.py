"""Which evidence finds planted label errors: every origin and probe on the demo set. `python -m benchmarks.probes`.

Prints, for each, the AUC of 1 - p(given label) for flipped labels: for the flips that the demo set records, and for fresh
ones, symmetric (any other class), over several seeds, with a bootstrap interval over samples.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from analysis.context import Context
from analysis.probes.convnet_training import TrainingSettings
from analysis.probes.label_evidence import Origin, ProbeSettings, gather
from analysis.probes.probe import PROBES
from benchmarks.common import sizes
from data.demo import DEMO
from data.distilled_set import DistilledSet
from data.formats import open_set

EMBEDDINGS = ("pixels", "efficientnet-lite0")
DRAWS = 1_000


def contenders(width: int, steps: int) -> Iterator[tuple[str, Origin, ProbeSettings]]:
    """(name, origin, settings)."""
    for origin in ("probe", "reference"):
        for embedding in EMBEDDINGS:
            for kind in PROBES:
                yield f"{origin}, {kind}, {embedding}", origin, ProbeSettings(embedding, kind=kind)
    for weight in (0, 3):
        training = TrainingSettings(width, steps, weight)
        yield f"reference model, lambda {weight}", "reference model", ProbeSettings("pixels", training=training)


def wrongness(made: DistilledSet, origin: Origin, settings: ProbeSettings, context: Context) -> np.ndarray:
    """1 - p(given label), (N,); every image of the demo set can be judged."""
    evidence = gather(made, origin, "", settings, context)
    probabilities = evidence.probabilities.probabilities(np.arange(len(made))).numpy()
    return 1 - probabilities[np.arange(len(made)), made.labels]


def flipped(truth: np.ndarray, classes: int, share: float, seed: int) -> np.ndarray:
    """``truth`` with that share of labels changed to any other class."""
    rng = np.random.default_rng(seed)
    labels, ids = truth.copy(), rng.choice(len(truth), round(share * len(truth)), replace=False)
    labels[ids] = (labels[ids] + rng.integers(1, classes, len(ids))) % classes
    return labels


def bootstrap(wrong: np.ndarray, score: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the AUC over samples drawn anew, wrong and right ones apart."""
    rng = np.random.default_rng(seed)
    groups = [np.flatnonzero(wrong), np.flatnonzero(~wrong)]
    draws = (np.concatenate([rng.choice(ids, len(ids)) for ids in groups]) for _ in range(DRAWS))
    low, high = np.quantile([roc_auc_score(wrong[ids], score[ids]) for ids in draws], [0.025, 0.975])
    return float(low), float(high)


def main(width: int, steps: int, seeds: int, flips: int) -> None:
    made = open_set(DEMO)
    planted = {flip["sample_id"]: flip["true_label"] for flip in json.loads((DEMO / "planted.json").read_text())["flips"]}
    truth = made.labels.copy()
    truth[list(planted)] = list(planted.values())
    print(f"{'':46}{'recorded flips':^24}{f'{flips} % fresh flips':^24}{'seconds':>9}")
    with tempfile.TemporaryDirectory() as folder:
        context = Context(cache=Path(folder))
        for name, origin, settings in contenders(width, steps):
            started = time.perf_counter()
            score = wrongness(made, origin, settings, context)
            seconds = time.perf_counter() - started
            sets = [replace(made, labels=flipped(truth, made.num_classes, flips / 100, seed)) for seed in range(seeds)]
            wrong = np.concatenate([fresh.labels != truth for fresh in sets])
            scores = np.concatenate([wrongness(fresh, origin, settings, context) for fresh in sets])
            print(f"{name:46}{_auc(made.labels != truth, score):^24}{_auc(wrong, scores):^24}{seconds:9.1f}", flush=True)


def _auc(wrong: np.ndarray, score: np.ndarray) -> str:
    low, high = bootstrap(wrong, score)
    return f"{roc_auc_score(wrong, score):.3f} ({low:.3f} to {high:.3f})"


if __name__ == "__main__":
    main(**sizes(__doc__.splitlines()[0], width=32, steps=600, seeds=5, flips=8))

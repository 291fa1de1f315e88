"""``python -m benchmarks.combined_evidence``: one probability from several sources against each source alone.

CIFAR-10's test set with the labels it was published with. The sources are one model's cross-validated probabilities and the
votes of 30 published models. The truth is the crowd's, on the 275 labels that confident learning doubted: an error is a
label that fewer than 3 of 5 people backed. The first source chose these candidates, which is why all find them hard.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from analysis.context import Context
from analysis.evidence.learning import MOST_FOLDS, Learnt, learn_from_planted
from analysis.evidence.quality import auc, auc_difference, brier, calibration_error
from analysis.evidence.sources import ImageOptions, available
from analysis.evidence.verdict_fit import cross_validated_log_odds
from analysis.probes.probe import NEIGHBOURS, PENALTY
from data.distilled_set import DistilledSet, Provenance
from data.soft_labels import DenseSoftLabels
from data.verdicts import Verdicts

FIXTURES = Path(__file__).resolve().parents[2] / "shared" / "fixtures"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BACKING = 3
REPEATS, DRAWS = 10, 2_000


@dataclass(frozen=True)
class Compared:
    """Scores on the judged candidates, higher = wronger: each source ``alone`` (by name), all of them combined by what
    ``planted`` errors taught, and by ``verdicts`` too, each held out in its turn; ``wrong`` bool (n,) is the truth."""

    alone: dict[str, np.ndarray]
    planted: np.ndarray
    verdicts: np.ndarray
    repeats: tuple[float, ...]
    wrong: np.ndarray
    learnt: Learnt


def crowd(folder: Path = FIXTURES) -> tuple[DistilledSet, Verdicts]:
    """The published test set without images, its two label sources, and what the crowd said of the candidates."""
    published = folder / "label-errors"
    labels = np.load(published / "cifar10_test_set_original_labels.npy").astype(np.int64)
    predicted = np.load(published / "cifar10_test_set_pyx.npy")
    votes = np.load(folder / "cifar10" / "cifar10_test_30model_votes.npz")["counts"]
    _same_order(labels, predicted, votes)
    judged = sorted(json.loads((published / "cifar10_mturk.json").read_text()), key=lambda item: item["id"])
    backed = np.array([item["mturk"]["given"] >= BACKING for item in judged])
    ids, guessed = (np.array([item[key] for item in judged]) for key in ("id", "our_guessed_label"))
    verdicts = Verdicts(ids, np.where(backed, labels[ids], guessed))
    sources = {
        "predicted": DenseSoftLabels(torch.from_numpy(predicted), "probabilities"),
        "30 models": DenseSoftLabels(torch.from_numpy(votes / votes.sum(axis=1, keepdims=True)), "probabilities"),
    }
    about = Provenance(published, "published test set", "", ())
    return DistilledSet("CIFAR-10 test", labels, CLASSES, about, label_sources=sources), verdicts


def compare(distilled_set: DistilledSet, verdicts: Verdicts, context: Context, repeats: int = REPEATS) -> Compared:
    """Every source alone and all together on the verdicts; ``repeats`` cross-validations, their log-odds averaged."""
    sources = available(distilled_set, ImageOptions("none", "", 5, PENALTY, NEIGHBOURS), context).sources
    learnt = learn_from_planted(distilled_set.labels, sources, "confusion", 0, context)
    ids, wrong = verdicts.ids, verdicts.wrong(distilled_set.labels)
    scaled = learnt.scaled[ids]
    folds = min(MOST_FOLDS, int(min(wrong.sum(), (~wrong).sum())))
    held_out = [cross_validated_log_odds(learnt.prior, learnt.pool, scaled, wrong, folds, seed) for seed in range(repeats)]
    return Compared(
        {source.name: scaled[:, k] for k, source in enumerate(sources)},
        learnt.prior(scaled),
        np.mean(held_out, axis=0),
        tuple(float(roc_auc_score(wrong, found)) for found in held_out),
        wrong,
        learnt,
    )


def bootstrap(first: np.ndarray, second: np.ndarray, wrong: np.ndarray, draws: int = DRAWS) -> tuple[float, float]:
    """The 95 % interval of the difference in AUC over ``draws`` paired resamples of errors and of right labels."""
    rng = np.random.default_rng(0)
    gain = _ordered(first, wrong) - _ordered(second, wrong)
    errors, others = (rng.multinomial(size, np.full(size, 1 / size), draws) for size in gain.shape)
    differences = ((errors @ gain) * others).sum(axis=1) / gain.size
    low, high = np.quantile(differences, [0.025, 0.975])
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="cross-validations")
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    _show(compare(*crowd(), Context(given.device), given.repeats))


def _show(found: Compared) -> None:
    wrong = found.wrong
    print(f"{len(wrong)} labels judged by people, {int(wrong.sum())} of them wrong; AUC with DeLong's 95 % interval")
    rows = {**found.alone, "combined, planted errors only": found.planted, "combined, verdicts too": found.verdicts}
    for name, scores in rows.items():
        area = auc(scores, wrong)
        print(f"  {name:32}{area.value:.3f}  ({area.low:.3f} to {area.high:.3f})")
    mean, spread, times = np.mean(found.repeats), np.std(found.repeats), len(found.repeats)
    print(f"  each of {times} cross-validations by itself: {mean:.3f}, standard deviation {spread:.3f}")
    for label in list(rows)[-2:]:
        print(f"{label}, less")
        for name, scores in found.alone.items():
            gain, (low, high) = auc_difference(rows[label], scores, wrong), bootstrap(rows[label], scores, wrong)
            print(
                f"  {name:32}{gain.value:+.3f}  (DeLong {gain.low:+.3f} to {gain.high:+.3f}, p {gain.p:.2f}; "
                f"bootstrap {low:+.3f} to {high:+.3f})"
            )
    for name, log_odds in (("planted errors only", found.planted), ("verdicts too", found.verdicts)):
        p = expit(log_odds)
        print(f"{name}: calibration error {calibration_error(p, wrong):.3f}, Brier {brier(p, wrong).mean():.3f}")
    share = wrong.mean()
    print(f"always saying {share:.3f}: Brier {brier(np.full(len(wrong), share), wrong).mean():.3f}")
    rate = found.learnt.rate
    print(f"estimated share of errors in the whole set {rate.value:.2%} ({rate.low:.2%} to {rate.high:.2%})")


def _ordered(scores: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """(errors, right labels): 1 where the error scores higher, 1/2 where both score alike; its mean is the AUC."""
    above = scores[wrong][:, None] - scores[~wrong][None]
    return (np.sign(above) + 1) / 2


def _same_order(labels: np.ndarray, *sources: np.ndarray) -> None:
    """Sources whose rows are in another order would agree with one label in ten."""
    for values in sources:
        agreement = float((values.argmax(axis=1) == labels).mean())
        if values.shape[0] != len(labels) or agreement < 0.9:
            raise SystemExit(f"the rows are not in the labels' order: {agreement:.0%} agree.")


if __name__ == "__main__":
    main()

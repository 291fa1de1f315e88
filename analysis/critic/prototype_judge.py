"""The judge "prototypes": under which of two classes' real images, or the set's others, is the sample likelier?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from analysis.context import Context
from analysis.critic.class_gaussians import ClassGaussians, class_gaussians
from analysis.critic.judge import Questions, Replies, both_likelihoods, prefer
from analysis.device import rows_that_fit
from analysis.embedding import embed, embed_beside
from analysis.even_sample import evenly_over_classes
from analysis.intervals import wilson
from analysis.label_sources import BYTES_A_VALUE, CPU
from analysis.probes.label_evidence import MADE_TOGETHER
from analysis.probes.temperature_scaling import fit_temperature
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

VALUES_AT_ONCE = 1 << 22
"""32 MiB of float64."""
QUESTIONS_A_BATCH = 65_536
MOST_TO_CALIBRATE = 10_000
UNCALIBRATED = 1.0


@dataclass(frozen=True, eq=False)
class PrototypeJudge:
    """A judge (analysis/critic/judge.py) by the set's ``vectors`` (N, D), of ``given`` labels (N,), under ``gaussians``.

    ``leaves_one_out``: those were fitted to the same vectors, so each is taken out of what judges it. Likelihoods are taken
    to the power 1 / ``temperature``.
    """

    vectors: np.ndarray
    given: np.ndarray
    leaves_one_out: bool
    gaussians: ClassGaussians
    temperature: float
    author: str
    about: str
    caveats: tuple[str, ...]
    name: str = "prototypes"
    batch: int = QUESTIONS_A_BATCH
    repeats: int = 1

    def ask(self, questions: Questions) -> Replies:
        """The likelier of the two; no answer where either has no prototype. Against NOTHING a label has its probability
        among all classes with a prototype, and NOTHING the rest."""
        return prefer(*both_likelihoods(questions, self._among_known, self._rows_at_once))

    def probabilities(self, ids: np.ndarray) -> np.ndarray:
        """Of samples ``ids`` int64 (n,), float32 (n, C), every class being equally likely beforehand.

        0 for a class without a prototype; a row of NaN where that is the sample's own, whose label nothing can be said of.
        """
        found = np.empty((len(ids), len(self.gaussians.count)), np.float32)
        for start in range(0, len(ids), self._rows_at_once):
            found[start : start + self._rows_at_once] = self._among_known(ids[start : start + self._rows_at_once])
        unknown = np.isnan(found[np.arange(len(ids)), self.given[ids]])
        np.nan_to_num(found, copy=False)
        found[unknown] = np.nan
        return found

    @property
    def _rows_at_once(self) -> int:
        classes = len(self.gaussians.count)
        return rows_that_fit(BYTES_A_VALUE * classes, CPU, max(1, VALUES_AT_ONCE // classes))

    def _among_known(self, ids: np.ndarray) -> np.ndarray:
        """float64 (n, C), NaN for classes without a prototype."""
        logits = _log_likelihoods(self.gaussians, self.vectors[ids], self.given[ids], self.leaves_one_out) / self.temperature
        weight = np.exp(logits - np.fmax.reduce(logits, axis=1, keepdims=True))
        return weight / np.nansum(weight, axis=1, keepdims=True)


def prototype_judge(distilled_set: DistilledSet, context: Context, embedding: str) -> PrototypeJudge:
    """The judge by the reference's images, or without those by the set's own, each sample itself left out.

    Classes are Gaussians with one covariance (analysis/critic/class_gaussians.py). In many dimensions those are far too sure
    of themselves, so one temperature is fitted to the set's given labels (Guo et al., arXiv 1706.04599); where many of them
    are wrong, the judge is less sure than it could be. Raises ImpossibleRequest without images, and as
    ``analysis.embedding`` does.
    """
    if distilled_set.images is None:
        raise ImpossibleRequest(f"{distilled_set.name} holds no images, so there is nothing to compare with prototypes.")
    reference, labels = distilled_set.reference, distilled_set.labels
    if reference is None or not len(reference.labels):
        vectors = embed(distilled_set.images, embedding, context)
        fitted, alone = class_gaussians(vectors, labels, distilled_set.num_classes), True
        learnt_from = "the set's other images"
    else:
        vectors, real = embed_beside(distilled_set.images, reference.images, embedding, context)
        fitted, alone = class_gaussians(real, reference.labels, distilled_set.num_classes), False
        learnt_from = f"{len(reference.labels):,} reference images"
    temperature, doubts = _calibrated(fitted, vectors, labels, alone)
    return PrototypeJudge(
        vectors=vectors,
        given=labels,
        leaves_one_out=alone,
        gaussians=fitted,
        temperature=temperature,
        author=embedding,
        about=(
            f"Says under which class an image is likelier, by the class means of {learnt_from} and one covariance, on "
            f"'{embedding}' embeddings."
        ),
        caveats=(*_caveats(fitted.count, labels, alone), *doubts),
    )


def _log_likelihoods(fitted: ClassGaussians, vectors: np.ndarray, labels: np.ndarray, alone: bool) -> np.ndarray:
    return fitted.left_out(vectors, labels) if alone else fitted.log_likelihoods(vectors)


def _calibrated(
    fitted: ClassGaussians, vectors: np.ndarray, labels: np.ndarray, alone: bool
) -> tuple[float, tuple[str, ...]]:
    """The temperature at which the given labels are likeliest, and what is to be said where they are not told at all."""
    known = np.flatnonzero(fitted.count)
    judged = np.flatnonzero(fitted.count[labels] > alone)
    if len(known) < 2 or not len(judged):
        return UNCALIBRATED, ()
    most = min(MOST_TO_CALIBRATE, max(1, VALUES_AT_ONCE // len(known)))
    ids = judged[evenly_over_classes(labels[judged], most)]
    found = _log_likelihoods(fitted, vectors[ids], labels[ids], alone)[:, known]
    targets = np.searchsorted(known, labels[ids])
    temperature = fit_temperature(torch.from_numpy(found), torch.from_numpy(targets))
    hits = int((found.argmax(axis=1) == targets).sum())
    if wilson(hits, len(ids))[0] > 1 / len(known):
        return temperature, ()
    return temperature, (
        f"The nearest prototype is that of the given label for {hits} of {len(ids)} images, no more than by chance: the "
        "prototypes on this embedding say little.",
    )


def _caveats(count: np.ndarray, labels: np.ndarray, alone: bool) -> tuple[str, ...]:
    caveats = [MADE_TOGETHER] if alone else []
    without, only = int((count == 0).sum()), int((count == 1).sum())
    if without:
        caveats.append(
            f"{without} of {len(count)} classes have no image to make a prototype from, so no pair with one of them is "
            "answered."
        )
    if alone and only:
        caveats.append(
            f"{only} of {len(count)} classes have one image, which cannot be held against itself: no pair of it with its "
            "own class is answered."
        )
    return tuple(caveats)

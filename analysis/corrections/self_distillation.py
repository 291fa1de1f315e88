"""Multi-stage self-distilled pseudo-labels: a linear classifier on embeddings, fitted again to what it said itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import torch

from analysis.context import Context
from analysis.corrections.registry import Corrected, correction
from analysis.device import pick
from analysis.embedding import embed
from analysis.encoders import EFFICIENTNET
from analysis.label_sources import ChosenSource
from analysis.registry import Between, Embedding
from analysis.self_distilling.chain import Bias, PseudoLabels, Pupils, Rules
from analysis.self_distilling.classroom import Seating, Taught, in_chunks, mixed, seated, taught
from analysis.self_distilling.features import prepared
from analysis.self_distilling.report import caveats, figures, stage_table
from analysis.self_distilling.solvers import Logistic, Ridge, Solver
from analysis.self_distilling.stages import Distilled, Stopping, StopRule, distil
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

Classifier = Literal["ridge", "logistic"]
EMBEDDING, FITTING = 0.5, 0.95
"""Where the progress bar stands when images are embedded, and when all stages are done."""
MOST_LOGISTIC_WORK = 2e10
"""Images x features x classes x fits: about a minute and a half on two cores."""
CURVE = "stages"


@correction(
    title="Self-distillation",
    meaning=(
        "Fits a linear classifier to the images' labels and then, stage by stage, to its own answers, which can smooth out "
        "labels that were wrong by chance. The new labels are what it says of each image without having seen that image's "
        "own label, mixed with the given ones."
    ),
    paper=(
        "The Effect of Optimal Self-Distillation in Noisy Gaussian Mixture Model (Takanami, Takahashi, Sakata, "
        "arXiv 2501.16226)"
    ),
    needs=("images",),
)
def self_distillation(
    distilled_set: DistilledSet,
    source: ChosenSource | None,
    context: Context,
    *,
    learn_from: Literal["automatic", "hard labels", "label source"] = "automatic",
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
    classifier: Classifier = "ridge",
    penalty: Annotated[float, Between(1e-6, 1e6)] = 3.0,
    later_penalty: Annotated[float, Between(0, 1e6)] = 0.0,
    pseudo_labels: PseudoLabels = "hard",
    beta: Annotated[float, Between(0.01, 100)] = 1.0,
    bias: Bias = "first stage's",
    cross_fit: bool = True,
    folds: Annotated[int, Between(3, 10)] = 5,
    most_stages: Annotated[int, Between(0, 50)] = 5,
    stop: StopRule = "agreement",
    settled: Annotated[float, Between(0, 0.5)] = 0.0,
    given_weight: Annotated[float, Between(0, 1)] = 0.4,
) -> Corrected:
    """Logits of (1 - ``given_weight``) what the kept stage says + ``given_weight`` what the source says.

    The paper leaves open, for images, all but the scheme: ``classifier``, its L2 ``penalty`` on standardised features (and
    ``later_penalty`` after the first stage; 0 takes the same), hard or soft ``pseudo_labels`` and their inverse temperature
    ``beta``, the stages. Its two heuristics are ``stop`` and ``bias``. "agreement" stops when a stage agrees with
    fewer held-out given labels than an earlier one, "settled" when at most that share of classes changes from one to the
    next. The bias "first stage's" is what gave each class its share of the given labels; the theory fixes it where classes
    are unequal, and there "refitted" ones drift stage by stage (tests/analysis/self_distilling/test_theory.py).

    Without ``cross_fit`` all stages learn from and judge the same images, as in the paper, and "agreement" stops as
    "settled" does: a model that knows the labels by heart agrees with them best. With it an image's label comes from a chain
    of stages that has not met its label at any of them, and many that were right are changed too: on the demo set, whose 16
    of 200 labels are flipped, it repairs 11 and breaks 49 by itself, and repairs 8 and breaks 8 at the default
    ``given_weight``; from the teachers' labels it makes worse ones. Look at what changes before it is used. Raises
    ImpossibleRequest.
    """
    start = _taught(distilled_set, source, learn_from)
    seating = seated(start.classes, folds, cross_fit)
    rules = Rules(pseudo_labels, beta, bias, cross_fit)
    vectors = embed(distilled_set.images, embedding, context.part(0, EMBEDDING))
    inputs = prepared(vectors, seating.ids).to(pick(context.device))
    solvers = _solvers(inputs, seating, classifier, (penalty, later_penalty or penalty), (rules, most_stages, start))
    pupils = _pupils(inputs, seating, start)
    done = distil(
        solvers,
        pupils,
        rules,
        Stopping(most_stages, stop, settled),
        context.part(EMBEDDING, FITTING),
        lambda stages: context.draft(CURVE, stage_table(stages, pupils)),
    )
    logits = _labels(done, inputs, seating, start, given_weight)
    changed = _changed(logits, start, context.part(FITTING, 1))
    return Corrected(
        logits,
        figures(done, pupils, cross_fit, changed, len(start.classes)),
        (*_source_caveats(source, start), *caveats(done, pupils, cross_fit, len(seating.left_out))),
        {CURVE: stage_table(done.stages, pupils)},
    )


def _taught(distilled_set: DistilledSet, source: ChosenSource | None, learn_from: str) -> Taught:
    if learn_from == "label source" and source is None:
        raise ImpossibleRequest(f"{distilled_set.name} has no label source to learn from; learn from the hard labels.")
    return taught(distilled_set, None if source is None or learn_from == "hard labels" else source.labels)


def _source_caveats(source: ChosenSource | None, start: Taught) -> tuple[str, ...]:
    if source is None or start.soft is None:
        return ("The hard labels were learnt from, and mixed in; no label source had a part.",)
    return source.caveats


def _solvers(
    inputs: torch.Tensor,
    seating: Seating,
    classifier: Classifier,
    penalties: tuple[float, float],
    asked: tuple[Rules, int, Taught],
) -> tuple[Solver, Solver]:
    """Raises ImpossibleRequest where logistic regression is asked for what it cannot do, or not in time."""
    parts, (rules, most_stages, start) = inputs.split(seating.sizes), asked
    if classifier == "logistic":
        fits = (len(parts) ** 2 if rules.crossed else 1) * (most_stages + 1)
        if inputs.numel() * start.num_classes * fits > MOST_LOGISTIC_WORK:
            raise ImpossibleRequest("logistic regression would take too long on this many images and classes; choose ridge.")
        if rules.pseudo_labels == "scores":
            raise ImpossibleRequest("scores as pseudo-labels are for ridge; logistic regression needs hard or soft ones.")
    make = Ridge if classifier == "ridge" else Logistic
    first = make(parts, penalties[0])
    return first, first if penalties[0] == penalties[1] else make(parts, penalties[1])


def _pupils(inputs: torch.Tensor, seating: Seating, start: Taught) -> Pupils:
    ids = seating.folds
    classes = [torch.from_numpy(start.classes[some]).to(inputs.device) for some in ids]
    return Pupils(
        inputs.split(seating.sizes), classes, lambda fold: start.lesson(ids[fold]).to(inputs.device), start.num_classes
    )


def _labels(
    done: Distilled, inputs: torch.Tensor, seating: Seating, start: Taught, given_weight: float
) -> Callable[[np.ndarray], torch.Tensor]:
    """Logits of any samples, computed when asked for; those left out keep what the source says."""
    row_of = np.full(len(start.classes), -1)
    row_of[seating.ids] = np.arange(len(seating.ids))
    fold_of, stage = seating.fold_of, done.stages[done.kept]

    def logits(ids: np.ndarray) -> torch.Tensor:
        given = start.probabilities(ids)
        said, rows = given.clone(), row_of[ids]
        known = np.flatnonzero(rows >= 0)
        for fold in np.unique(fold_of[rows[known]]):
            own = known[fold_of[rows[known]] == fold]
            scores = stage.models[fold](inputs[torch.from_numpy(rows[own]).to(inputs.device)])
            said[own] = torch.softmax(scores / stage.temperature, dim=1).float().cpu()
        return mixed(said, given, given_weight)

    return logits


def _changed(logits: Callable[[np.ndarray], torch.Tensor], start: Taught, context: Context) -> int:
    """Images whose most probable class is not the given one any more."""
    parts = in_chunks(len(start.classes), start.num_classes)
    tracked = context.track(parts, len(parts), "counting changed labels")
    return sum(int((logits(ids).argmax(dim=1).numpy() != start.classes[ids]).sum()) for ids in tracked)

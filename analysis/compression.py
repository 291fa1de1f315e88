"""Prune, Combine, Augment: which images a budget should keep, and what students would make of them."""

from __future__ import annotations

from typing import Annotated

from analysis.compressing.allocation import Spread
from analysis.compressing.combined import Wish
from analysis.compressing.mosaics import Resampling
from analysis.compressing.planning import Budget, Criteria, Tiles, make_plan
from analysis.compressing.ranks import Direction
from analysis.compressing.scores import Cover
from analysis.compressing.told import findings
from analysis.compressing.what_if import Asked, Labels, Told, what_if
from analysis.context import Context
from analysis.encoders import EFFICIENTNET
from analysis.findings import Findings
from analysis.registry import Between, Embedding, LabelSource, analysis
from analysis.students.options import Crop, Seeds, Steps, Temperature, cropped, schooling
from analysis.students.task import Network, Schooling
from data.distilled_set import DistilledSet

Weight = Annotated[float, Between(0, 100)]
BEFORE_STUDENTS = 0.2
"""The part of the progress until students are asked, where they are."""


@analysis(
    title="Prune and combine",
    meaning=(
        "Ranks the images of each class by several scores, keeps as many as a budget allows, and says which mosaics the "
        "kept ones would make. Nothing is changed by it: a plan can be tried on students, and then be carried out below."
    ),
    paper=(
        "PCA: Prune, Combine, Augment (Rethinking Large-scale Dataset Compression, arXiv 2502.06434); easy or hard images "
        "by how many are kept (Beyond neural scaling laws, arXiv 2206.14486); mosaics as RDED's (arXiv 2312.03526)"
    ),
)
def compression(
    distilled_set: DistilledSet,
    context: Context,
    *,
    ipc: Annotated[int, Between(0, 1_000_000)] = 0,
    total: Annotated[int, Between(0, 1_000_000_000)] = 0,
    share: Annotated[float, Between(0.0001, 1.0)] = 0.5,
    spread: Spread = "equal",
    direction: Direction = "easy first",
    what_if_students: bool = False,
    floor: Annotated[int, Between(0, 1_000_000)] = 1,
    confidence_weight: Weight = 1.0,
    margin_weight: Weight = 0.0,
    entropy_weight: Weight = 0.0,
    label_error_weight: Weight = 1.0,
    el2n_weight: Weight = 0.0,
    typicality_weight: Weight = 0.0,
    redundancy_weight: Weight = 1.0,
    random_weight: Weight = 0.0,
    source: Annotated[str, LabelSource()] = "",
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
    cover: Cover = "k-centre",
    factor: Annotated[int, Between(1, 8)] = 2,
    tiles: Tiles = "by rank",
    resampling: Resampling = "area",
    student_labels: Labels = "hard",
    temperature: Temperature = 1.0,
    network: Network = "convnet",
    steps: Steps = Schooling.steps,
    seeds: Seeds = 3,
    augment: bool = True,
    crop: Crop = 1.0,
    seed: Annotated[int, Between(0, 2**31 - 1)] = 0,
) -> Findings:
    """Keep ``ipc`` images a class, or ``total`` images, or, where both are 0, a ``share`` of them, ``spread`` over classes
    with a ``floor``, and never more than there are (analysis.compressing.allocation).

    Which ones: the weighted mean of the ranks within the class by each score with a weight (analysis.compressing.scores),
    best first. ``direction`` turns the scores of ease around: easy images teach more where few are kept, hard ones where
    many are (arXiv 2206.14486), hence a choice; a label that is probably wrong, and a near-copy, rank last in each.
    ``tiles`` puts kept images into ``factor`` x ``factor`` mosaics of their class by rank, or so that each mosaic's are
    unlike each other. Per sample: ``kept``; ``rank_score``, 1 for the first of its class to 0 for the last; ``tile``, the
    place among the kept, -1 elsewhere; every score, larger being better, and its rank, 0 being best. No score and no flag.

    ``what_if_students`` trains ``seeds`` students each on the whole set, the kept images, as many random ones (each seed its
    own), their mosaics (as they are, and with tiles enlarged), and as many whole images as those. Mosaics are for training
    on random resized crops: with ``augment`` and a ``crop`` below 1, the smallest share of an image's area that is shown
    alone, all students learn so; SRe2L's and RDED's 0.08 suits images of 224 pixels. Raises ImpossibleRequest.
    """
    weights = {
        "confidence": confidence_weight,
        "margin": margin_weight,
        "entropy": entropy_weight,
        "label_error": label_error_weight,
        "el2n": el2n_weight,
        "typicality": typicality_weight,
        "redundancy": redundancy_weight,
        "random": random_weight,
    }
    budget = Budget(ipc, total, share, spread, floor)
    criteria = Criteria(weights, direction, source, embedding, cover, tiles, factor, seed)
    plan = make_plan(distilled_set, budget, criteria, context.part(0, BEFORE_STUDENTS if what_if_students else 1))
    tried = Told()
    if what_if_students:
        students = schooling(distilled_set, network, Schooling.width, steps, Schooling.learning_rate, augment, seeds)
        wish = Wish(plan.tile, factor, resampling, {})
        asked = Asked(
            plan.ranking.order, plan.kept, wish, student_labels, source, temperature, cropped(students, crop), seed
        )
        tried = what_if(distilled_set, asked, context.part(BEFORE_STUDENTS, 1))
    return findings(distilled_set, plan, tried)

"""Which given labels are probably wrong, by confident learning."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd

from analysis.confident.learning import ids_by_class
from analysis.confident.rows import NOT_CONFIDENT
from analysis.context import Context
from analysis.encoders import EFFICIENTNET
from analysis.findings import Figure, Findings, Matrix, per_class_table, per_sample_table
from analysis.intervals import mean_figure, share, share_figure, wilson
from analysis.judging.caveats import caveats
from analysis.judging.judgement import Backend, FilterChoice, Judged, RankingChoice, Rules, Thresholds, judge
from analysis.judging.shrunk_thresholds import AUTOMATIC, MOST_WEIGHT
from analysis.judging.small_classes import NOTHING
from analysis.label_sources import MOST_CLASSES_IN_A_MATRIX
from analysis.probes.convnet_training import TrainingSettings
from analysis.probes.label_evidence import Origin, ProbeSettings, gather
from analysis.probes.probe import NEIGHBOURS, PENALTY, ProbeKind
from analysis.registry import AlsoCalled, Between, Embedding, LabelSource, analysis
from data.distilled_set import DistilledSet


@analysis(
    title="Label errors",
    meaning=(
        "Finds images whose given label is probably wrong: another class is predicted for them more confidently than "
        "that class's own images usually are. The score is how far the predictions back the given label, so look at the "
        "lowest first."
    ),
    paper="Confident Learning: Estimating Uncertainty in Dataset Labels (Northcutt, Jiang, Chuang, arXiv 1911.00068)",
)
def label_errors(
    distilled_set: DistilledSet,
    context: Context,
    *,
    probabilities_from: Origin = "automatic",
    source: Annotated[str, LabelSource()] = "",
    embedding: Annotated[str, Embedding()] = EFFICIENTNET,
    filter_by: Annotated[FilterChoice, AlsoCalled("filter")] = "automatic",
    ranking: RankingChoice = "automatic",
    min_per_class: Annotated[int, Between(1, 1000)] = 5,
    folds: Annotated[int, Between(2, 20)] = 5,
    penalty: Annotated[float, Between(1e-6, 1e3)] = PENALTY,
    backend: Backend = "stillroom",
    thresholds: Thresholds = "automatic",
    pool_weight: Annotated[float, Between(AUTOMATIC, MOST_WEIGHT)] = AUTOMATIC,
    probe: ProbeKind = "logistic",
    neighbours: Annotated[int, Between(1, 1000)] = NEIGHBOURS,
    width: Annotated[int, Between(8, 512)] = TrainingSettings.width,
    steps: Annotated[int, Between(10, 100_000)] = TrainingSettings.steps,
    elr_weight: Annotated[float, Between(0, 20)] = TrainingSettings.elr_weight,
    elr_memory: Annotated[float, Between(0, 0.999)] = TrainingSettings.elr_memory,
) -> Findings:
    """Confident learning on the probabilities of a label source, of a probe on ``embedding``, or of a reference model.

    The probe learns from the set's "reference" images, or ("probe") from the set itself, cross-validated. "reference model"
    trains a ConvNet on the reference's pixels, which takes a minute or more and is kept. "automatic"
    takes ``source`` where one is named, else the reference, else the cross-validated probe: given soft labels whose most
    probable class is the label cannot contradict it. Nothing is flagged where the predictions know no more of the labels
    than chance. ``folds`` and ``penalty`` (L2) belong to the linear probes, ``neighbours`` to the vote; ``width``,
    ``steps``, ``elr_weight`` (lambda; above 0 for a reference whose own labels are partly wrong) and ``elr_memory`` (beta)
    to the reference model.

    ``thresholds`` "exact" are each class's own, and all answers equal cleanlab's, by ``filter_by`` (or ``filter``) and
    ``ranking``, of which "automatic" takes cleanlab's defaults. Flags are withheld in classes with fewer than
    ``min_per_class`` images, unless a filter, a ranking or cleanlab is asked for by name: that answers as it is.
    ``backend`` "cleanlab" asks that library itself, which gives the same answers more slowly. "shrunk" ones lean on the
    pooled threshold the more the fewer images a class has, counting it for ``pool_weight`` images (0 estimates that), and
    the score is the probability that the label is right (``analysis.judging.small_classes``); only noise rates need
    ``min_per_class``. "automatic" shrinks where a class has fewer than 100 of at most 200,000 images, unless a filter, a
    ranking or cleanlab is asked for by name. Raises ImpossibleRequest.
    """
    rules = Rules(thresholds, filter_by, ranking, backend, min_per_class, pool_weight)
    training = TrainingSettings(width, steps, elr_weight, elr_memory)
    settings = ProbeSettings(embedding, folds, penalty, probe, neighbours, training)
    evidence = gather(distilled_set, probabilities_from, source, settings, context.part(0, 0.8))
    judged = judge(distilled_set.labels[evidence.ids], evidence, rules, context.part(0.8, 1))
    kept = distilled_set.num_classes <= MOST_CLASSES_IN_A_MATRIX
    return Findings(
        per_sample=_per_sample(distilled_set, judged),
        per_class=_per_class(distilled_set, judged),
        summary=_summary(judged, evidence.basis, len(distilled_set)) + evidence.figures,
        caveats=evidence.caveats + caveats(distilled_set.num_classes, judged),
        matrices={"confident joint": _joint(distilled_set, judged)} if kept and judged.informed else {},
        headline="noise_rate",
    )


def _per_sample(distilled_set: DistilledSet, judged: Judged) -> pd.DataFrame:
    facts, n = judged.learned.facts, len(distilled_set)

    def everywhere(values: np.ndarray, missing: float | str) -> np.ndarray:
        whole = np.full(n, missing, dtype=object if isinstance(missing, str) else np.result_type(values, type(missing)))
        whole[judged.ids] = values
        return whole

    small = judged.small
    shrunk = {}
    if small is not None and judged.informed:
        shrunk = {
            "verdict": everywhere(small.verdict, NOTHING),
            "score_low": everywhere(small.low, np.nan),
            "score_high": everywhere(small.high, np.nan),
            "threshold": everywhere(small.thresholds.left_out, np.nan),
        }
    return per_sample_table(
        everywhere(judged.score if judged.speaks else np.full(len(judged.ids), np.nan), np.nan),
        everywhere(judged.flag, False),
        given_label=distilled_set.labels,
        suggested_label=everywhere(facts.top_label, -1),
        p_given=everywhere(facts.given, np.nan),
        p_suggested=everywhere(facts.top, np.nan),
        margin=everywhere(facts.given - facts.other, np.nan),
        **shrunk,
    )


def _per_class(distilled_set: DistilledSet, judged: Judged) -> pd.DataFrame:
    wrong, confident = judged.counted()
    told = judged.trusted & (confident > 0)
    low, high = wilson(wrong, confident)
    seen = judged.per_class > 0
    return per_class_table(
        distilled_set.class_names,
        distilled_set.per_class,
        flagged=np.bincount(judged.labels[judged.flag], minlength=distilled_set.num_classes),
        noise_rate=np.where(told, share(wrong, confident), np.nan),
        noise_low=np.where(told, low, np.nan),
        noise_high=np.where(told, high, np.nan),
        confident=confident,
        mean_self_confidence=np.where(seen, judged.self_confidence, np.nan),
        threshold=np.where(seen, judged.learned.thresholds, np.nan),
        mostly_taken_for=_mostly_taken_for(distilled_set, judged),
    )


def _mostly_taken_for(distilled_set: DistilledSet, judged: Judged) -> np.ndarray:
    """The other class that most samples of each class are confidently in, by name; "" where there is none."""
    confident, labels = judged.learned.confident_label, judged.labels
    elsewhere = np.where((confident != labels) & (confident != NOT_CONFIDENT), confident, NOT_CONFIDENT)
    names = []
    for ids in ids_by_class(labels, distilled_set.num_classes):
        taken_for = elsewhere[ids][elsewhere[ids] != NOT_CONFIDENT]
        names.append(distilled_set.class_names[np.bincount(taken_for).argmax()] if len(taken_for) else "")
    return np.array(names, dtype=object)


def _summary(judged: Judged, basis: str, n: int) -> tuple[Figure, ...]:
    judged_n, given = len(judged.ids), judged.learned.facts.given.astype(float)
    agreement = share_figure("Predictions that agree with the given label", judged.agreeing, judged_n, basis)
    if not judged.speaks:
        return (
            Figure("Flagged labels", None, "the predictions know no more of the labels than chance", judged_n),
            agreement,
        )
    wrong, confident = (int(by_class[judged.trusted].sum()) for by_class in judged.counted())
    how = "taken as exact" if judged.small is None else "shrunk towards the pooled one"
    sure = f"samples confidently in some class, in classes with enough images; class thresholds {how}"
    return (
        Figure("Flagged labels", int(judged.flag.sum()), f"{judged_n} of {n} samples judged; {basis}", judged_n, "samples"),
        share_figure("Confidently of another class", wrong, confident, sure),
        mean_figure("Mean self-confidence", given, f"probability of the given label; {basis}", ""),
        agreement,
        *_noise_figure(judged, basis),
    )


def _noise_figure(judged: Judged, basis: str) -> tuple[Figure, ...]:
    if judged.small is None:
        return ()
    posterior = judged.small.posterior
    told = f"the share that explains the predictions best, how over-confident they are weighed with it; {basis}"
    bounds = (posterior.noise_rate, told, len(judged.ids), "share", posterior.noise_low, posterior.noise_high)
    return (Figure("Wrong labels, by the model of small classes", *bounds),)


def _joint(distilled_set: DistilledSet, judged: Judged) -> Matrix:
    names = distilled_set.class_names
    return Matrix(
        "Samples by given and probable class",
        judged.learned.joint.toarray().astype(float),
        "Given label",
        "Probably",
        names,
        names,
    )

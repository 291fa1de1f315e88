"""Several annotators' answers: where they agree, what they come to, and how good each annotator is."""

from __future__ import annotations

from typing import Annotated

from analysis.consensus.caveats import NOBODY
from analysis.consensus.report import Budget, Heard, report, silent
from analysis.consensus.side_by_side import Consensus, side_by_side
from analysis.consensus.votes import numbered
from analysis.context import Context
from analysis.findings import Findings
from analysis.registry import Between, LabelSource, analysis
from data.distilled_set import DistilledSet


@analysis(
    title="Agreement",
    meaning=(
        "Compares what several annotators say of the same samples: the consensus by several methods, where it is in doubt, "
        "and how good each annotator is. It flags conflicts: answers that differ, with no consensus that is sure."
    ),
    paper=(
        "CROWDLAB (Goh et al., arXiv 2210.06812), Dawid and Skene 1979 (doi 10.2307/2346806), GLAD (Whitehill et al., NIPS "
        "2009), and their plain average (Wright and Augenstein, arXiv 2212.09409); top two answers of Jeong and "
        "Chung (arXiv 2301.00006); Bayesian risk as in Estes et al. (arXiv 2412.18483); the planner after Mallen "
        "and Belrose (arXiv 2410.13215)"
    ),
    reads_annotations=True,
)
def agreement(
    distilled_set: DistilledSet,
    context: Context,
    *,
    consensus: Consensus = "mean of methods",
    gold: str = "",
    settled_from: Annotated[float, Between(0.5, 1.0)] = 0.8,
    budget: Annotated[int, Between(1, 100_000_000)] = 1_000,
    most_answers: Annotated[int, Between(1, 25)] = 5,
    cost_of_wrong: Annotated[float, Between(0.0, 1_000.0)] = 1.0,
    reviewer_price: Annotated[float, Between(0.01, 1_000.0)] = 3.0,
    accuracy: Annotated[float, Between(0.0, 1.0)] = 0.0,
    source: Annotated[str, LabelSource()] = "",
) -> Findings:
    """``consensus`` is the method whose label, probability and Bayesian risk count; the others stand beside it. ``gold``
    names an annotator whose answers count as known labels and not as votes; "" is nobody. Answers that differ are a
    conflict unless the consensus has at least the probability ``settled_from``, or the label is known.

    The planner spends a ``budget`` of answers on 1 to ``most_answers`` answers a sample, or on a reviewer at
    ``reviewer_price`` answers each. A right consensus is worth 1, a wrong one costs ``cost_of_wrong``. ``accuracy`` is the
    annotators', 0 to have it measured or estimated. ``source`` is what CROWDLAB takes for a classifier's predictions.

    The score is the probability of the consensus label, where at least two people answered.
    """
    context.report(0.0, "Reading the answers")
    votes, known = numbered(context.annotations, gold.strip(), len(distilled_set), distilled_set.num_classes)
    if not len(votes):
        context.report(1.0, "Nothing to compare")
        return silent(distilled_set, NOBODY)
    found = side_by_side(votes, distilled_set, source, context.part(0, 0.9))
    heard = Heard(votes, known, found, found.of(consensus), consensus, settled_from)
    result = report(distilled_set, heard, Budget(budget, most_answers, cost_of_wrong, reviewer_price, accuracy))
    context.report(1.0, "Compared")
    return result

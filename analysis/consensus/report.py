"""What annotators' answers come to, as findings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.consensus.annotators import annotator_table
from analysis.consensus.caveats import caveats
from analysis.consensus.pairwise import alpha_figure, kappas
from analysis.consensus.planner import Worker, plan
from analysis.consensus.said import Said
from analysis.consensus.side_by_side import CROWDLAB, DAWID_SKENE, GLAD, SideBySide, methods_matrix, methods_table
from analysis.consensus.votes import UNDECIDED, Gold, Votes
from analysis.findings import Figure, Findings, per_class_table, per_sample_table
from analysis.intervals import mean_figure, share, share_figure, wilson
from data.distilled_set import DistilledSet

FEWEST_GOLD = 10
"""Known labels that annotators' pooled accuracy is measured on; with fewer it is estimated without them."""
REVIEWER = "reviewer"


@dataclass(frozen=True)
class Budget:
    """What the planner is asked: ``answers`` of annotators to spend, at most ``most`` a sample; ``cost`` of a wrong
    consensus where a right one is worth 1; ``price`` of a reviewer's answer in annotators' answers; annotators'
    ``accuracy``, 0 to have it estimated."""

    answers: int
    most: int
    cost: float
    price: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Heard:
    """The votes, what the methods make of them, which ``consensus`` counts, and from which probability a disagreement counts
    as settled."""

    votes: Votes
    gold: Gold
    methods: SideBySide
    consensus: Said
    name: str
    settled_from: float

    @property
    def conflict(self) -> np.ndarray:
        """Answers differ, the consensus is not sure, and nobody has said what is right; bool (n,)."""
        unsure = ~(self.consensus.p_first >= self.settled_from)
        return self.votes.differ & unsure & (self.gold.of(self.votes.samples) == UNDECIDED)


def report(distilled_set: DistilledSet, heard: Heard, budget: Budget) -> Findings:
    """Everything; ``heard.votes`` has at least one answer."""
    per_sample = _per_sample(distilled_set, heard)
    people = annotator_table(heard.votes, heard.gold, heard.methods.skilled, heard.methods.quality)
    given = distilled_set.labels[heard.votes.samples]
    workers, how = _workers(people, budget)
    planned = plan(workers, budget.answers, len(distilled_set), budget.cost)
    pairs = kappas(heard.votes)
    tables = {
        "annotators": people,
        "methods": methods_table(heard.methods, heard.consensus, heard.votes, heard.gold, given),
        **({"pairs of annotators": pairs} if len(pairs) else {}),
        **({"planner": planned} if len(planned) else {}),
    }
    return Findings(
        per_sample=per_sample,
        per_class=_per_class(distilled_set, per_sample),
        summary=_summary(heard, given),
        caveats=(*caveats(heard.votes, heard.gold), *heard.methods.caveats, how, *_best(planned, budget)),
        matrices={"methods": methods_matrix(heard.methods)},
        headline="conflict_share",
        tables=tables,
    )


def silent(distilled_set: DistilledSet, why: str) -> Findings:
    """Findings where nobody has answered: every sample, nothing said of any."""
    n = len(distilled_set)
    per_sample = per_sample_table(np.full(n, np.nan), np.zeros(n, bool), n_answers=np.zeros(n, np.int64))
    per_class = per_class_table(distilled_set.class_names, distilled_set.per_class)
    figure = Figure("Samples with two answers or more", None, why, 0)
    return Findings(per_sample=per_sample, per_class=per_class, summary=(figure,), caveats=(why,))


def _per_sample(distilled_set: DistilledSet, heard: Heard) -> pd.DataFrame:
    votes, one = heard.votes, heard.consensus
    several = votes.answers > 1
    p_given = np.where(one.first == distilled_set.labels[votes.samples], one.p_first, np.nan)
    p_given = np.where(one.second == distilled_set.labels[votes.samples], one.p_second, p_given)
    columns = {
        "n_answers": votes.answers,
        **_method("majority", heard.methods.said["majority"], "majority_share"),
        "consensus_label": one.label,
        "p_consensus": one.p_first,
        "risk": one.risk,
        "first_label": one.first,
        "second_label": one.second,
        "p_second": one.p_second,
        "confusion": one.confusion,
        "entropy": heard.methods.said["mean of annotators"].entropy,
        "p_given": p_given,
        "methods_differ": heard.methods.differ,
        "known_label": heard.gold.of(votes.samples),
    }
    for name in (DAWID_SKENE, GLAD, CROWDLAB):
        if name in heard.methods.said:
            columns |= _method(name.lower().replace("-", "_"), heard.methods.said[name])
    score = np.where(several, one.p_first, np.nan)
    n = len(distilled_set)
    table = {name: _spread(name, values, votes.samples, n) for name, values in columns.items()}
    flag = _spread("flag", heard.conflict, votes.samples, n)
    return per_sample_table(_spread("score", score, votes.samples, n), flag, given_label=distilled_set.labels, **table)


def _method(name: str, one: Said, p: str = "") -> dict[str, np.ndarray]:
    return {f"{name}_label": one.label, p or f"p_{name}": one.p_first}


def _spread(name: str, values: np.ndarray, samples: np.ndarray, n: int) -> np.ndarray:
    """The column ``name`` of ``samples`` among all ``n``; elsewhere no class, no probability, no answers."""
    empty = UNDECIDED if name.endswith("_label") else np.nan if values.dtype.kind == "f" else 0
    found = np.full(n, empty, values.dtype)
    found[samples] = values
    return found


def _per_class(distilled_set: DistilledSet, per_sample: pd.DataFrame) -> pd.DataFrame:
    classes, labels = distilled_set.num_classes, distilled_set.labels

    def of_class(which: pd.Series) -> np.ndarray:
        return np.bincount(labels[which.to_numpy()], minlength=classes)

    answers = per_sample["n_answers"]
    twice, conflicts = of_class(answers > 1), of_class(per_sample["flag"])
    decided = per_sample["consensus_label"] != UNDECIDED
    differs = of_class(decided & (per_sample["consensus_label"] != labels))
    low, high = wilson(conflicts, twice)
    return per_class_table(
        distilled_set.class_names,
        distilled_set.per_class,
        answered=of_class(answers > 0),
        answered_twice=twice,
        conflict_share=share(conflicts, twice),
        conflict_share_low=low,
        conflict_share_high=high,
        consensus_differs=share(differs, of_class(decided)),
    )


def _summary(heard: Heard, given: np.ndarray) -> tuple[Figure, ...]:
    votes, one = heard.votes, heard.consensus
    several, decided = votes.answers > 1, one.label != UNDECIDED
    n = int(several.sum())
    return (
        share_figure("Conflicts", int(heard.conflict.sum()), n, "samples with at least two answers"),
        alpha_figure(votes),
        mean_figure("Mean Bayesian risk", one.risk[several], f"samples with at least two answers, by {heard.name}"),
        share_figure(
            "Consensus other than the given label",
            int((decided & (one.label != given)).sum()),
            int(decided.sum()),
            f"answered samples with one likeliest class, by {heard.name}; not all samples, unless all were asked",
        ),
        Figure(
            "Samples with two answers or more", n, f"of {len(votes.samples):,} that anybody answered", len(votes.samples)
        ),
        *(_against_gold(heard) if len(heard.gold) else ()),
    )


def _best(planned: pd.DataFrame, budget: Budget) -> tuple[str, ...]:
    """What the planner comes to, in a sentence."""
    if not len(planned):
        return ()
    best = planned[planned["chosen"]].iloc[0]
    if best["worth"] <= 0:
        return (f"Where a wrong consensus costs {budget.cost:g}, no plan is worth its {budget.answers:,} answers.",)
    answers = f"{best['k']} answer{'' if best['k'] == 1 else 's'} a sample by the {best['group']}"
    return (
        f"Of {budget.answers:,} answers to spend, {answers} would be worth most: about {best['right_consensus']:,.0f} right "
        f"and {best['wrong_consensus']:,.0f} wrong of {best['labelled']:,} samples.",
    )


def _against_gold(heard: Heard) -> tuple[Figure, ...]:
    """How often the consensus is right where the label is known."""
    truth, label = heard.gold.of(heard.votes.samples), heard.consensus.label
    checked = (truth != UNDECIDED) & (label != UNDECIDED)
    basis = f"samples with a known label and a consensus of the others, by {heard.name}"
    return (share_figure("Consensus right where known", int((label == truth)[checked].sum()), int(checked.sum()), basis),)


def _workers(people: pd.DataFrame, budget: Budget) -> tuple[list[Worker], str]:
    """Who the planner compares, and where their accuracy comes from; nobody, and why, where it cannot be told."""
    assumed = (
        f"The planner assumes that annotators err independently and towards the same class, and a {REVIEWER} who is always "
        f"right at the price of {budget.price:g} answers."
    )
    reviewer = Worker(REVIEWER, 1.0, 1.0, 1.0, budget.price, 1)
    if budget.accuracy > 0:
        a = budget.accuracy
        return [Worker("annotators", a, a, a, 1.0, budget.most), reviewer], f"{assumed} Their accuracy is the given {a:.1%}."
    for column, n, basis in (
        ("gold_accuracy", "gold_n", "measured where the label is known"),
        ("dawid_skene_accuracy", "n", "estimated by Dawid-Skene"),
        ("agreement_with_others", "compared", "taken to be their agreement with the majority of the others"),
    ):
        total = int(people[n].sum()) if column in people and people["compared"].sum() else 0
        if total >= FEWEST_GOLD:
            hits = float((people[column].fillna(0) * people[n]).sum())
            low, high = (float(end) for end in wilson(hits, total))
            worker = Worker("annotators", hits / total, low, high, 1.0, budget.most)
            return [
                worker,
                reviewer,
            ], f"{assumed} Their pooled accuracy, {hits / total:.1%}, is {basis} ({total:,} answers)."
    return [], (
        "There is no plan for more answers: nothing tells how often annotators are right. Let two of them answer the same "
        f"{FEWEST_GOLD} samples or more, or set their accuracy."
    )

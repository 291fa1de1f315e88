"""What one must know before believing a consensus."""

from __future__ import annotations

from analysis.consensus.votes import UNDECIDED, Gold, Votes
from data.plain_text import one_line

FEW = 30
OVERLAP = 3
WHAT_TO_DO = (
    f"Let at least two people, better {OVERLAP}, answer for the same samples (an overlap of {OVERLAP}), each without seeing "
    "the others' answers."
)
NOBODY = f"Nobody has answered for this set yet, so there is nothing to agree on. {WHAT_TO_DO}"


def caveats(votes: Votes, gold: Gold) -> tuple[str, ...]:
    """Sentences, the most important first."""
    return (*_overlap(votes), *_ties(votes), *_gold(votes, gold))


def _overlap(votes: Votes) -> tuple[str, ...]:
    if len(votes.annotators) < 2:
        return (
            f"Only {one_line(votes.annotators[0])} has answered: with one annotator neither agreement nor anybody's quality "
            f"can be told. {WHAT_TO_DO}",
        )
    if not votes.overlap:
        return (
            f"{len(votes.annotators)} people have answered, but no sample twice: neither agreement nor anybody's quality "
            f"can be told, and each consensus is one person's answer. {WHAT_TO_DO}",
        )
    told = []
    if votes.overlap < FEW:
        told.append(f"Only {votes.overlap} samples have two answers: every figure here is uncertain. {WHAT_TO_DO}")
    if len(votes.annotators) == 2:
        told.append(
            "Two annotators: where they differ, nothing in their answers tells who is right, and Dawid-Skene and GLAD go by "
            "how often each class is named. A third answer decides."
        )
    if votes.answers.mean() < OVERLAP:
        told.append(
            f"There are {votes.answers.mean():.1f} answers a sample. With fewer than {OVERLAP}, agreement with the others "
            "says little about accuracy, and Dawid-Skene's intervals are too narrow: with 2 they held the true accuracy 3 "
            "times in 4 in simulations, not 19 in 20."
        )
    told.append(
        "All of this takes answers to be independent. Whoever sees what others decided before agrees with them more often."
    )
    return tuple(told)


def _ties(votes: Votes) -> tuple[str, ...]:
    tied = int((votes.label == UNDECIDED).sum())
    if not tied:
        return ()
    return (
        f"{tied:,} softened answers have no single likeliest class; only the two means (of annotators and of methods) "
        "count them.",
    )


def _gold(votes: Votes, gold: Gold) -> tuple[str, ...]:
    if not len(gold):
        return ()
    known = (gold.of(votes.samples) != UNDECIDED) & (votes.answers > 1)
    if not known.any():
        return (f"{len(gold):,} labels are known, but no sample of them has two answers of others.",)
    there, overall = float(votes.differ[known].mean()), float(votes.differ[votes.answers > 1].mean())
    if there <= 1.2 * overall:
        return ()
    return (
        f"Answers differ on {there:.0%} of the samples whose label is known and on {overall:.0%} of all: the known ones are "
        "the harder ones, so accuracies measured on them are too low for the rest.",
    )

"""The judge "committee": what the set's label sources say of the two labels, each source with one vote."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.critic.judge import Questions, Replies, both_likelihoods, prefer
from analysis.device import rows_that_fit
from analysis.intervals import ratio
from analysis.label_sources import BYTES_A_VALUE, CPU
from analysis.sources.mean_source import Voices, voices
from data.distilled_set import DistilledSet

VALUES_A_READ = 1 << 24
"""64 MiB of float32: of a relabelled tree every read opens all its files, so reads should be few."""
QUESTIONS_A_BATCH = 65_536
SHOWN_NAMES = 3
DECIMALS = 9
"""Beyond, which of two labels is ahead would depend on the order in which they were named."""


@dataclass(frozen=True)
class CommitteeJudge:
    """A judge (analysis/critic/judge.py) by the label sources that speak in ``held``."""

    held: Voices
    name: str = "committee"
    batch: int = QUESTIONS_A_BATCH
    repeats: int = 1

    @property
    def author(self) -> str:
        """The sources' names, of many the first."""
        names = list(self.held.sources)
        rest = len(names) - SHOWN_NAMES
        return ", ".join(names[:SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")

    @property
    def about(self) -> str:
        return (
            f"Holds the two labels against each other by {self.held.basis}: each source's share of what it gives to both, "
            "and the mean of these shares."
        )

    @property
    def caveats(self) -> tuple[str, ...]:
        return self.held.caveats

    def ask(self, questions: Questions) -> Replies:
        """The label with the larger mean of p / (p_left + p_right) over the sources, and that mean as confidence.

        A source that gives nothing to either says nothing; no answer where none says anything. Against NOTHING a label has
        its probability, and NOTHING the rest.
        """
        votes, voters = np.zeros(len(questions)), np.zeros(len(questions))
        for labels in self.held.sources.values():
            at_once = rows_that_fit(BYTES_A_VALUE * labels.num_classes, CPU, max(1, VALUES_A_READ // labels.num_classes))
            left, right = both_likelihoods(
                questions, lambda ids, read=labels.probabilities: read(ids).clamp(0, 1).numpy(), at_once
            )
            share = ratio(left, left + right)
            votes += np.nan_to_num(share)
            voters += ~np.isnan(share)
        for_left = ratio(votes, voters).round(DECIMALS)
        return prefer(for_left, 1 - for_left)


def committee_judge(distilled_set: DistilledSet) -> CommitteeJudge | None:
    """The judge by all label sources but the given one, by that where it is alone; None without any."""
    if not distilled_set.label_sources:
        return None
    return CommitteeJudge(voices(distilled_set, "mean of others", ""))

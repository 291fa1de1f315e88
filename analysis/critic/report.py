"""The findings of the label critic: standings by sample and class, judges by accuracy, what adopting would save."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from analysis.critic.candidates import NO_CLASS, Candidates
from analysis.critic.combined import COMBINED, against_best, against_best_figure, combined, judges_table
from analysis.critic.given_judge import NAME as GIVEN_LABEL
from analysis.critic.savings import Pace, best_labels, calibration_figure, calibration_table, savings_figures, savings_table
from analysis.critic.sharpness import Sharpness, fitted_sharpness, sharpened
from analysis.critic.tournament import Standings, cycles, rows_of, tournament
from analysis.critic.trust import Classes, checked, trust_by_class, trust_by_group, weights
from analysis.critic.votes import Preferences, preferences
from analysis.findings import SHARE, Figure, Findings, per_class_table, per_sample_table
from analysis.intervals import share, share_figure, wilson
from analysis.label_sources import few_samples_caveat
from data.distilled_set import DistilledSet
from data.pair_answers import NOTHING, PEOPLE, SOMETHING_ELSE, PairAnswers, together
from data.verdicts import Verdicts

FEWEST_CHECKED = 20
"""Checked pairs below which weights rest mostly on what every judge is taken for beforehand."""


@dataclass(frozen=True, eq=False)
class Heard:
    """What was asked and answered: ``answers`` of this run's judges, ``people``'s, and the ``verdicts`` both are held
    against; ``prior`` as for ``tournament``."""

    candidates: Candidates
    answers: PairAnswers
    people: PairAnswers
    verdicts: Verdicts
    prior: float

    @cached_property
    def preferences(self) -> Preferences:
        """Of all judges, people included."""
        return preferences(together([self.answers, self.people]))

    @cached_property
    def judges(self) -> pd.DataFrame:
        """The judges' accuracies and weights, the combination last."""
        return judges_table(self.preferences, self.verdicts)

    @cached_property
    def weights(self) -> dict[str, float]:
        return weights(self.judges[self.judges["judge"] != COMBINED])

    @cached_property
    def _votes(self) -> Standings:
        return tournament(self.candidates, self.preferences, self.weights, self.prior)

    @cached_property
    def sharpness(self) -> Sharpness:
        return fitted_sharpness(self.candidates.take(self.asked), self._votes.take(self.asked), self.verdicts)

    @cached_property
    def standings(self) -> Standings:
        return sharpened(self._votes, self.sharpness)

    @cached_property
    def asked(self) -> np.ndarray:
        """The rows of the candidates about which a judge answered, int64. The given label is one for every sample and says
        nothing new of any: where it alone answered, nobody looked."""
        own = self.preferences.take(self.preferences.judge == GIVEN_LABEL)
        given = np.bincount(rows_of(self.candidates, own.sample_id), own.answered, len(self.candidates))
        return np.flatnonzero(self._votes.rounds > given)


def report(distilled_set: DistilledSet, heard: Heard, adopt_from: float, reviewed: Pace, told: tuple[str, ...]) -> Findings:
    """Everything that ``heard`` says; ``told`` are the sentences to know about its judges and sources."""
    per_sample = _per_sample(distilled_set, heard)
    given, rows = distilled_set.labels, heard.asked
    best = best_labels(heard.candidates.take(rows), heard.standings.take(rows), given, heard.verdicts)
    return Findings(
        per_sample=per_sample,
        per_class=_per_class(distilled_set, per_sample),
        summary=(
            *_summary(distilled_set, heard, per_sample),
            *savings_figures(best, adopt_from, reviewed),
            calibration_figure(best),
        ),
        caveats=(*told, *_caveats(heard), *few_samples_caveat(distilled_set.per_class)),
        headline="doubted",
        tables={
            "judges": heard.judges,
            **_by_part(distilled_set, heard),
            "adopting": savings_table(best, reviewed),
            **{name: table for name, table in (("calibration", calibration_table(best)),) if len(table)},
            "cycles": cycles(heard.candidates, heard.preferences, heard.weights),
            "candidates": _candidates_table(distilled_set, heard),
            "answers": heard.answers.frame(),
        },
    )


def _per_sample(distilled_set: DistilledSet, heard: Heard) -> pd.DataFrame:
    n, rows = len(distilled_set), heard.asked
    found, standings = heard.candidates.take(rows), heard.standings.take(rows)
    ids, p = found.sample_id, standings.p
    ranked, p_ranked = (np.take_along_axis(values, standings.ranking, axis=1) for values in (found.classes, p))

    def spread(values: np.ndarray, fill: float | bool) -> np.ndarray:
        column = np.full(n, fill, values.dtype)
        column[ids] = values
        return column

    p_given = spread(p[:, 0], np.nan)
    return per_sample_table(
        p_given,
        spread(ranked[:, 0] != found.classes[:, 0], False),
        given_label=distilled_set.labels,
        suggested_label=spread(np.maximum(ranked[:, 0], NOTHING), NOTHING),
        p_suggested=spread(p_ranked[:, 0], np.nan),
        p_given=p_given,
        second_label=spread(np.maximum(ranked[:, 1], NOTHING), NOTHING),
        p_second=spread(p_ranked[:, 1], np.nan),
        candidates=spread((found.classes >= 0).sum(axis=1), 0),
        rounds=spread(standings.rounds, 0.0),
        cycle=spread(standings.cycle, False),
    )


def _per_class(distilled_set: DistilledSet, per_sample: pd.DataFrame) -> pd.DataFrame:
    labels, classes = distilled_set.labels, distilled_set.num_classes
    asked = np.bincount(labels[per_sample["p_given"].notna()], minlength=classes)
    doubted = np.bincount(labels[per_sample["flag"]], minlength=classes)
    low, high = wilson(doubted, asked)
    measures = {"doubted": share(doubted, asked), "doubted_low": low, "doubted_high": high}
    return per_class_table(distilled_set.class_names, distilled_set.per_class, **measures, n_asked=asked, n_doubted=doubted)


def _by_part(distilled_set: DistilledSet, heard: Heard) -> dict[str, pd.DataFrame]:
    """The accuracies by class and by head, medium and tail, where anything could be checked; the combination's, too."""
    counts = distilled_set.class_counts if distilled_set.class_counts is not None else distilled_set.per_class
    classes = Classes(distilled_set.labels, distilled_set.class_names, counts)
    together_ = combined(heard.preferences, heard.verdicts)
    every = Preferences(
        *(
            np.concatenate([getattr(p, name) for p in (heard.preferences, together_)])
            for name in Preferences.__dataclass_fields__
        )
    )
    found = checked(every, heard.verdicts)
    tables = {"judges by group": trust_by_group(found, classes), "judges by class": trust_by_class(found, classes)}
    return {name: table for name, table in tables.items() if len(table)}


def _candidates_table(distilled_set: DistilledSet, heard: Heard) -> pd.DataFrame:
    """One row a candidate of the samples that were asked about, the likeliest of each sample first."""
    found, standings = heard.candidates.take(heard.asked), heard.standings.take(heard.asked)
    order = standings.ranking  # what is no candidate has p = 0 and stands behind the candidates, so it is last
    at, place = np.nonzero(np.take_along_axis(found.classes, order, axis=1) != NO_CLASS)
    column = order[at, place]
    label = found.classes[at, column]
    names = np.array([*distilled_set.class_names, SOMETHING_ELSE], object)
    return pd.DataFrame(
        {
            "sample_id": found.sample_id[at],
            "place": place + 1,
            "label": label,
            "class_name": names[label],  # NOTHING, -1, is the last
            "p": standings.p[at, column],
            "origins": found.origins[at, column],
        }
    )


def _summary(distilled_set: DistilledSet, heard: Heard, per_sample: pd.DataFrame) -> tuple[Figure, ...]:
    asked = int(per_sample["p_given"].notna().sum())
    names = ", ".join(name for name in heard.judges["judge"] if name not in (COMBINED, GIVEN_LABEL))
    basis = (
        f"of {asked:,} of {len(distilled_set):,} samples that a judge besides the given label answered about "
        f"({names or 'none'}), the most doubtful first"
    )
    return (
        share_figure("Labels with a better candidate", int(per_sample["flag"].sum()), asked, basis),
        *(_accuracy_figure(row) for row in heard.judges.itertuples()),
        against_best_figure(against_best(heard.preferences, heard.verdicts)),
        _cycles_figure(int(per_sample["cycle"].sum()), asked),
    )


def _cycles_figure(n: int, asked: int) -> Figure:
    label = "Answers that contradict any ranking"
    if not asked:
        return Figure(label, None, "nothing was asked", 0)
    basis = "samples of which each of three or more labels was preferred to the next, and the last to the first"
    return Figure(label, float(n), basis, asked, "samples")


def _accuracy_figure(row: tuple) -> Figure:
    label = f"Pairwise accuracy, {row.judge}"
    if not row.n:
        return Figure(label, None, "people settled none of the pairs it answered, so nobody can say", 0, SHARE)
    basis = (
        f"{row.right:g} of {row.n:,} pairs of the label people settled on and another, ties half; asked {row.asked:,}, "
        f"{row.ties:,} ties, {row.no_answer:,} without an answer"
    )
    return Figure(label, row.accuracy, basis, row.n, SHARE, row.accuracy_low, row.accuracy_high)


def _caveats(heard: Heard) -> tuple[str, ...]:
    found = []
    n = int(heard.judges["n"].max()) if len(heard.judges) else 0
    if not n:
        found.append(
            "Nobody has settled a label that was held against another yet, so all judges count the same and no accuracy is "
            "known; decide some on the Decide page and run this again."
        )
    elif n < FEWEST_CHECKED:
        found.append(f"Only {n} pairs could be checked against people, so the judges' weights are mostly what was assumed.")
    if heard.sharpness.n:
        found.append(
            f"Probabilities are raised to the power {heard.sharpness.power:.2f}, under which the labels of "
            f"{heard.sharpness.n:,} samples people settled are likeliest; what is checked against the same samples gains a "
            "little from that."
        )
    if len(heard.people):
        found.append(
            f"People's {len(heard.people):,} answers on pairs count as the judge '{PEOPLE}'; where the same people settled "
            "the labels, its accuracy says how consistent they are."
        )
    if len(heard.verdicts) and n:
        found.append("People chose which samples to settle, so the accuracies are about such samples, not about all.")
    return tuple(found)

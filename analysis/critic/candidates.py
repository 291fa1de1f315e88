"""Which labels each sample could have: the given one, the sources' answers, the cleaned suggestion, people's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from analysis.answers.top_two import GivenRates, given_rates, largest, posterior
from analysis.confident.learning import learn
from analysis.context import Context
from analysis.device import pick
from analysis.label_sources import chunks_together, per_sample, rows_a_chunk
from analysis.sources.committee import equal_weights, weighted_sum
from analysis.sources.mean_source import Voices, voices
from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.pair_answers import NOTHING
from data.soft_labels import SoftLabels

NO_CLASS = -2
"""Fills the places of ``Candidates.classes`` that hold no candidate; -1 is data.pair_answers.NOTHING."""
MOST_CANDIDATES = 6
MOST_SOURCES_HEARD = 8
"""So many label sources name candidates one by one; of more only their mean does, as each costs a pass beside the others."""
STRENGTH = 10.0
"""Samples that each class's rates are shrunk by, as in the suggestions."""
EVEN = 1e-6
"""How far above an even share a first answer must be to count as one: a sample without crops has a uniform label."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """The samples that there is something to ask about, most doubtful first, with their candidate labels.

    ``sample_id`` int64 (n,); ``classes`` int64 (n, K), NO_CLASS where a sample has fewer: the given label first, then by
    falling ``support`` float32 (n, K), what speaks for each beforehand in [0, 1] (NaN beside NO_CLASS). A sample of one
    candidate has its given label and NOTHING. ``origins`` object (n, K): who named each, in words ("given, committee").
    """

    sample_id: np.ndarray
    classes: np.ndarray
    support: np.ndarray
    origins: np.ndarray

    def __len__(self) -> int:
        return len(self.sample_id)

    def take(self, rows: np.ndarray | slice) -> Candidates:
        """The samples at ``rows``."""
        return Candidates(self.sample_id[rows], self.classes[rows], self.support[rows], self.origins[rows])


@dataclass(frozen=True)
class _Naming:
    """Who names candidates, and by which rule: ``given`` and ``people`` int64 (N,) (NO_CLASS where people said nothing), the
    sources ``names``. ``cleans``: whether the posterior adds a suggestion to what the sources themselves answer."""

    given: np.ndarray
    people: np.ndarray
    names: tuple[str, ...]
    cleans: bool
    answers_a_source: int
    least_share: float

    @property
    def words(self) -> tuple[str, ...]:
        """Who stands for each bit of an origin."""
        sources = ("given soft labels" if name == GIVEN else name for name in self.names)
        return "given", "people", "suggestion", *sources


_GIVEN, _PEOPLE, _SUGGESTION, _FIRST_SOURCE = range(4)


def candidates(
    distilled_set: DistilledSet,
    context: Context,
    own: np.ndarray | None = None,
    answers_a_source: int = 2,
    least_share: float = 0.05,
) -> Candidates:
    """Every sample with its candidates, K <= 6: those of two or more, most doubtful first, then those of the given label
    alone, with NOTHING beside it; by falling doubt, ties by id. Doubt is what ``support`` leaves of 1 for the given label.

    Of each label source (not the derived ones) the ``answers_a_source`` likeliest classes count that have at least
    ``least_share``; of more than MOST_SOURCES_HEARD sources only their mean is heard. The suggestion is the likeliest other
    class once the given label counts as an answer too (analysis/answers/top_two.py), and ``support`` that posterior; where
    the sources know no more of the labels than chance, it is their plain mean. People's labels always stay.

    Where the set has no soft labels, ``own`` float32 (N, C), probabilities of whoever looked at the images, is the one
    source and the support; a row of NaN names nobody and gives every class an even part. Raises ImpossibleRequest where
    there are neither.
    """
    if not distilled_set.label_sources and own is None:
        raise ImpossibleRequest(
            f"{distilled_set.name} has no soft labels and nothing looked at its images, so no label has a rival; add a "
            "label source or a reference."
        )
    if distilled_set.label_sources:
        naming, parts = _from_sources(distilled_set, context, answers_a_source, least_share)
    else:
        people = _people(distilled_set, context)
        naming = _Naming(distilled_set.labels, people, ("prototypes",), False, answers_a_source, least_share)
        parts = _from_own(own, context)
    named = ((ids, tuple(map(torch.from_numpy, _candidates(ids, rows, cleaned, naming)))) for ids, rows, cleaned in parts)
    return _ordered(naming, *per_sample(len(distilled_set), named))


_Parts = Iterator[tuple[np.ndarray, list[torch.Tensor], torch.Tensor]]
"""Ids (n,), what each source says of them (n, C), and the support of every class (n, C)."""


def _from_sources(
    distilled_set: DistilledSet, context: Context, answers_a_source: int, least_share: float
) -> tuple[_Naming, _Parts]:
    held, device = voices(distilled_set, "mean of others", ""), pick(context.device)
    heard = _heard(distilled_set, held)
    rates = _rates(distilled_set, held.mean, device, context.part(0, 0.6))
    speak = [place for place, name in enumerate(heard) if len(heard) == 1 or name in held.sources]
    people = _people(distilled_set, context)
    naming = _Naming(distilled_set.labels, people, tuple(heard), rates is not None, answers_a_source, least_share)

    def parts() -> _Parts:
        for ids, read in chunks_together(heard.values(), device, context.part(0.6, 1), "Gathering candidates"):
            rows = [chunk.clamp_min(0) for chunk in read]
            mean = weighted_sum([rows[place] for place in speak], equal_weights(len(speak)))
            yield ids, rows, posterior(mean, distilled_set.labels[ids], rates)

    return naming, parts()


def _heard(distilled_set: DistilledSet, held: Voices) -> dict[str, SoftLabels]:
    """The sources that name candidates: each, or the mean of those that speak where there are too many."""
    if len(distilled_set.label_sources) <= MOST_SOURCES_HEARD:
        return dict(distilled_set.label_sources)
    return {f"mean of {len(held.sources)} sources": held.mean}


def _rates(distilled_set: DistilledSet, mean: SoftLabels, device: torch.device, context: Context) -> GivenRates | None:
    """How often each class is given which label; None where the sources cannot tell."""
    if distilled_set.num_classes < 2:
        return None
    learned = learn(distilled_set.labels, mean, device, context)
    return given_rates(learned.joint, STRENGTH) if learned.informed else None


def _from_own(own: np.ndarray, context: Context) -> _Parts:
    at_once = rows_a_chunk(own.shape[1])
    starts = range(0, len(own), at_once)
    for start in context.track(starts, len(starts), "Gathering candidates"):
        rows = torch.from_numpy(own[start : start + at_once]).nan_to_num(1 / own.shape[1])
        yield np.arange(start, start + len(rows)), [rows], rows


def _people(distilled_set: DistilledSet, context: Context) -> np.ndarray:
    """The class that people settled for each sample, int64 (N,)."""
    said = np.full(len(distilled_set), NO_CLASS)
    known = context.verdicts.labels < distilled_set.num_classes
    said[context.verdicts.ids[known]] = context.verdicts.labels[known]
    return said


def _candidates(
    ids: np.ndarray, rows: list[torch.Tensor], cleaned: torch.Tensor, naming: _Naming
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``classes``, ``support`` and who named each as bits, (n, MOST_CANDIDATES) each, for consecutive samples ``ids``."""
    columns = [(naming.given[ids], _GIVEN), (naming.people[ids], _PEOPLE)]
    if naming.cleans:
        columns.append((_suggested(cleaned, naming.given[ids], naming.least_share), _SUGGESTION))
    for place, source in enumerate(rows):
        answered = _answered(source, naming)
        columns += [(answered[:, rank], _FIRST_SOURCE + place) for rank in range(answered.shape[1])]
    columns += [(np.full(len(ids), NO_CLASS), 0)] * (MOST_CANDIDATES - len(columns))
    classes, who = _each_once(np.stack([named for named, _ in columns], axis=1), [1 << bit for _, bit in columns])
    inside = torch.from_numpy(classes.clip(0)).to(cleaned.device)
    support = cleaned.gather(1, inside).float().cpu().numpy()
    support[classes == NO_CLASS] = np.nan
    return _best(classes, support, who)


def _suggested(cleaned: torch.Tensor, given: np.ndarray, least_share: float) -> np.ndarray:
    """The likeliest class but the given one, where it has ``least_share`` or is likelier than that, else NO_CLASS; (n,)."""
    own = torch.from_numpy(given).to(cleaned.device)[:, None]
    p_rival, rival = cleaned.scatter(1, own, -1.0).max(dim=1)
    counts = (p_rival >= least_share) | (p_rival > cleaned.gather(1, own)[:, 0])
    return torch.where(counts, rival, NO_CLASS).cpu().numpy()


def _answered(rows: torch.Tensor, naming: _Naming) -> np.ndarray:
    """A source's likeliest classes, int64 (n, answers), NO_CLASS where one has too little or all are equally likely."""
    share, found = largest(rows, min(naming.answers_a_source, rows.shape[1]))
    said = (share >= naming.least_share) & (share[:, :1] > 1 / rows.shape[1] + EVEN)
    return torch.where(said, found, NO_CLASS).cpu().numpy()


def _each_once(classes: np.ndarray, bits: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """``classes`` (n, M) with each only where it stands first in its row, and there the ``bits`` of all its columns."""
    who = np.where(classes == NO_CLASS, 0, np.array(bits, np.int32)).astype(np.int32)
    for later in range(1, classes.shape[1]):
        again = (classes[:, :later] == classes[:, later, None]) & (classes[:, :later] != NO_CLASS)
        rows = np.flatnonzero(again.any(axis=1))
        who[rows, again[rows].argmax(axis=1)] |= bits[later]
        classes[rows, later], who[rows, later] = NO_CLASS, 0
    return classes, who


def _best(classes: np.ndarray, support: np.ndarray, who: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The given label, which is first, people's, and the best supported others; in order of support behind the first."""
    certain = np.nan_to_num(support, nan=-np.inf)
    certain[:, 0] = np.inf
    stays = certain + ((who & 1 << _PEOPLE) > 0)
    kept = np.argsort(-stays, axis=1, kind="stable")[:, :MOST_CANDIDATES]
    order = np.take_along_axis(kept, np.argsort(-np.take_along_axis(certain, kept, 1), axis=1, kind="stable"), 1)
    return tuple(np.take_along_axis(values, order, 1) for values in (classes, support, who))


def _ordered(naming: _Naming, classes: np.ndarray, support: np.ndarray, who: np.ndarray) -> Candidates:
    ids, count = np.arange(len(classes)), (classes != NO_CLASS).sum(axis=1)
    alone = count == 1
    classes[alone, 1], support[alone, 1] = NOTHING, 1 - support[alone, 0]
    order, width = np.lexsort((ids, support[:, 0], alone)), max(2, int(count.max()))
    words = {bits: _in_words(bits, naming.words) for bits in np.unique(who).tolist()}
    origins = np.empty((len(ids), width), object)
    for bits, said in words.items():
        origins[who[order, :width] == bits] = said
    return Candidates(order, classes[order, :width], support[order, :width], origins)


def _in_words(bits: int, words: tuple[str, ...]) -> str:
    """Who named a candidate; "" for NOTHING, which nobody names."""
    return ", ".join(word for place, word in enumerate(words) if bits >> place & 1)

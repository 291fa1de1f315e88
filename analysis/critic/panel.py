"""Which judges sit on a panel, how many pairs each is asked, and why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from analysis.context import Context
from analysis.critic.committee_judge import committee_judge
from analysis.critic.endpoint_judge import endpoint_judge
from analysis.critic.given_judge import GivenJudge
from analysis.critic.hearing import Seat
from analysis.critic.journal import journal_path
from analysis.critic.prototype_judge import PrototypeJudge, prototype_judge
from analysis.critic.semantic_judge import semantic_judge
from analysis.critic.zero_shot_judge import image_text_judge
from analysis.embedding import content_hash
from analysis.sources.mean_source import voices
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest

MOST_OWN_VALUES = 1 << 28
"""One GiB of float32: what the prototypes' own answers may take where no label source names candidates."""
OWN_ROWS = 8_192
ENDPOINT_EFFORT = 20.0
"""How much of the progress a judge behind an endpoint counts, beside one that computes here."""


@dataclass(frozen=True)
class Wanted:
    """What was asked for: which judges, and with what. See analysis/label_critic.py for the meaning of each."""

    prototypes: bool
    committee: bool
    zero_shot: bool
    embedding: str
    weights_folder: str
    endpoint: str
    model: str
    examples: int
    repeats: int
    pairs: int
    endpoint_pairs: int


@dataclass
class Panel:
    """The judges that speak, in the order in which they are asked: those that cost nothing first. ``own``: what the
    prototypes say of every image, float32 (N, C), where no label source names candidates."""

    seats: list[Seat] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)
    own: np.ndarray | None = None

    def sit(self, seat: Seat) -> None:
        self.seats.append(seat)
        self.caveats += [f"{seat.judge.name}: {sentence}" for sentence in seat.judge.caveats]

    def excuse(self, name: str, why: str) -> None:
        """Note why a judge cannot speak."""
        self.caveats.append(f"{name} did not judge: {why}")


def panel(distilled_set: DistilledSet, wanted: Wanted, context: Context) -> Panel:
    """The judges of ``wanted`` that this set has everything for, the given label among them.

    Raises ImpossibleRequest where no other can speak, or what was named (an endpoint, a folder of weights) cannot be used.
    """
    found = Panel()
    found.sit(Seat(GivenJudge(distilled_set.labels), wanted.pairs, abstains=True))
    if wanted.prototypes:
        _seat_prototypes(found, distilled_set, wanted, context.part(0, 0.5))
    if wanted.committee:
        _seat_committee(found, distilled_set, wanted)
    elif distilled_set.label_sources:
        found.caveats += voices(distilled_set, "mean of others", "").caveats  # they name the candidates all the same
    if wanted.zero_shot:
        _seat_image_text(found, distilled_set, wanted, context.part(0.5, 1))
    if wanted.endpoint:
        _seat_endpoint(found, distilled_set, wanted, context)
    if len(found.seats) == 1:
        raise ImpossibleRequest(" ".join(("no judge but the given label can speak of this set.", *found.caveats)))
    return found


def _seat_prototypes(found: Panel, distilled_set: DistilledSet, wanted: Wanted, context: Context) -> None:
    if distilled_set.images is None:
        found.excuse("prototypes", "the set holds no images.")
        return
    judge = prototype_judge(distilled_set, context, wanted.embedding)
    found.sit(Seat(judge, wanted.pairs))
    if not distilled_set.label_sources:
        found.own = _own(judge, distilled_set)


def _own(judge: PrototypeJudge, distilled_set: DistilledSet) -> np.ndarray:
    n, classes = len(distilled_set), distilled_set.num_classes
    if n * classes > MOST_OWN_VALUES:
        raise ImpossibleRequest(
            f"{n:,} images of {classes:,} classes without soft labels are more than {MOST_OWN_VALUES:,} likelihoods; open "
            "the set with a soft-label file, which names the candidates."
        )
    own = np.empty((n, classes), np.float32)
    for start in range(0, n, OWN_ROWS):
        ids = np.arange(start, min(start + OWN_ROWS, n))
        own[ids] = judge.probabilities(ids)
    return own


def _seat_committee(found: Panel, distilled_set: DistilledSet, wanted: Wanted) -> None:
    judge = committee_judge(distilled_set)
    if judge is None:
        found.excuse("committee", "the set has no label sources.")
    else:
        found.sit(Seat(judge, wanted.pairs))


def _seat_image_text(found: Panel, distilled_set: DistilledSet, wanted: Wanted, context: Context) -> None:
    if wanted.weights_folder:
        name, judge = "image-text", image_text_judge(distilled_set, context, wanted.weights_folder)
    else:
        name, judge = "semantic", semantic_judge(distilled_set, context)
    if isinstance(judge, str):
        found.excuse(name, judge)
    else:
        found.sit(Seat(judge, wanted.pairs))


def _seat_endpoint(found: Panel, distilled_set: DistilledSet, wanted: Wanted, context: Context) -> None:
    judge = endpoint_judge(distilled_set, wanted.endpoint, wanted.model, wanted.examples, wanted.repeats)
    journal = None
    if context.cache is not None:
        about = (content_hash(distilled_set.images.store, Context()), distilled_set.class_names)
        journal = journal_path(context.cache, repr(about), judge.identity)
    found.sit(Seat(judge, wanted.endpoint_pairs, journal, ENDPOINT_EFFORT))

"""What each entry of the log did: how its sample stood just before it, and just after."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

SETTLING = ("keep", "relabel", "soften")


class Step(NamedTuple):
    """What of an entry decides how its sample stands."""

    id: int
    sample_id: int
    action: str
    undoes: int | None = None


@dataclass(frozen=True)
class Standing:
    """How a sample stands at some moment: ``settled`` is the id of the keep, relabel or soften that its label follows
    from, None where the given label stands because nobody said anything; ``pruned`` whether it is left out."""

    settled: int | None = None
    pruned: bool = False


@dataclass(frozen=True)
class Effect:
    """How its sample stood just ``before`` an entry and just ``after`` it."""

    before: Standing
    after: Standing


def effects(history: Iterable[Step], wanted: Iterable[int]) -> Mapping[int, Effect]:
    """The effect of each entry of ``wanted``, by id; ``history`` holds every entry of their samples, oldest first.

    As data.decisions.states of the log up to each entry says, in one pass: an undo names the entry that it takes back.
    """
    asked, samples, found = set(wanted), dict[int, _Sample](), dict[int, Effect]()
    for step in history:
        sample = samples.setdefault(step.sample_id, _Sample())
        before = sample.standing() if step.id in asked else Standing()
        sample.take(step)
        if step.id in asked:
            found[step.id] = Effect(before, sample.standing())
    return found


@dataclass
class _Sample:
    """The entries that stand, as two stacks; what is taken back is dropped when it comes to the top."""

    settling: list[int] = field(default_factory=list)
    placing: list[tuple[int, bool]] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)

    def take(self, step: Step) -> None:
        if step.action == "undo":
            self.gone.add(-1 if step.undoes is None else step.undoes)
            return
        if step.action in SETTLING:
            self.settling.append(step.id)
        if step.action != "skip":
            self.placing.append((step.id, step.action == "prune"))

    def standing(self) -> Standing:
        while self.settling and self.settling[-1] in self.gone:
            self.settling.pop()
        while self.placing and self.placing[-1][0] in self.gone:
            self.placing.pop()
        return Standing(
            self.settling[-1] if self.settling else None,
            bool(self.placing) and self.placing[-1][1],
        )

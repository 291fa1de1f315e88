"""Conflicts between annotators: which ones wait for a reviewer, and what a verdict on one decides. No Streamlit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from app.identity import signed_by
from app.roles import require
from app.services import services
from data.annotations import annotations
from data.decisions import Decision, SampleState
from data.errors import ImpossibleRequest
from data.sample_query import SampleQuery

ANALYSIS = "agreement"
MOST = 100_000
"""Conflicts that are looked at; the surest ones beyond wait until others are settled."""
Verdict = Literal["given", "first", "second", "both", "neither", "skip"]


@dataclass(frozen=True)
class Conflict:
    """One sample with its ``given`` label and the two likeliest answers; ``p_first`` and ``p_second`` are the consensus'."""

    sample_id: int
    given: int
    first: int
    second: int
    p_first: float
    p_second: float

    @property
    def labels(self) -> dict[Verdict, int]:
        """The labels to choose from: the two answers, and the given one where it is neither."""
        found: dict[Verdict, int] = {"first": self.first, "second": self.second}
        return found if self.given in found.values() else {"given": self.given, **found}


@dataclass(frozen=True)
class Waiting:
    """Conflicts of the latest run: ``left`` are the samples nobody has settled since, the least sure one first; ``settled``
    how many somebody has; ``last`` the sample that ``who`` settled last, None where there is none to take back."""

    left: tuple[int, ...]
    settled: int
    last: int | None


def waiting(set_id: str, who: str) -> Waiting:
    """Where the review stands. Raises ImpossibleRequest where agreement has no results."""
    workspace = services().workspace
    query = SampleQuery(flagged_by=ANALYSIS, sort_by=(ANALYSIS, "score"), limit=MOST)
    ids = workspace.select(set_id, query).ids
    states = workspace.states(set_id, ids) if len(ids) else {}
    done = {i: state.last for i, state in states.items() if _is_settled(state)}
    own = [entry for entry in done.values() if entry.annotator == who]
    last = max(own, key=lambda entry: entry.id or 0).sample_id if own else None
    return Waiting(tuple(i for i in ids.tolist() if i not in done), len(done), last)


def conflict(set_id: str, sample_id: int) -> Conflict:
    """What there is to choose from for one of the samples that wait."""
    workspace = services().workspace
    columns = ("first_label", "second_label", "p_consensus", "p_second")
    first, second, p_first, p_second = (
        workspace.values(set_id, ANALYSIS, name, [sample_id]).get(sample_id) for name in columns
    )
    if first is None or second is None or min(first, second) < 0:
        raise ImpossibleRequest(f"sample {sample_id} has no two answers to choose from; run agreement again.")
    given = int(workspace.load(set_id).labels[sample_id])
    return Conflict(sample_id, given, int(first), int(second), float(p_first), float(p_second))


def answers_about(set_id: str, sample_id: int) -> list[tuple[str, int]]:
    """(annotator, class or SOFTENED) of everybody who answered for the sample, by name."""
    workspace = services().workspace
    log = [entry for entry in workspace.decisions(set_id, sample_id) if entry.finding != ANALYSIS]
    said = annotations(log, workspace.load(set_id).labels)
    return list(zip(said.annotator.tolist(), said.label.tolist(), strict=True))


def verdict_decision(about: Conflict, verdict: Verdict, num_classes: int, seconds: float | None) -> Decision:
    """What ``verdict`` decides: a label is kept or given, both make it half and half, neither takes the sample out."""
    said = {"finding": ANALYSIS, "seconds": seconds}
    if verdict == "skip":
        return Decision(about.sample_id, "skip", reason="ambiguous", **said)
    if verdict == "neither":
        return Decision(about.sample_id, "prune", reason="ambiguous", **said)
    if verdict == "both":
        soft = np.zeros(num_classes)
        soft[[about.first, about.second]] = 0.5
        return Decision(about.sample_id, "soften", soft_label=tuple(soft.tolist()), reason="ambiguous", **said)
    label = about.labels[verdict]
    if label == about.given:
        return Decision(about.sample_id, "keep", **said)
    return Decision(about.sample_id, "relabel", label=label, reason="wrong label", **said)


def settle(set_id: str, about: Conflict, verdict: Verdict, seconds: float | None = None) -> bool:
    """Write a verdict, signed by who is at this browser; False where somebody settled the conflict in the meantime.

    Raises NotAllowed.
    """
    require("settle conflicts")
    workspace = services().workspace
    state = workspace.states(set_id, [about.sample_id]).get(about.sample_id)
    if state is not None and _is_settled(state):
        return False
    classes = workspace.load(set_id).num_classes
    workspace.decide(set_id, verdict_decision(about, verdict, classes, seconds).stamped(signed_by()))
    return True


def take_back(set_id: str) -> bool:
    """Undo the latest verdict of who is at this browser; False where there is none. Raises NotAllowed."""
    require("settle conflicts")
    last = waiting(set_id, signed_by()).last
    return last is not None and services().workspace.undo_sample(set_id, last, signed_by()) is not None


def _is_settled(state: SampleState) -> bool:
    return state.last is not None and state.last.finding == ANALYSIS

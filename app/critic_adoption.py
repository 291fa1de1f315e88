"""Which labels adopting the critic's best ones would write, and what of an adoption stands. No Streamlit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np
import pandas as pd

from analysis.critic.savings import Best
from app.roles import require
from app.services import services
from data.decisions import CRITIC, Action, Decision, SampleState, now
from data.pair_answers import NOTHING, PEOPLE
from data.verdicts import Verdicts, verdicts
from data.workspace import RunRecord

ANALYSIS = "critic"
KEPT = 4
_adopting = Lock()
"""Two people who adopt at once would write two batches, of which undoing takes back one."""


@dataclass(frozen=True, eq=False)
class Adoption:
    """What adopting from a probability on comes to. Ids int64, those with the likeliest best label first.

    ``relabel`` get ``labels`` int64 in place of the given ones; ``keep`` have the given label for their best. Of the others
    that reach the probability, ``by_people`` are decided by people, ``standing`` already have this decision of the critic's,
    and of ``no_fit`` no candidate fits.
    """

    relabel: np.ndarray
    labels: np.ndarray
    keep: np.ndarray
    by_people: np.ndarray
    standing: np.ndarray
    no_fit: np.ndarray

    def writes(self, also_keep: bool) -> int:
        """How many decisions adopting makes."""
        return len(self.relabel) + also_keep * len(self.keep)

    def __len__(self) -> int:
        """How many samples reach the probability."""
        return sum(map(len, (self.relabel, self.keep, self.by_people, self.standing, self.no_fit)))


@dataclass(frozen=True)
class Adopted:
    """The critic's latest batch that stands: when, and how many labels it changed and kept; ``before``: in earlier ones."""

    at: str
    relabelled: int
    kept: int
    before: int


@dataclass(frozen=True, eq=False)
class Known:
    """What the log says by now: where it leaves samples, what people settled, what of the critic's stands, and whether the
    run has heard all of people's answers and decisions."""

    states: Mapping[int, SampleState]
    verdicts: Verdicts
    adopted: Adopted | None
    stale: bool


def known_of(run: RunRecord) -> Known:
    """Of the set that ``run`` is of; worked out once for each state of its logs (measured: 2 s after 20,000 decisions)."""
    workspace = services().workspace
    latest = workspace.decisions(run.set_id, latest=1)
    opened = (workspace.folder, workspace.set_record(run.set_id).opened_at, workspace.derived(run.set_id))
    said = (latest[-1].id if latest else None, len(workspace.answers(run.set_id, PEOPLE)))
    return _known(run.set_id, run.id, (*opened, *said))


def adoption(per_sample: pd.DataFrame, level: float, states: Mapping[int, SampleState]) -> Adoption:
    """Sort the asked samples whose best label has a probability of at least ``level`` by what would become of them.

    ``per_sample`` is the critic's; ``states`` are where the log leaves samples. Whatever people have decided stands.
    """
    asked = per_sample[per_sample["score"].notna() & (per_sample["p_suggested"] >= level)]
    reached = asked.sort_values(["p_suggested", "sample_id"], ascending=[False, True], kind="stable")
    ids, best = (reached[name].to_numpy(dtype=np.int64) for name in ("sample_id", "suggested_label"))
    same = best == reached["given_label"].to_numpy(dtype=np.int64)
    found = [states.get(i) for i in ids.tolist()]
    people = np.array([_is_peoples(state) for state in found], dtype=bool)
    no_fit = ~people & (best == NOTHING)
    rest = ~people & ~no_fit
    wanted = [None if kept else label for label, kept in zip(best.tolist(), same.tolist(), strict=True)]
    standing = rest & np.array([_stands(*pair) for pair in zip(found, wanted, strict=True)], dtype=bool)
    open_ids = rest & ~standing
    changed = open_ids & ~same
    return Adoption(ids[changed], best[changed], ids[open_ids & same], ids[people], ids[standing], ids[no_fit])


def best_of(per_sample: pd.DataFrame, settled: Verdicts) -> Best:
    """The best labels of a run beside what people have settled by now, one row for each asked sample."""
    asked = per_sample[per_sample["score"].notna()]
    best = asked["suggested_label"].to_numpy(dtype=np.int64)
    people = asked["sample_id"].map(pd.Series(settled.labels, settled.ids, dtype=float)).to_numpy(dtype=float)
    return Best(
        p=np.where(best == NOTHING, np.nan, asked["p_suggested"].to_numpy(dtype=float)),
        agrees=best == asked["given_label"].to_numpy(dtype=np.int64),
        right=np.where(np.isnan(people), np.nan, best == people),
    )


def decisions(chosen: Adoption, also_keep: bool) -> list[Decision]:
    """One batch in the critic's name, all at one time, by which it is known again."""
    at = now()
    relabels = [
        Decision(i, "relabel", label=label, reason="wrong label", annotator=CRITIC, at=at, finding=ANALYSIS)
        for i, label in zip(chosen.relabel.tolist(), chosen.labels.tolist(), strict=True)
    ]
    keeps = [Decision(i, "keep", annotator=CRITIC, at=at, finding=ANALYSIS) for i in chosen.keep.tolist() if also_keep]
    return relabels + keeps


def adopt(set_id: str, per_sample: pd.DataFrame, chosen: Adoption, also_keep: bool) -> int:
    """Write what ``chosen`` would write and the log still leaves open; returns how many decisions.

    ``chosen`` is of when the page was drawn: since then somebody may have decided, or adopted the same elsewhere.
    """
    require("adopt")
    workspace = services().workspace
    ids = np.concatenate([chosen.relabel, chosen.keep])
    rows = per_sample[per_sample["sample_id"].isin(ids)]
    with _adopting:
        left = adoption(rows, 0.0, workspace.states(set_id, ids))
        return len(workspace.decide_many(set_id, decisions(left, also_keep)))


def adopted(log: Iterable[Decision]) -> Adopted | None:
    """What taking back the critic's latest batch takes back, from the whole ``log`` of a set; None where nothing stands."""
    standing: dict[int | None, Decision] = {}
    for entry in log:
        if entry.action == "undo":
            standing.pop(entry.undoes, None)
        elif entry.annotator == CRITIC:
            standing[entry.id] = entry
    if not standing:
        return None
    latest = standing[max(standing)].at
    counted: Counter[Action] = Counter(entry.action for entry in standing.values() if entry.at == latest)
    return Adopted(latest, counted["relabel"], counted["keep"], len(standing) - counted.total())


@lru_cache(maxsize=KEPT)
def _known(set_id: str, run_id: str, state: tuple[object, ...]) -> Known:
    """``state`` is there to be compared: it changes with whatever the answer depends on."""
    workspace = services().workspace
    states = workspace.states(set_id)
    settled = verdicts(states, workspace.load(set_id).labels)
    stale = services().is_stale(workspace.run(run_id))
    return Known(states, settled, adopted(workspace.decisions(set_id)), stale)


def _is_peoples(state: SampleState | None) -> bool:
    return state is not None and state.last is not None and state.last.annotator != CRITIC


def _stands(state: SampleState | None, label: int | None) -> bool:
    """Whether the critic's decision for ``label``, None for the given one, is there already."""
    return state is not None and state.settled_by == CRITIC and state.label == label

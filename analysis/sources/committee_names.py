"""How a committee of a set's label sources is named, the way any label source is.

    committee: mean                                     all teachers, or all sources where there are fewer than two
    committee: mean of teacher 0, teacher 1             these
    committee: prior of weak = 61.5, strong = 78.2      prior-guided voting with accuracies known beforehand, in per cent

The rules are ``RULES``. A source of the set that bears such a name itself is meant before any committee.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from data.distilled_set import GIVEN, DistilledSet
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, SoftLabels

Rule = Literal["mean", "prior", "norm-matched", "most confident", "most expert"]
RULES: tuple[Rule, ...] = get_args(Rule)
PREFIX = "committee: "


@dataclass(frozen=True)
class Members:
    """Label sources by name, at least two; ``accuracies`` are those stated with them, in per cent, or none."""

    sources: dict[str, SoftLabels]
    accuracies: tuple[float, ...] = ()

    @property
    def all_logits(self) -> bool:
        """Whether each has a row of logits over all classes for every sample."""
        return all(isinstance(one, DenseSoftLabels) and one.kind == "logits" for one in self.sources.values())

    @property
    def in_words(self) -> str:
        return ", ".join(f"'{name}'" for name in self.sources)


def is_committee(name: str) -> bool:
    """Whether ``name`` asks for a committee."""
    return name.startswith(PREFIX)


def committee_name(rule: Rule) -> str:
    """The name of the committee of a set's teachers."""
    return PREFIX + rule


def possible_rules(distilled_set: DistilledSet) -> tuple[Rule, ...]:
    """The rules by which a set's own sources can form a committee; none where it has fewer than two."""
    sources = _usual_members(distilled_set)
    if len(sources) < 2:
        return ()
    return tuple(rule for rule in RULES if rule != "norm-matched" or Members(sources).all_logits)


def parse_committee(distilled_set: DistilledSet, name: str) -> tuple[Rule, Members]:
    """The rule and the members that ``name`` asks for. Raises ImpossibleRequest in one sentence."""
    asked, of, listed = name.removeprefix(PREFIX).strip().partition(" of ")
    rule = next((rule for rule in RULES if rule == asked.strip()), None)
    if rule is None:
        raise ImpossibleRequest(f"there is no committee '{asked}'; choose one of {', '.join(RULES)}.")
    members = _listed(distilled_set, listed.strip()) if of else Members(_usual_members(distilled_set))
    if len(members.sources) < 2:
        has = ", ".join(distilled_set.label_sources) or "none"
        raise ImpossibleRequest(f"a committee needs two or more of the label sources of {distilled_set.name}: {has}.")
    if members.accuracies and rule != "prior":
        raise ImpossibleRequest(
            f"only the committee 'prior' takes accuracies; name the members of '{rule}' without numbers."
        )
    return rule, members


def _usual_members(distilled_set: DistilledSet) -> dict[str, SoftLabels]:
    """All sources but the given one, which mostly is one of them again or what the committee is to judge."""
    sources = dict(distilled_set.label_sources)
    others = {name: source for name, source in sources.items() if name != GIVEN}
    return others if len(others) > 1 else sources


def _listed(distilled_set: DistilledSet, listed: str) -> Members:
    """Members from "A, B" or "A = 61.5, B = 78.2"; a name may hold commas itself, so the longest that fits is taken."""
    known = sorted(distilled_set.label_sources, key=len, reverse=True)
    sources, accuracies, left = {}, [], listed
    while left:
        name = next((name for name in known if re.match(rf"{re.escape(name)}\s*(,|=|$)", left)), None)
        if name is None:
            raise ImpossibleRequest(
                f"{distilled_set.name} has no label source '{left.split(',')[0].split('=')[0].strip()}' for a committee; "
                f"choose among {', '.join(distilled_set.label_sources)}."
            )
        if name in sources:
            raise ImpossibleRequest(f"a committee has each member once, not '{name}' twice.")
        found = re.match(r"\s*(?:=\s*([^,]*))?(?:,\s*|$)", left[len(name) :])
        sources[name] = distilled_set.label_sources[name]
        if found[1] is not None:
            accuracies.append(_percentage(name, found[1].strip()))
        left = left[len(name) + found.end() :]
    if accuracies and len(accuracies) != len(sources):
        raise ImpossibleRequest("state an accuracy for every member of the committee, or for none.")
    return Members(sources, tuple(accuracies))


def _percentage(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 100:
        raise ImpossibleRequest(f"the accuracy of '{name}' is a number from 0 to 100, in per cent, not '{text}'.")
    return value

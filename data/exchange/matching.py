"""From what a file says to decisions about a set, and in sentences what of it could not be matched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from data.decisions import ACTIONS, MOST_DECISIONS, Decision
from data.errors import ImpossibleRequest, UnreadableInput
from data.exchange.common import Entry, Read, iso, utc
from data.exchange.set_names import NoSuch, SetNames
from data.plain_text import one_line, several

SHOWN = 3
LONGEST_NAME = 200
UNSIGNED = "import"
BY = ", by "
"""Stands between the name of the file and who imported it."""


@dataclass(frozen=True)
class Matched:
    """``decisions`` are what can be imported, oldest first as the file has them; ``refused`` entries cannot, and
    ``problems`` say why, a sentence for each kind; ``notes`` say what else is worth knowing."""

    decisions: Sequence[Decision]
    refused: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    def require_all(self) -> Matched:
        """Raises ImpossibleRequest where anything was refused."""
        if self.refused:
            raise ImpossibleRequest(" ".join(self.problems))
        return self


@dataclass
class _Kind:
    """One kind of problem: how it is said, and where it was met."""

    words: Callable[[str], str]
    places: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        return self.words(f"{_entries(len(self.places))}") + f": {several(self.places, SHOWN)}."


class _Refused(ValueError):
    def __init__(self, kind: str, what: str) -> None:
        super().__init__(what)
        self.kind, self.what = kind, what


class _Silent(Exception):
    """The entry says nothing about ``sample`` after all."""

    def __init__(self, sample: int) -> None:
        super().__init__(sample)
        self.sample = sample


def match(read: Read, names: SetNames, signed: str = UNSIGNED, finding: str | None = None) -> Matched:
    """The decisions that ``read`` makes about the set of ``names``.

    An entry that says no annotator is signed ``signed``; ``finding`` replaces what the entries name, where it is given.
    Raises UnreadableInput where there are more than the log takes at once.
    """
    if len(read.entries) > MOST_DECISIONS:
        raise UnreadableInput(f"the file holds more than {MOST_DECISIONS:,} decisions; split it.")
    kinds = {
        "sample": _Kind("{} about samples that this set does not have".format),
        "class": _Kind("{} with classes that this set does not have".format),
        "value": _Kind("{} that cannot be understood".format),
    }
    decisions: list[Decision] = []
    unsigned, silent = 0, set[int]()
    for entry in read.entries:
        try:
            decision = _decision(entry, names, finding)
        except _Silent as quiet:
            silent.add(quiet.sample)
            continue
        except _Refused as refused:
            kinds[refused.kind].places.append(one_line(f"{entry.where} {refused.what}"))
            continue
        unsigned += not decision.annotator
        decisions.append(decision if decision.annotator else replace(decision, annotator=signed))
    met = [kind for kind in kinds.values() if kind.places]
    silent -= {decision.sample_id for decision in decisions}
    notes = _notes(read.silent + len(silent), unsigned, signed)
    return Matched(decisions, sum(len(kind.places) for kind in met), tuple(kind.sentence() for kind in met), notes)


def new_to(decisions: Iterable[Decision], known: Iterable[Decision]) -> list[Decision]:
    """``decisions`` without those that ``known`` holds already, and without repetitions: same sample, annotator, time,
    action and label. One that says no time is known where the same was imported from a file of that name before."""
    seen: set[tuple] = set()
    for decision in known:
        seen |= {_key(decision, decision.at), _key(decision, _undated(decision))}
    found = []
    for decision in decisions:
        key = _key(decision, decision.at or _undated(decision))
        if key not in seen:
            seen.add(key)
            found.append(decision)
    return found


def annotators(decisions: Iterable[Decision]) -> Counter[str]:
    """How many of the decisions each annotator signed."""
    return Counter(decision.annotator for decision in decisions)


def _key(decision: Decision, when: str) -> tuple:
    return (decision.sample_id, decision.annotator, when, decision.action, decision.label, decision.soft_label)


def _undated(decision: Decision) -> str:
    """For a decision without a time: the file that it came from, whoever imported it."""
    file, _, _ = (decision.finding or "").partition(BY)
    return f"some time, {file}"


def _decision(entry: Entry, names: SetNames, finding: str | None) -> Decision:
    if entry.trouble:
        raise _Refused("value", f"({entry.trouble})")
    sample = _sample(entry, names)
    action, label = _action(entry, sample, names)
    try:
        return Decision(
            sample_id=sample,
            action=action,  # type: ignore[arg-type]  # Decision checks it
            label=label if action == "relabel" else None,
            soft_label=_soft_label(entry, names) if action == "soften" else None,
            reason=entry.reason or None,  # type: ignore[arg-type]
            annotator=_annotator(entry.annotator),
            seconds=entry.seconds,  # type: ignore[arg-type]
            at=_at(entry.at),
            finding=finding if finding is not None else entry.finding,  # type: ignore[arg-type]
        )
    except (ValueError, TypeError) as error:
        raise _Refused("value", f"({error})") from None


def _sample(entry: Entry, names: SetNames) -> int:
    said = entry.sample
    if isinstance(said, str) and said.strip().isdecimal() and len(said) < 20:
        said = int(said)
    if isinstance(said, int) and not isinstance(said, bool):
        if not 0 <= said < len(names):
            raise _Refused("sample", f"({said:,})")
        _check_file(said, entry.file, names)
        return said
    if said not in (None, ""):
        raise _Refused("value", "(a sample id is a whole number)")
    if not isinstance(entry.file, str) or not entry.file.strip():
        raise _Refused("value", "(it says neither a sample id nor a file)")
    try:
        return names.sample_of(entry.file)
    except NoSuch as error:
        raise _Refused("sample", f"({error})") from None


def _check_file(sample: int, file: object, names: SetNames) -> None:
    """Ids count from 0 in any set: where the file names another image of this one, they are another set's."""
    try:
        found = names.sample_of(file) if isinstance(file, str) and file.strip() else sample
    except NoSuch:
        return
    if found != sample:
        raise _Refused("value", f"(its sample id is {sample:,}, but its file is that of {found:,})")


def _action(entry: Entry, sample: int, names: SetNames) -> tuple[object, int | None]:
    """The action, and the class where the entry names one."""
    given = int(names.labels[sample])
    label = None
    if entry.label not in (None, "") and entry.action in (None, "", "keep", "relabel"):
        try:
            label = names.class_of(entry.label)
        except NoSuch as error:
            raise _Refused("class", f"({error})") from None
    if entry.action in (None, ""):
        if label is None:
            raise _Refused("value", f"(it says neither an action, one of {', '.join(ACTIONS)}, nor a class)")
        if entry.quiet and label == given:
            raise _Silent(sample)
        return ("keep" if label == given else "relabel"), label
    if entry.action == "undo":
        raise _Refused("value", "(an undo takes back an entry of another log)")
    if entry.action == "keep" and label not in (None, given):
        raise _Refused("class", f"(it keeps '{names.class_token(label)}', but the given label is another)")
    return entry.action, label


def _soft_label(entry: Entry, names: SetNames) -> object:
    soft = entry.soft_label
    values = tuple(soft) if isinstance(soft, list | tuple) else soft
    if isinstance(values, tuple) and len(values) != len(names.class_names):
        raise ValueError(f"the soft label has {len(values):,} values for {len(names.class_names):,} classes")
    return values


def _annotator(said: object) -> object:
    if said is None:
        return ""
    name = said.strip() if isinstance(said, str) else said
    if isinstance(name, str) and len(name) > LONGEST_NAME:
        raise ValueError(f"an annotator's name has over {LONGEST_NAME} letters")
    return name


def _at(said: object) -> str:
    if said in (None, ""):
        return ""
    moment = utc(said.strip()) if isinstance(said, str) and len(said) < LONGEST_NAME else None
    if moment is None:
        raise ValueError("the time is not in ISO 8601, as 2026-03-09T22:16:08Z is")
    return iso(moment)


def _notes(silent: int, unsigned: int, signed: str) -> tuple[str, ...]:
    said = []
    if silent:
        said.append(f"samples in the file that carry no decision: {silent:,}; none is made of them.")
    if unsigned:
        said.append(f"{_entries(unsigned)} without an annotator: signed {signed}.")
    return tuple(said)


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"

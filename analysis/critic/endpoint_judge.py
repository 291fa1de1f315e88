"""A vision-language model behind an OpenAI-compatible endpoint as a judge: one picture a question, one strict answer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

import numpy as np

from analysis.critic.answer_form import VERSION, Option, bounded, parse, prompt
from analysis.critic.endpoint_client import EndpointClient, on_this_machine
from analysis.critic.endpoint_replies import NoReply, Refused
from analysis.critic.examples import Examples
from analysis.critic.judge import BOTH, LEFT, NEITHER, NONE, RIGHT, Questions, Replies
from analysis.critic.montage import SAMPLE_PX, Row, montage, png
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.pair_answers import NOTHING, SOMETHING_ELSE

NAME = "vision-language model"
AT_ONCE = 4
TRIES = 3
"""How often a question is put whose answer was malformed, refused or too slow."""
LOST_IN_A_ROW = 12
"""So many questions without any reply in a row, and the endpoint is given up."""
VARIED = 0.7
"""The temperature where the same is asked repeatedly; at 0 a model would repeat itself."""
QUOTED = 80
_SAYS = {"A": LEFT, "B": RIGHT, "both": BOTH, "neither": NEITHER}


def endpoint_judge(
    distilled_set: DistilledSet, endpoint: str, model: str = "", examples: int = 3, repeats: int = 1
) -> EndpointJudge:
    """The judge ``model`` at the address ``endpoint``; nothing is sent yet.

    Raises ImpossibleRequest where the address cannot be used, or the set has no images.
    """
    client = EndpointClient(endpoint, model.strip(), VARIED if repeats > 1 else 0.0, AT_ONCE)
    return EndpointJudge(distilled_set, client, Examples(distilled_set, examples), repeats)


class EndpointJudge:
    """``identity`` changes with whatever could change an answer; like ``author`` it asks the endpoint for the model's name
    where none was given, and then raises ImpossibleRequest where that fails."""

    name = NAME
    batch = AT_ONCE

    def __init__(self, distilled_set: DistilledSet, client: EndpointClient, examples: Examples, repeats: int) -> None:
        self.repeats = repeats
        self.about = (
            f"For each question one picture with the image and up to {examples.count} labelled examples of each of the two "
            f"classes, and the two class names, go to {client.base}."
        )
        self.caveats = _caveats(client, examples)
        self._client = client
        self._questions = _Put(distilled_set, examples)
        self._endurance = _Endurance()

    @property
    def author(self) -> str:
        return self._client.serves

    @property
    def identity(self) -> str:
        parts = (
            self._client.base,
            self._client.serves,
            self._client.temperature,
            VERSION,
            self._questions.examples.identity,
        )
        return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()

    def ask(self, questions: Questions) -> Replies:
        """One reply a question, AT_ONCE of them at a time.

        Raises ImpossibleRequest where the endpoint answered nothing at all, or LOST_IN_A_ROW questions got no reply: then
        at the next call, if this one has something to keep.
        """
        self._endurance.before()
        _ = self._client.serves  # once, before threads would ask it all at the same time
        with ThreadPoolExecutor(AT_ONCE) as pool:
            outcomes = list(pool.map(self._one, (questions.take(slice(i, i + 1)) for i in range(len(questions)))))
        self._endurance.after(outcomes)
        said = np.array([outcome.said for outcome in outcomes], object)
        reasons = np.array([outcome.reason for outcome in outcomes], object)
        return Replies(said, np.full(len(questions), np.nan), reasons)

    def sent(self, question: Questions) -> tuple[bytes, str]:
        """The picture (PNG) and the text that the first of ``question`` is put with."""
        return self._questions.put(question)

    def _one(self, question: Questions) -> _Outcome:
        if self._endurance.over:
            return _Outcome(NONE, "not asked: the endpoint had stopped answering", lost=True)
        picture, text = self._questions.put(question)
        for _ in range(TRIES):
            try:
                outcome = _understood(self._client.complete(text, picture))
            except NoReply as failure:
                outcome = _Outcome(NONE, str(failure), lost=not isinstance(failure, Refused))
                if not failure.again:
                    break
            if outcome.said != NONE:
                break
        self._endurance.note(outcome)
        return outcome


def what_is_sent(judge: EndpointJudge, question: Questions) -> tuple[bytes, str]:
    """The picture (PNG) and the text that the first of ``question`` would be put with; nothing is sent."""
    return judge.sent(question)


@dataclass(frozen=True)
class _Outcome:
    """``lost``: no reply came at all, be it understood or not."""

    said: str
    reason: str
    lost: bool = False


class _Put:
    """Questions as they are put to a model."""

    def __init__(self, distilled_set: DistilledSet, examples: Examples) -> None:
        self.examples = examples
        self._set = distilled_set
        self._reading = Lock()  # a store of images promises nothing about threads

    def put(self, question: Questions) -> tuple[bytes, str]:
        """Picture and text of the first of ``question``."""
        sample_id = int(question.sample_id[0])
        labels = (int(question.left[0]), int(question.right[0]))
        with self._reading:
            sample = self._set.images.viewable(np.array([sample_id]), most_px=SAMPLE_PX)[0]
            shown = [[] if label == NOTHING else self.examples.of(label, sample_id) for label in labels]
        names = [None if label == NOTHING else self._set.class_names[label] for label in labels]
        rows = [Row(f"{letter}: {_title(name)}", held) for letter, name, held in zip("AB", names, shown, strict=True)]
        left, right = (Option(name, len(held)) for name, held in zip(names, shown, strict=True))
        return png(montage(sample, rows)), prompt(left, right)


class _Endurance:
    """Counts questions that got no reply in a row, in the order in which they end."""

    def __init__(self) -> None:
        self._lock, self._in_a_row, self._last, self._ever = Lock(), 0, "", False

    @property
    def over(self) -> bool:
        return self._in_a_row >= LOST_IN_A_ROW

    def note(self, outcome: _Outcome) -> None:
        with self._lock:
            self._in_a_row = self._in_a_row + 1 if outcome.lost else 0
            self._last = outcome.reason
            self._ever = self._ever or not outcome.lost

    def before(self) -> None:
        """Raise ImpossibleRequest where there is no going on."""
        if self.over:
            raise ImpossibleRequest(self._last)

    def after(self, outcomes: Sequence[_Outcome]) -> None:
        """Raise ImpossibleRequest where there is no going on and none of ``outcomes`` is worth keeping."""
        if outcomes and all(outcome.lost for outcome in outcomes) and (self.over or not self._ever):
            raise ImpossibleRequest(self._last)


def _understood(reply: str) -> _Outcome:
    answer = parse(reply)
    if answer is None:
        return _Outcome(NONE, f'the answer did not keep to the form: "{bounded(reply, QUOTED)}"')
    return _Outcome(_SAYS[answer.answer], answer.reason)


def _title(name: str | None) -> str:
    return SOMETHING_ELSE if name is None else name


def _caveats(client: EndpointClient, examples: Examples) -> tuple[str, ...]:
    caveats = []
    if client.base.startswith("http://") and not on_this_machine(client.base):
        caveats.append(f"{client.base} is not https: pictures, and a key if one is set, travel readable by others.")
    if examples.own and examples.count:
        caveats.append(
            "Without reference images the examples shown to the vision-language model are the set's own, of which some may "
            "be mislabelled themselves."
        )
    return tuple(caveats)

"""What an endpoint's reply says, and one sentence for each way in which it can be none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from analysis.critic.answer_form import bounded
from data.errors import ImpossibleRequest

KEY = "STILLROOM_CRITIC_KEY"
"""The environment variable that holds the API key: its only place, so that it is never stored with a run."""
LONGEST_QUOTE = 200
LONGEST_MODEL = 80
_CUT = ("RemoteDisconnected", "Connection broken", "Connection aborted", "IncompleteRead")


class NoReply(ImpossibleRequest):
    """A question got no usable reply, in one sentence; ``again`` says whether the same may go well at once."""

    def __init__(self, sentence: str, again: bool = False) -> None:
        super().__init__(sentence)
        self.again = again


class Refused(NoReply):
    """The endpoint works, but its model gave no answer to this question."""


@dataclass(frozen=True)
class Asked:
    """What was asked of whom: the endpoint's address, the path below it, the model named and whether a key was sent."""

    base: str
    path: str
    model: str
    with_key: bool


@dataclass(frozen=True)
class Reply:
    """An HTTP response: ``status``, the ``content_type`` it claims and its bounded ``text``."""

    status: int
    content_type: str
    text: str


def content(reply: Reply, asked: Asked) -> Any:
    """The JSON of a reply. Raises NoReply for one that says no, or is none."""
    if why := _says_no(reply, asked):
        raise NoReply(why)
    try:
        return json.loads(reply.text)
    except (ValueError, RecursionError):
        raise NoReply(f"{asked.base} sent a reply that is not JSON.", again=True) from None


def first_choice(completion: Any, base: str) -> str:
    """What the model said. Raises NoReply, as Refused where it would not."""
    choices = completion.get("choices") if isinstance(completion, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        why = bounded(_message(completion), LONGEST_QUOTE)
        raise NoReply(f"{base} sent a reply without an answer in it{f': {why}' if why else ''}.", again=True)
    refusal, said = message.get("refusal"), message.get("content")
    if isinstance(refusal, str) and refusal:
        raise Refused(f"the model refused: {bounded(refusal, LONGEST_QUOTE)}", again=True)
    if choice.get("finish_reason") == "content_filter":
        raise Refused("the model refused: a content filter stopped its answer.", again=True)
    if not isinstance(said, str) or not said.strip():
        raise Refused("the model said nothing.", again=True)
    return said


def could_not(reply: Reply, asked: Asked) -> str:
    """Why an error answered the question, with what the server says of it."""
    message = bounded(_message(_parsed(reply.text)), LONGEST_QUOTE)
    said = f": {message}" if message else ""
    if reply.status == 429:
        return f"{asked.base} takes no more questions for now (429{said}); ask again later or fewer."
    return f"{asked.base} could not answer ({reply.status}{said})."


def unreachable(base: str, error: Exception) -> str:
    """Why nothing came back, or only a part."""
    if isinstance(error, requests.ConnectTimeout):
        return f"{base} cannot be reached in time; check the address and whether the server runs."
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return f"{base} did not answer in time; ask a smaller model, or fewer questions."
    if isinstance(error, requests.exceptions.SSLError):
        return f"{base} shows no valid certificate; check the address, or use http where the server speaks no https."
    if isinstance(error, requests.exceptions.ProxyError):
        return f"{base} cannot be reached through the proxy that the environment names; correct that or set NO_PROXY."
    if any(word in str(error) for word in _CUT):
        return f"{base} broke the connection off before its answer was complete."
    return f"{base} cannot be reached; check the address and whether the server runs."


def _says_no(reply: Reply, asked: Asked) -> str:
    """Why this reply is no answer, or ""."""
    if 300 <= reply.status < 400:
        return f"{asked.base} sends questions on to another address, which is not followed; give the final address."
    if reply.status in (401, 403):
        why = "refuses the key" if asked.with_key else "wants a key"
        return f"{asked.base} {why} ({reply.status}); set {KEY} in the environment to one that it accepts."
    if "html" in reply.content_type.lower() or reply.text.lstrip().startswith("<"):
        return (
            f"{asked.base} answers with a web page; give the address of its OpenAI-compatible API, {_such_as(asked.base)}."
        )
    if reply.status == 404:
        return _not_found(reply, asked)
    return could_not(reply, asked) if reply.status >= 400 else ""


def _not_found(reply: Reply, asked: Asked) -> str:
    message = _message(_parsed(reply.text))
    if asked.model and "model" in message.lower():
        model, said = bounded(asked.model, LONGEST_MODEL), bounded(message, LONGEST_QUOTE)
        return f"{asked.base} serves no model '{model}' (it says: {said}); name one that it serves."
    return f"{asked.base} has nothing at {asked.path} (404); give the address of its API, {_such_as(asked.base)}."


def _message(held: Any) -> str:
    """What an error says in words, in any of the ways of OpenAI, vLLM, FastAPI and Ollama; "" for none."""
    for name in ("error", "message", "detail"):
        if isinstance(held, dict) and name in held:
            held = held[name]
    return held if isinstance(held, str) else ""


def _parsed(text: str) -> Any:
    """The JSON in ``text``, None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _such_as(base: str) -> str:
    parts = urlsplit(base)
    return f"such as {parts.scheme}://{parts.netloc}/v1"

"""The one way out: questions to an OpenAI-compatible chat endpoint, with bounds on time, size and tries."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, InvalidHeader, MaxRetryError
from urllib3.exceptions import TimeoutError as TooSlow
from urllib3.util.retry import Retry

from analysis.critic.answer_form import bounded
from analysis.critic.deadline import BoundedAdapter, deadline
from analysis.critic.endpoint_replies import (
    KEY,
    LONGEST_MODEL,
    Asked,
    NoReply,
    Reply,
    content,
    could_not,
    first_choice,
    unreachable,
)
from data.errors import ImpossibleRequest
from data.plain_text import several

TRIED_AGAIN = (429, 500, 502, 503, 504)
MOST_BYTES = 1 << 20
READ_BYTES = 1 << 16
MOST_TOKENS = 300
LONGEST_ADDRESS = 1_000
LONGEST_NAME = 200
SHORTEST_KEY = 5


@dataclass(frozen=True)
class Patience:
    """Seconds to wait: to ``connect``, for the next byte (``read``), for a whole reply (``total``), and between the
    ``tries`` of a request: ``backoff``, doubled each time, or what the server asks for, up to ``longest_pause``."""

    connect: float = 10.0
    read: float = 120.0
    total: float = 240.0
    backoff: float = 0.5
    longest_pause: float = 30.0
    tries: int = 4


@dataclass
class EndpointClient:
    """``base`` is the address up to and including /v1; ``model`` a name it serves, "" for the only one.

    Raises ImpossibleRequest where the address cannot be used. Threads may share a client.
    """

    base: str
    model: str = ""
    temperature: float = 0.0
    connections: int = 4
    patience: Patience = Patience()
    _session: requests.Session = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.base = checked(self.base)
        self._session = _session(self.connections, proxies=not on_this_machine(self.base))

    @cached_property
    def serves(self) -> str:
        """The model asked. Raises NoReply, or ImpossibleRequest where none was named and there is not exactly one."""
        if self.model:
            return _checked_name(self.model)
        names = _model_names(self._request("GET", "/models", None))
        if not names:
            raise ImpossibleRequest(f"{self.base} names no model that it serves; say which one to ask.")
        if len(names) > 1:
            shown = several([bounded(name, LONGEST_MODEL) for name in names])
            raise ImpossibleRequest(f"{self.base} serves several models; choose one of {shown}.")
        return _checked_name(names[0])

    def complete(self, text: str, picture: bytes) -> str:
        """What the model says to ``text`` and ``picture`` (PNG). Raises NoReply."""
        return first_choice(self._request("POST", "/chat/completions", self.body(text, picture)), self.base)

    def body(self, text: str, picture: bytes) -> dict[str, Any]:
        """All that is sent with one question."""
        url = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
        return {
            "model": self.serves,
            "messages": [{"role": "user", "content": parts}],
            "temperature": self.temperature,
            "max_tokens": MOST_TOKENS,
        }

    def _request(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        """The JSON that comes back, after as many tries as patience allows."""
        retry, asked = _Retry(self.patience), Asked(self.base, path, self.model, bool(_key()))
        while True:
            raw = None
            try:
                reply, raw = self._once(method, path, body)
                if reply.status not in TRIED_AGAIN:
                    return content(reply, asked)
                why = NoReply(could_not(reply, asked))
            except (requests.Timeout, TooSlow) as error:
                raise NoReply(unreachable(self.base, error), again=True) from error
            except (requests.RequestException, HTTPError) as error:
                why = NoReply(unreachable(self.base, error))
            try:
                retry = retry.increment(method, path, error=why)
            except MaxRetryError:
                raise why from None
            retry.sleep(raw)

    def _once(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[Reply, Any]:
        """One reply, and urllib3's response for its headers. Raises requests.ReadTimeout where it takes too long in all."""
        waits = (self.patience.connect, self.patience.read)
        with deadline(self.patience.total) as end:
            try:
                with self._session.request(
                    method, self.base + path, json=body, timeout=waits, allow_redirects=False, stream=True
                ) as response:
                    text = self._text(response)
            except (requests.RequestException, HTTPError):
                if end.over:
                    raise requests.ReadTimeout from None
                raise
        if end.over:  # a body without a length ends where the connection does
            raise requests.ReadTimeout
        return Reply(response.status_code, response.headers.get("Content-Type", ""), text), response.raw

    def _text(self, response: requests.Response) -> str:
        """The body as it comes, bounded in size, without the key if a server says that back."""
        held = bytearray()
        while piece := response.raw.read1(READ_BYTES, decode_content=False):
            held += piece
            if len(held) > MOST_BYTES:
                raise NoReply(f"{self.base} sent more than {MOST_BYTES:,} bytes, which no answer needs.", again=True)
        return without_key(held.decode("utf-8", "replace"), _key())


class _Key(AuthBase):
    """Sends the key and nothing that a .netrc file may hold; reads it each time, so that no object holds it."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if key := _key():
            request.headers["Authorization"] = f"Bearer {key}"
        return request


class _Retry(Retry):
    """urllib3's policy of tries and pauses, with a bound on the pause that a server asks for."""

    def __init__(self, patience: Patience | None = None, **given: Any) -> None:
        if patience is not None:
            given = {"total": patience.tries - 1, "backoff_factor": patience.backoff, "backoff_max": patience.longest_pause}
        super().__init__(**given)

    def get_retry_after(self, response: Any) -> float | None:
        try:
            asked = super().get_retry_after(response)
        except InvalidHeader:
            return None
        return None if asked is None else min(asked, self.backoff_max)


def checked(url: str) -> str:
    """``url`` without a closing slash. Raises ImpossibleRequest where it is no plain http or https address."""
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ImpossibleRequest("the endpoint is not a valid address; give one such as http://localhost:8000/v1.") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ImpossibleRequest(
            f"an endpoint's address is stored with the run, so it may hold no user, password, query or fragment; set {KEY} "
            "in the environment instead."
        )
    strange = not url.isprintable() or any(c in url.strip() for c in " \\")  # a backslash ends a host for some readers only
    if parts.scheme not in ("http", "https") or not host or strange or len(url) > LONGEST_ADDRESS:
        raise ImpossibleRequest(
            f"an endpoint is an http or https address such as http://localhost:8000/v1, not '{bounded(url, 80)}'."
        )
    return parts.geturl().rstrip("/").removesuffix("/chat/completions")


def without_key(text: str, key: str) -> str:
    """JSON ``text`` with ``key`` hidden, however JSON escapes it: some servers write "/" as "\\/".

    Shorter keys than any real one, such as "none" where a server takes anything, stay: hiding "1" would break the JSON.
    """
    if len(key) < SHORTEST_KEY:
        return text
    spelled = "".join(rf"(?:\\?{re.escape(c)}|\\u00(?i:{ord(c):02x}))" for c in key)
    return re.sub(spelled, "•••", text)


def on_this_machine(url: str) -> bool:
    """Whether ``url`` names this machine by a loopback address."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _key() -> str:
    key = os.environ.get(KEY, "").strip()
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise ImpossibleRequest(f"{KEY} holds characters that no key has; set it again.")
    return key


def _session(connections: int, proxies: bool) -> requests.Session:
    """A session that keeps no cookies and heeds the environment's proxies only where told."""
    session = requests.Session()
    session.trust_env, session.auth = proxies, _Key()
    session.headers.update({"Accept": "application/json", "Accept-Encoding": "identity"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("http://", "https://"):
        session.mount(scheme, BoundedAdapter(pool_maxsize=connections))
    return session


def _model_names(listed: Any) -> list[str]:
    models = listed.get("data") if isinstance(listed, dict) else None
    names = [model.get("id") for model in models if isinstance(model, dict)] if isinstance(models, list) else []
    return [name for name in names if isinstance(name, str) and name]


def _checked_name(model: str) -> str:
    """``model``, which is kept with every answer. Raises ImpossibleRequest where it is no plain name."""
    if len(model) > LONGEST_NAME or not model.isprintable():
        shown = bounded(model, LONGEST_MODEL)
        raise ImpossibleRequest(f"no model is called '{shown}': a name is one line of at most {LONGEST_NAME} characters.")
    return model

"""An HTTP server that answers as a test tells it to, faults included, and remembers what it was asked."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from analysis.critic.endpoint_client import Patience

HASTE = Patience(connect=2.0, read=5.0, total=10.0, backoff=0.01, longest_pause=0.05, tries=3)
IMPATIENCE = replace(HASTE, read=0.3, total=0.5)
"""So that a test of what takes too long does not."""


@dataclass(frozen=True)
class Seen:
    """One request: ``at`` in seconds of the monotonic clock, ``body`` the JSON in it."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any
    at: float

    @property
    def text(self) -> str:
        """The prompt of a question."""
        return self.body["messages"][0]["content"][0]["text"]

    @property
    def class_a(self) -> str:
        """The class that the prompt calls A."""
        return json.loads(re.search(r'^A: ("[^"]*")', self.text, re.MULTILINE)[1])


@dataclass(frozen=True)
class Scripted:
    """What to send back: after ``wait`` seconds, a byte every ``drip`` seconds, all but the last ``cut`` bytes."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    drip: float = 0.0
    cut: int = 0
    content_type: str = "application/json"


def saying(text: str, **rest: Any) -> Scripted:
    """A completion whose only choice says ``text``."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return Scripted(json.dumps({"object": "chat.completion", "choices": [choice]}).encode(), **rest)


def form(answer: str, reason: str = "so it looks", **rest: Any) -> Scripted:
    """A completion that keeps to the form."""
    return saying(json.dumps({"answer": answer, "reason": reason}), **rest)


def failing(status: int, message: str = "", **headers: str) -> Scripted:
    """An error as OpenAI's API says it."""
    return Scripted(json.dumps({"error": {"message": message}}).encode(), status, headers)


class ScriptedEndpoint:
    """Serves ``script(number, seen)`` for request ``number`` 0, 1, ... on a free loopback port while in ``with``."""

    def __init__(self, script: Callable[[int, Seen], Scripted]) -> None:
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self._script, self._lock, self._now = script, threading.Lock(), 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> ScriptedEndpoint:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, seen: Seen) -> Scripted:
        """What the script says to the next request."""
        with self._lock:
            number = len(self.seen)
            self.seen.append(seen)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        answer = self._script(number, seen)
        time.sleep(answer.wait)
        with self._lock:
            self._now -= 1
        return answer


def _handler(endpoint: ScriptedEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *said: object) -> None:
            return None

        def _answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.loads(sent) if sent else None
            seen = Seen(self.command, self.path, dict(self.headers.items()), body, time.monotonic())
            answer = endpoint.answer(seen)
            try:
                self._send(answer)
            except OSError:
                self.close_connection = True  # the client had enough

        def _send(self, answer: Scripted) -> None:
            self.send_response(answer.status)
            held = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)), **answer.headers}
            for name, value in held.items():
                self.send_header(name, value)
            self.end_headers()
            body = answer.body[: len(answer.body) - answer.cut]
            step = 1 if answer.drip else max(len(body), 1)
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                self.wfile.flush()
                time.sleep(answer.drip)
            self.close_connection = self.close_connection or bool(answer.cut)

    return Handler

"""What a server may send without ever ending, byte by byte, against the time that a whole reply may take."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from analysis.critic.deadline import BoundedAdapter
from analysis.critic.endpoint_client import EndpointClient, NoReply, Patience
from tests.analysis.critic.scripted_endpoint import ScriptedEndpoint, saying

TOTAL = 0.4
PATIENCE = Patience(connect=2.0, read=5.0, total=TOTAL, backoff=0.01, longest_pause=0.05, tries=3)
ATTACK = 5.0
"""Seconds that a server would go on for, were it let."""
PACE = 0.02
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def _prepared(url: str) -> requests.PreparedRequest:
    return requests.Request("GET", url).prepare()


@contextmanager
def _server(first: bytes, again: bytes) -> Iterator[str]:
    """Sends ``first``, then ``again`` and again, to whoever asks; the address to ask at."""

    def send(peer: socket.socket) -> None:
        end = time.monotonic() + ATTACK
        try:
            peer.recv(1 << 16)
            peer.sendall(first)
            while time.monotonic() < end:
                peer.sendall(again)
                time.sleep(PACE)
        except OSError:
            pass  # the client had enough
        finally:
            peer.close()

    def accept() -> None:
        try:
            while True:
                threading.Thread(target=send, args=(listening.accept()[0],), daemon=True).start()
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"H"),
        (HEAD, b"X"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"a: b\r\n"),
        (HEAD + b"\r\n", b" "),
    ],
    ids=["status line", "header", "interim replies", "trailers", "body without a length"],
)
def test_deadline__reply_that_never_ends(first, again):
    with _server(first, again) as base:
        began = time.monotonic()
        with pytest.raises(NoReply, match="did not answer in time") as said:
            EndpointClient(base, "m", patience=PATIENCE).complete("?", b"")
    assert time.monotonic() - began < ATTACK / 2
    assert said.value.again


def test_deadline__is_each_replys_own():
    """A connection that waits in the pool for longer than a reply may take is not hung up."""
    with ScriptedEndpoint(lambda n, seen: saying("fine")) as endpoint:
        client = EndpointClient(endpoint.base, "m", patience=PATIENCE)
        assert client.complete("?", b"") == "fine"
        time.sleep(TOTAL + 0.1)
        assert client.complete("?", b"") == "fine"
    pool = client._session.get_adapter(endpoint.base).get_connection_with_tls_context(_prepared(endpoint.base), True)
    assert (pool.num_connections, pool.num_requests) == (1, 2)


def test_bounded_adapter__heeds_proxies():
    """Connections of ours in a manager for SOCKS would go past the proxy."""
    adapter = BoundedAdapter()
    through = adapter.proxy_manager_for("http://127.0.0.1:1")
    assert through.proxy.host == "127.0.0.1"
    assert through.connection_from_url("http://example.org").ConnectionCls.__module__ == "analysis.critic.deadline"

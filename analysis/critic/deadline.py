"""An end to a whole HTTP exchange, whatever the server sends: sockets only bound the wait for the next byte.

A server can keep that wait short for ever, by a header sent byte by byte, by interim replies (100 Continue) or by trailers.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

_here = threading.local()


class Deadline:
    """Hangs up the connection that this thread asks by, ``seconds`` after the start; ``over`` says whether it had to."""

    def __init__(self, seconds: float) -> None:
        self.over = False
        self._lock, self._socket = threading.Lock(), None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def watch(self, connected: Any) -> None:
        """``connected`` is the socket whose reply is waited for from now on."""
        with self._lock:
            self._socket = connected
        if self.over:
            _hang_up(connected)

    def start(self) -> None:
        self._timer.start()

    def stop(self) -> None:
        """Afterwards nothing is hung up any more: the connection may be another request's."""
        self._timer.cancel()
        with self._lock:
            self._socket = None

    def _end(self) -> None:
        with self._lock:
            self.over = True
            if self._socket is not None:
                _hang_up(self._socket)


@contextmanager
def deadline(seconds: float) -> Iterator[Deadline]:
    """Bounds what this thread asks by a session with ``BoundedAdapter`` inside; whatever fails then fails as it would if the
    server had hung up."""
    held = _here.held = Deadline(seconds)
    held.start()
    try:
        yield held
    finally:
        _here.held = None
        held.stop()


class BoundedAdapter(HTTPAdapter):
    """requests' adapter, with connections that heed ``deadline``."""

    def init_poolmanager(self, *given: Any, **named: Any) -> None:
        super().init_poolmanager(*given, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **named: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **named)
        if not proxy.lower().startswith("socks"):  # those connections are of another kind, and ours would go past the proxy
            manager.pool_classes_by_scheme = _POOLS
        return manager


class _Watched:
    """For urllib3's connections: the socket is known once it is connected and the request is sent."""

    def getresponse(self) -> Any:
        if (held := getattr(_here, "held", None)) is not None:
            held.watch(self.sock)
        return super().getresponse()


class _Connection(_Watched, HTTPConnection):
    pass


class _SecureConnection(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


def _hang_up(connected: Any) -> None:
    with suppress(OSError, ValueError, AttributeError):  # closed already, or a tunnel that cannot be shut down
        connected.shutdown(socket.SHUT_RDWR)

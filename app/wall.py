"""What Streamlit serves outside of its pages, closed to whoever is not logged in: files shown or downloaded, and uploads.

The pages themselves ask app.roles; their websocket carries nothing but the login page until somebody has logged in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import AUTH_COOKIE_NAME, get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value

from app.identity import from_claims
from app.roles import Action, allows
from app.services import services

WALLED: dict[str, Action] = {
    "/media": "look",
    "/_stcore/upload_file": "import",  # the least of what uploads are for; opening a set asks for more
    "/_stcore/agent": "people",
    "/_stcore/metrics": "people",
}
"""Where these addresses begin, and what one must be allowed to do for them. A route of our own belongs here, too."""


class LoginWall:
    """Answers 403 in place of ``app`` where the request's login cookie does not name somebody with the role it takes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        needed = _needed(scope["path"]) if scope["type"] == "http" else None
        if needed is None or _is_allowed(Request(scope).cookies, needed):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse("Log in first.", status_code=403)(scope, receive, send)


def _needed(path: str) -> Action | None:
    parts = "/" + path.strip("/") + "/"
    return next((action for start, action in WALLED.items() if parts.startswith(f"{start}/")), None)


def _is_allowed(cookies: Mapping[str, str], action: Action) -> bool:
    """Reads the cookie as Streamlit does for a page's websocket."""
    login = services().login
    person = None if login is None else from_claims(login, _claims(cookies), services().workspace.people)
    return person is not None and allows(person.role, action)


def _claims(cookies: Mapping[str, str]) -> dict[str, Any]:
    secret = get_cookie_secret()

    def signed(name: str) -> bytes | None:
        value = cookies.get(name)
        return None if value is None else decode_signed_value(secret, name, value.encode("latin-1", "replace"))

    held = get_cookie_with_chunks(signed, AUTH_COOKIE_NAME)
    try:
        claims = json.loads(held) if held else {}
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}

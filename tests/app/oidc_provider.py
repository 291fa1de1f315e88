"""A small OpenID Connect provider, real where it matters: discovery, the code flow with PKCE, id tokens signed by RS256.

What it asks of a client is what the standards say (OpenID Connect Core 1.0, RFC 6749, RFC 7636): the registered
redirect_uri, a secret, the code once, its verifier. Instead of a password, people choose who they are.
"""

from __future__ import annotations

import base64
import hashlib
import html
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

import uvicorn
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.browser.serving import free_port

START_SECONDS = 10
LIVES_SECONDS = 3_600


@dataclass
class Provider:
    """One client, and the claims of everybody who may log in, by what the page calls them."""

    issuer: str
    redirect_uri: str
    accounts: Mapping[str, Mapping[str, Any]]
    client_id: str = "stillroom"
    client_secret: str = field(default_factory=secrets.token_urlsafe)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256"}, auto_kid=True))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    logins: list[str] = field(default_factory=list)

    @property
    def metadata_url(self) -> str:
        return f"{self.issuer}/.well-known/openid-configuration"

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._metadata),
                Route("/jwks", self._keys),
                Route("/authorize", self._choose),
                Route("/chosen", self._chosen, methods=["POST"]),
                Route("/token", self._token, methods=["POST"]),
                Route("/userinfo", self._userinfo),
                Route("/logout", self._logout),
            ]
        )

    async def _metadata(self, request: Request) -> Response:
        places = {
            "authorization_endpoint": "authorize",
            "token_endpoint": "token",
            "userinfo_endpoint": "userinfo",
            "jwks_uri": "jwks",
            "end_session_endpoint": "logout",
        }
        return JSONResponse(
            {
                "issuer": self.issuer,
                **{name: f"{self.issuer}/{place}" for name, place in places.items()},
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def _keys(self, request: Request) -> Response:
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})

    async def _choose(self, request: Request) -> Response:
        asked = dict(request.query_params)
        right = {"client_id": self.client_id, "redirect_uri": self.redirect_uri, "response_type": "code"}
        if any(asked.get(name) != value for name, value in right.items()) or "openid" not in asked.get("scope", "").split():
            return PlainTextResponse("not a registered client", 400)
        kept = "".join(f'<input type=hidden name="{html.escape(k)}" value="{html.escape(v)}">' for k, v in asked.items())
        buttons = "".join(
            f'<button name="account" value="{html.escape(n)}">{html.escape(n)}</button>' for n in self.accounts
        )
        return HTMLResponse(f'<title>Provider</title><form method="post" action="/chosen">{kept}{buttons}</form>')

    async def _chosen(self, request: Request) -> Response:
        asked = {name: str(value) for name, value in (await request.form()).items()}
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        back = urlencode({"code": code, "state": asked.get("state", "")})
        return RedirectResponse(f"{self.redirect_uri}?{back}", status_code=303)

    async def _token(self, request: Request) -> Response:
        sent = {name: str(value) for name, value in (await request.form()).items()}
        if _client(request, sent) != (self.client_id, self.client_secret):
            return JSONResponse({"error": "invalid_client"}, 401)
        asked = self.codes.pop(sent.get("code", ""), None)
        if asked is None or sent.get("redirect_uri") != self.redirect_uri or not _verifies(asked, sent):
            return JSONResponse({"error": "invalid_grant"}, 400)
        account, token, now = asked["account"], secrets.token_urlsafe(), int(time.time())
        self.tokens[token] = account
        self.logins.append(account)
        claims = {
            "iss": self.issuer,
            "aud": self.client_id,
            "iat": now,
            "exp": now + LIVES_SECONDS,
            **({"nonce": asked["nonce"]} if "nonce" in asked else {}),
            **self.accounts[account],
        }
        id_token = jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)
        return JSONResponse(
            {"access_token": token, "token_type": "Bearer", "expires_in": LIVES_SECONDS, "id_token": id_token}
        )

    async def _userinfo(self, request: Request) -> Response:
        account = self.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        return JSONResponse({"error": "invalid_token"}, 401) if account is None else JSONResponse(self.accounts[account])

    async def _logout(self, request: Request) -> Response:
        back = request.query_params.get("post_logout_redirect_uri", "")
        return RedirectResponse(back) if back == self.redirect_uri else PlainTextResponse("Logged out.")


@contextmanager
def providing(redirect_uri: str, accounts: Mapping[str, Mapping[str, Any]]) -> Iterator[Provider]:
    """A provider that runs in a thread of this process until the block ends."""
    port = free_port()
    provider = Provider(f"http://127.0.0.1:{port}", redirect_uri, accounts)
    server = uvicorn.Server(uvicorn.Config(provider.app(), host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    give_up = time.monotonic() + START_SECONDS
    while not server.started:
        assert time.monotonic() < give_up, "the provider did not start"
        time.sleep(0.02)
    try:
        yield provider
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)


def login_file(provider: Provider, **more: str) -> str:
    """What a login file for that provider says; ``more`` are further lines, written as TOML."""
    lines = {
        "client_id": f'"{provider.client_id}"',
        "client_secret": f'"{provider.client_secret}"',
        "server_metadata_url": f'"{provider.metadata_url}"',
        **more,
    }
    return "".join(f"{name} = {value}\n" for name, value in lines.items())


def _client(request: Request, sent: Mapping[str, str]) -> tuple[str, str]:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        name, _, secret = base64.b64decode(value).decode().partition(":")
        return unquote(name), unquote(secret)
    return sent.get("client_id", ""), sent.get("client_secret", "")


def _verifies(asked: Mapping[str, str], sent: Mapping[str, str]) -> bool:
    """RFC 7636, 4.6: the challenge that came first is the digest of the verifier that comes now."""
    digest = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
    return asked.get("code_challenge") == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

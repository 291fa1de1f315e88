"""The login: one file names the OpenID Connect provider and who owns the workspace; Streamlit does the rest.

Nothing of the file is ever printed, shown or copied. What it says reaches Streamlit in memory (``st.App(secrets=)``), so no
secrets.toml has to lie anywhere.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from data.errors import ImpossibleRequest, UnreadableInput
from data.people import ROLES, Role

NEEDED = ("client_id", "client_secret", "server_metadata_url")
OPTIONAL = ("redirect_uri", "cookie_secret", "owners", "newcomers")
CALLBACK = "/oauth2callback"
"""Where Streamlit expects people back from the provider."""
COOKIE_SECRET = "cookie_secret"
"""The file in the workspace that keeps the key of the login cookies, where the login file names none."""
FEWEST_SECRET_LETTERS = 32
MOST_BYTES = 1 << 16
BY_ID = "#"
"""Starts an owner who is named by id, which the app shows, instead of a verified address."""


@dataclass(frozen=True)
class Login:
    """Whom to trust about who somebody is, and what newcomers may do.

    ``owners`` are e-mail addresses in lower case, which count where the provider says that it verified them, or ids as in
    data.people, behind a ``#``. ``newcomers`` is the role of whoever logs in for the first time.
    """

    client_id: str
    client_secret: str = field(repr=False)
    server_metadata_url: str
    redirect_uri: str
    cookie_secret: str = field(repr=False)
    owners: frozenset[str]
    newcomers: Role = "viewer"

    @property
    def origin(self) -> str:
        """Where people reach the app: scheme, host and port."""
        parts = urlsplit(self.redirect_uri)
        return f"{parts.scheme}://{parts.netloc}"

    def names_owner(self, person: str, email: str) -> bool:
        """Whether the file makes an owner of somebody with that id and verified address, "" for none."""
        return bool(self.owners & {f"{BY_ID}{person}", email.casefold()})

    @property
    def for_streamlit(self) -> dict[str, Any]:
        """The secrets that ``st.login`` looks for."""
        return {
            "auth": {
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "server_metadata_url": self.server_metadata_url,
                "redirect_uri": self.redirect_uri,
                "cookie_secret": self._cookie_key,
            }
        }

    @property
    def _cookie_key(self) -> str:
        """Of this provider alone: with another one in the file, the cookies of the one before name nobody any more."""
        whom = f"{self.server_metadata_url}\0{self.client_id}".encode()
        return hmac.new(self.cookie_secret.encode(), whom, hashlib.sha256).hexdigest()


def read_login(file: Path, workspace: Path, address: str) -> Login:
    """The login that ``file`` describes. ``address`` is where the app is reached where the file has no ``redirect_uri``,
    which it needs where that is ""; a missing ``cookie_secret`` is drawn once and kept in the folder ``workspace``.

    Raises UnreadableInput or ImpossibleRequest where the file cannot be used, or others could read its secrets.
    """
    said = _read(file)
    if unknown := sorted(set(said) - {*NEEDED, *OPTIONAL}):
        raise UnreadableInput(f"{file} has an unknown key '{unknown[0]}'; known are {', '.join((*NEEDED, *OPTIONAL))}.")
    texts = {name: _text(said, name, file) for name in NEEDED}
    redirect_uri = f"{address}{CALLBACK}" if address and "redirect_uri" not in said else _text(said, "redirect_uri", file)
    _check_redirect(redirect_uri, file)
    given = _text(said, "cookie_secret", file) if "cookie_secret" in said else None
    if given is not None and len(given) < FEWEST_SECRET_LETTERS:
        raise UnreadableInput(
            f"{file}: cookie_secret needs {FEWEST_SECRET_LETTERS} letters or more; leave it out to have one drawn."
        )
    newcomers = said.get("newcomers", "viewer")
    if newcomers not in ROLES[:-1]:
        raise UnreadableInput(f"{file}: newcomers is one of {', '.join(ROLES[:-1])}.")
    owners = _owners(said, file)
    return Login(
        **texts,
        redirect_uri=redirect_uri,
        cookie_secret=given or kept_secret(workspace),
        owners=owners,
        newcomers=newcomers,
    )


def kept_secret(workspace: Path) -> str:
    """The workspace's own secret, drawn the first time, for its owner's eyes only. Raises UnreadableInput."""
    file = workspace / COOKIE_SECRET
    try:
        workspace.mkdir(parents=True, exist_ok=True)
        try:
            made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            _check_private(file)
            kept = file.read_text(encoding="ascii").strip()
            if len(kept) < FEWEST_SECRET_LETTERS:
                raise UnreadableInput(f"{file} is damaged; delete it, and everybody has to log in again.") from None
            return kept
        drawn = secrets.token_hex()
        with os.fdopen(made, "w", encoding="ascii") as out:
            out.write(drawn)
        return drawn
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableInput(f"{file} cannot be used ({getattr(error, 'strerror', None) or 'it is no text'}).") from None


def _read(file: Path) -> Mapping[str, Any]:
    try:
        with file.open("rb") as held:
            _check_private(file)
            raw = held.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnreadableInput(f"the login file {file} cannot be read ({error.strerror}); name one with --auth.") from None
    if len(raw) > MOST_BYTES:
        raise UnreadableInput(f"the login file {file} is too long to be one.")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):  # their words may quote a secret
        raise UnreadableInput(f'the login file {file} is not TOML; write lines such as client_id = "...".') from None


def _check_private(file: Path) -> None:
    """The group may read it (a container's secrets are shared that way), the world may not."""
    if stat.S_IMODE(file.stat().st_mode) & stat.S_IRWXO:
        raise ImpossibleRequest(f"{file} holds secrets and everybody on this machine can reach it; `chmod 600` it first.")


def _text(said: Mapping[str, Any], name: str, file: Path) -> str:
    value = said.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UnreadableInput(f'the login file {file} needs {name} = "...".')
    return value.strip()


def _check_redirect(uri: str, file: Path) -> None:
    try:
        parts = urlsplit(uri)
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.netloc or parts.path != CALLBACK or parts.query:
        raise UnreadableInput(f"{file}: redirect_uri is the address of the app with {CALLBACK} behind it.")


def _owners(said: Mapping[str, Any], file: Path) -> frozenset[str]:
    owners = said.get("owners")
    named = owners if isinstance(owners, list) and all(isinstance(owner, str) for owner in owners) else []
    clean = {owner.strip().casefold() for owner in named} - {""}
    if not clean:
        raise UnreadableInput(f'the login file {file} needs owners = ["name@example.org"]: somebody has to give roles.')
    return frozenset(clean)

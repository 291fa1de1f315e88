"""Browser sessions without a browser: what a page's code sees of who is at it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from streamlit.runtime.fragment import MemoryFragmentStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner_utils import script_run_context as contexts
from streamlit.runtime.state import SafeSessionState, SessionState

from app.login import CALLBACK, Login

ISSUER = "https://provider.example.org"
LOGIN = Login(
    "stillroom",
    "a secret of the client",
    f"{ISSUER}/.well-known/openid-configuration",
    f"http://127.0.0.1:8501{CALLBACK}",
    "c" * 64,
    frozenset({"olga@example.org"}),
)
"""Olga owns the workspace; whoever else comes is a viewer."""


def claims(subject: str, **more: Any) -> dict[str, Any]:
    """What Streamlit keeps of somebody whom the provider has named, with a verified address after the subject."""
    own = {"iss": ISSUER, "sub": subject, "email": f"{subject}@example.org", "email_verified": True, "is_logged_in": True}
    return {**own, **more}


@contextmanager
def session(said: Mapping[str, Any], **state: Any) -> Iterator[None]:
    """The code of the block runs in a session for which the provider ``said`` that; ``state`` is what the browser typed."""
    held = SafeSessionState(SessionState(), lambda: None)
    for name, value in state.items():
        held[name] = value
    context = contexts.ScriptRunContext(
        session_id="a session",
        _enqueue=lambda message: None,
        query_string="",
        session_state=held,
        uploaded_file_mgr=MemoryUploadedFileManager("/upload"),
        main_script_path="main.py",
        user_info=dict(said),
        fragment_storage=MemoryFragmentStorage(),
        pages_manager=PagesManager("main.py"),
    )
    before = contexts.get_script_run_ctx(suppress_warning=True)
    contexts.add_script_run_ctx(ctx=context)
    try:
        yield
    finally:
        setattr(threading.current_thread(), contexts.SCRIPT_RUN_CONTEXT_ATTR_NAME, before)

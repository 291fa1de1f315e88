"""What an owner does to the list of sets. No Streamlit."""

from __future__ import annotations

from pathlib import Path

from app.roles import require
from app.services import services
from app.uploads import Uploaded, keep_upload
from data.distilled_set import OpenOptions


def keep_here(files: list[Uploaded]) -> Path:
    """Uploaded files as a path to open. Raises NotAllowed, or UnreadableInput."""
    require("sets")
    return keep_upload(files, services().workspace.uploads)


def open_here(path: Path, options: OpenOptions) -> str:
    """Open a set and queue its first analyses; returns its id. Raises NotAllowed, or UnreadableInput."""
    require("sets")
    set_id = services().workspace.add_set(path, options)
    services().start_first(set_id)
    return set_id


def change_options(set_id: str, options: OpenOptions) -> None:
    """Understand the set differently. Raises NotAllowed, UnreadableInput or ImpossibleRequest."""
    require("sets")
    services().workspace.set_options(set_id, options)
    services().start_first(set_id)


def forget(set_id: str) -> None:
    """Take the set off the list. Raises NotAllowed, or ImpossibleRequest."""
    require("sets")
    services().workspace.remove_set(set_id)

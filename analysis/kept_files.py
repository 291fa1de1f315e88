"""Small files of tensors and numbers that spare doing the same work twice."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from data.torch_files import save_torch


def load(path: Path) -> dict[str, Any] | None:
    """What ``path`` holds, its tensors on the CPU; None where it is absent or damaged. Raises OSError."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (RuntimeError, ValueError, EOFError, LookupError, TypeError, pickle.UnpicklingError):
        return None  # what unpickling raises depends on where the bytes are broken


def save(content: dict[str, Any], path: Path) -> None:
    """Written whole or not at all. Raises OSError."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            save_torch(content, file)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)

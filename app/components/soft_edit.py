"""What a browser says a soft label should become, checked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

from data.decisions import LARGEST_INDEX
from data.plain_text import is_broken_text

MOST_EDITED = 1_000
MOST_BASE_LENGTH = 200
SUM_SLACK = 1e-6


@dataclass(frozen=True)
class SoftEdit:
    """``classes`` get ``values``; the classes not named share what is left in the proportions they have in ``base``, a label
    source, or where it is None nothing (analysis/label_edits.py::apply_edit)."""

    classes: tuple[int, ...]
    values: tuple[float, ...]
    base: str | None = None

    @classmethod
    def read(cls, raw: Any) -> Self:
        """From ``{"set": [[class, probability], ...], "base": name or null}``. Raises ValueError where it is not one."""
        if not isinstance(raw, dict) or not isinstance(raw.get("set"), list) or not 0 < len(raw["set"]) <= MOST_EDITED:
            raise ValueError("an edit sets some classes")
        pairs, base = raw["set"], raw.get("base")
        if not all(
            isinstance(pair, list) and len(pair) == 2 and _is_class(pair[0]) and _is_share(pair[1]) for pair in pairs
        ):
            raise ValueError("an edit gives each class a number from 0 to 1")
        classes, values = zip(*pairs, strict=True)
        if len(set(classes)) != len(classes) or math.fsum(values) > 1 + SUM_SLACK:
            raise ValueError("an edit names each class once, and gives them at most 1 together")
        if base is not None and not _is_name(base):
            raise ValueError("that names no label source")
        return cls(classes, tuple(map(float, values)), base)


def _is_class(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_INDEX


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1 + SUM_SLACK


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MOST_BASE_LENGTH and not is_broken_text(value)

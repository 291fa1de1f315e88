"""What a message to a component's browser carries once: values that it has already are only named.

A browser says with every message of its own which values it holds (card_parts and decision_card/stock.js), so that a page
forgets nothing that a browser forgot, and a browser that lacks something asks by saying so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

KEY_LENGTH = 16
MOST_HELD = 2_000


class Shipment:
    """The values of one message, by a key that follows from their content."""

    def __init__(self, held: Iterable[str] = ()) -> None:
        self._held = frozenset(held)
        self.values: dict[str, Any] = {}

    def add(self, value: Any) -> str:
        """The key of ``value``, which must be JSON; "" for one that says nothing."""
        if not value:
            return ""
        text = value if isinstance(value, str) else json.dumps(value)
        key = hashlib.blake2b(text.encode(), digest_size=KEY_LENGTH // 2).hexdigest()
        if key not in self._held:
            self.values[key] = value
        return key


def held(raw: Any) -> frozenset[str]:
    """The keys that a browser says it holds; none where what it sent is something else."""
    if not isinstance(raw, list) or len(raw) > MOST_HELD:
        return frozenset()
    return frozenset(key for key in raw if isinstance(key, str) and len(key) == KEY_LENGTH)

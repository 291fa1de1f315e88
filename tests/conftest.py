"""Fast tests first: a mistake should show within a minute."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def effort(item: pytest.Item) -> tuple[bool, bool]:
        return item.get_closest_marker("browser") is not None, item.get_closest_marker("slow") is not None

    items.sort(key=effort)

"""Fast tests first: a mistake should show within a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.data.postgres import Postgres, serving

settings.register_profile("busy machine", deadline=None)  # how long an example takes says more about the machine
settings.load_profile("busy machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def effort(item: pytest.Item) -> tuple[bool, bool]:
        return item.get_closest_marker("browser") is not None, item.get_closest_marker("slow") is not None

    items.sort(key=effort)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A real server, started by the first test that asks for it."""
    with serving() as server:
        yield server


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def store(request: pytest.FixtureRequest) -> str:
    """Where decisions are kept, as Workspace.open takes it: in the workspace, or in a new database of a real server."""
    return "" if request.param == "duckdb" else request.getfixturevalue("postgres").new_database()

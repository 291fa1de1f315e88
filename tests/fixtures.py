"""Where the real data lies that some tests read; they skip, with a reason, where it is absent."""

from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parents[2] / "shared" / "fixtures"


def fixture(*parts: str) -> Path:
    """The path of a fixture file or folder; skips the calling test where it is not there."""
    path = FIXTURES.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the real data {'/'.join(parts)} is not on this machine")
    return path

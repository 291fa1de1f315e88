from __future__ import annotations

import importlib
import sys

import pytest

from analysis import registry

MADE = "tests.analysis.engine.made_analyses"


@pytest.fixture
def made_analyses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The analyses of MADE, registered for one test alone: whoever asks later for every analysis must not meet them."""
    monkeypatch.setattr(registry, "_REGISTRY", registry.analyses())
    monkeypatch.delitem(sys.modules, MADE, raising=False)  # importing registers, and only the first time
    importlib.import_module(MADE)

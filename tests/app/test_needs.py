"""What a set lacks, in words."""

from __future__ import annotations

from typing import get_args

from analysis.registry import Need
from app.needs import HOW_TO_GIVE, needs_words


def test_needs_words__what_is_missing_and_how_to_have_it():
    said = needs_words(["soft labels", "test split"], "DC_10ipc")
    assert said.startswith("This needs soft labels and a real test split, which **DC\\_10ipc** does not have: ")
    assert "`--labels`" in said and "`--test`" in said


def test_how_to_give__every_need_has_a_way():
    assert set(HOW_TO_GIVE) == set(get_args(Need))

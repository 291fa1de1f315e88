"""Columns as people read them."""

from __future__ import annotations

import pandas as pd
import pytest

from app.column_words import NO_CLASS, capital, with_class_names, words


@pytest.mark.parametrize(
    ("column", "read"),
    [
        ("image_top1_change", "image top-1 change"),
        ("el2n", "EL2N"),
        ("nsd_low", "NSD low"),
        ("elr_weight", "ELR weight"),
        ("p_given", "P(given)"),
        ("p_value", "p value"),
        ("share_teacher strong", "share teacher strong"),
        ("mass of the Coat", "mass of the Coat"),
    ],
)
def test_words__of_a_column(column, read):
    assert words(column) == read


def test_capital__leaves_other_letters():
    assert capital("mean EL2N") == "Mean EL2N" and capital("") == ""


def test_with_class_names__only_whole_numbers_that_are_labels():
    table = pd.DataFrame({"given_label": [1, 0], "suggested_label": [-1, 1], "n": [1, 0], "soft_label": [0.5, 1.0]})
    read = with_class_names(table, ("Coat", "Bag"))
    assert list(read["given_label"]) == ["Bag", "Coat"] and list(read["suggested_label"]) == [NO_CLASS, "Bag"]
    assert list(read["n"]) == [1, 0] and list(read["soft_label"]) == [0.5, 1.0]
    assert list(table["given_label"]) == [1, 0], "the table itself stays"

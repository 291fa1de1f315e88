"""The search among many places at once, against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from analysis.context import Context
from analysis.corrections.tau_search import PASSES, smallest


@given(st.floats(-2, 4), st.floats(0.2, 5))
def test_smallest__finds_the_bottom_of_a_valley(bottom, steepness):
    def curve(x):
        return np.abs(x - bottom) ** 1.5 * steepness + 0.1 * (x - bottom) ** 4

    found = smallest(lambda places, part: curve(places), -1, 3, Context())
    expected = minimize_scalar(curve, bounds=(-1, 3), method="bounded", options={"xatol": 1e-9})
    assert found == pytest.approx(expected.x, abs=4e-4)


def test_smallest__of_two_valleys_the_deeper():
    found = smallest(lambda x, part: np.minimum((x - 0.5) ** 2, (x - 2.5) ** 2 - 0.1), 0, 3, Context())
    assert found == pytest.approx(2.5, abs=4e-4)


def test_smallest__of_a_flat_curve_the_first_place():
    assert smallest(lambda places, part: np.ones(len(places)), 0, 3, Context()) == 0


def test_smallest__reports_each_pass():
    seen = []
    context = Context(report=lambda fraction, message: seen.append(fraction))
    smallest(lambda places, part: (part.report(1, ""), places)[1], 0, 1, context)
    np.testing.assert_allclose(seen, np.arange(1, PASSES + 1) / PASSES)

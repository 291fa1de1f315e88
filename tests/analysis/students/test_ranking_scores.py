"""DD-Ranking's scores against the values that its paper gives their ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.students.ranking_scores import ars, hlr, ior, lrs, normalised

SHARES = st.floats(0, 1)


def test_normalised__ends_and_the_middle():
    assert normalised(np.array([-1.0, 1.0])) == pytest.approx([0, 1])
    assert normalised(np.array(0.0)) == pytest.approx((1 - math.exp(-1)) / (math.e - math.exp(-1)))


def test_scores__by_hand():
    lost, gained = hlr(np.array([0.8]), np.array([0.6])), ior(np.array([0.7]), np.array([0.5]))
    assert lost == pytest.approx([0.2]) and gained == pytest.approx([0.2])
    alpha = 0.3 * 0.2 - 0.7 * 0.2
    assert lrs(gained, lost, 0.3) == pytest.approx([(math.exp(alpha) - math.exp(-1)) / (math.e - math.exp(-1))])
    beta = 0.25 * 0.2 + 0.75 * -0.1
    assert ars(gained, np.array([-0.1]), 0.25) == pytest.approx([(math.exp(beta) - math.exp(-1)) / (math.e - math.exp(-1))])


@given(SHARES, SHARES, SHARES, SHARES, SHARES)
@settings(max_examples=100, deadline=None)
def test_lrs__of_shares_is_a_share_and_rises_with_what_is_good(real, hard, own, random, w):
    score = lrs(ior(own, random), hlr(real, hard), w)
    assert -1e-9 <= score <= 1 + 1e-9
    assert lrs(ior(min(own + 0.1, 1), random), hlr(real, hard), w) >= score - 1e-12
    assert lrs(ior(own, random), hlr(min(real + 0.1, 1), hard), w) <= score + 1e-12

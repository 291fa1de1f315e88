"""What bulk adoption saves and costs, counted by loops and held against simulated critics that are calibrated or not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.critic.candidates import NO_CLASS, Candidates
from analysis.critic.savings import (
    CALIBRATION_BINS,
    FEWEST_TO_CALIBRATE,
    THRESHOLDS,
    Best,
    Pace,
    best_labels,
    calibration_figure,
    calibration_table,
    pace,
    savings_figures,
    savings_table,
)
from analysis.critic.tournament import Standings
from analysis.intervals import wilson
from data.pair_answers import NOTHING, PEOPLE, PairAnswers, together
from tests.analysis.critic.made_preferences import verdicts_of

HOUR = Pace(3600.0, "an hour each")


def best_of(p: list[float], agrees: list[bool], right: list[float]) -> Best:
    return Best(np.array(p, float), np.array(agrees, bool), np.array(right, float))


def calibrated(n: int, seed: int, claimed_more: float = 0.0) -> Best:
    """A critic whose best labels are right as often as it says, or less often by ``claimed_more``."""
    rng = np.random.default_rng(seed)
    p = rng.uniform(0.5, 1.0, n)
    return Best(p, rng.random(n) < 0.5, (rng.random(n) < p - claimed_more).astype(float))


def test_best_labels__by_hand() -> None:
    candidates = Candidates(
        sample_id=np.array([4, 1, 3]),
        classes=np.array([[0, 2, NO_CLASS], [1, 0, 2], [2, NOTHING, NO_CLASS]]),
        support=np.ones((3, 3), np.float32),
        origins=np.full((3, 3), "", object),
    )
    standings = Standings(np.array([[0.2, 0.8, 0.0], [0.5, 0.3, 0.2], [0.1, 0.9, 0.0]]), np.zeros(3, bool), np.ones(3))
    found = best_labels(candidates, standings, np.array([0, 1, 2, 2, 0]), verdicts_of({4: 2, 1: 0, 0: 1}))
    np.testing.assert_array_equal(found.p, [0.8, 0.5, np.nan])
    np.testing.assert_array_equal(found.agrees, [False, True, False])
    np.testing.assert_array_equal(found.right, [1, 0, np.nan])
    np.testing.assert_array_equal(found.checked, [True, True, False])


def timed(seconds: list[float], said: str = "left") -> PairAnswers:
    n = len(seconds)
    ids, texts = np.arange(n), np.full(n, "", object)
    people, words = np.full(n, PEOPLE, object), np.full(n, said, object)
    return PairAnswers(ids, ids * 0, ids * 0 + 1, people, words, np.full(n, np.nan), texts, texts, np.array(seconds), texts)


rows = st.tuples(
    st.floats(0, 1) | st.just(math.nan) | st.sampled_from(THRESHOLDS), st.booleans(), st.sampled_from([0.0, 1.0, math.nan])
)


@given(st.lists(rows, max_size=30), st.floats(0.1, 1000))
def test_savings_table__counts_as_a_loop_does(held: list[tuple[float, bool, float]], seconds: float) -> None:
    best = best_of(*(list(column) for column in zip(*held, strict=True))) if held else best_of([], [], [])
    for record in savings_table(best, Pace(seconds, "")).to_dict("records"):
        above = [row for row in held if row[0] >= record["threshold"]]
        settled = [right for _, _, right in above if not math.isnan(right)]
        assert record["adopted"] == len(above)
        assert record["relabelled"] == sum(1 for _, agrees, _ in above if not agrees)
        assert record["expected_wrong"] == pytest.approx(sum(1 - p for p, _, _ in above), abs=1e-9)
        assert record["checked"] == len(settled)
        assert record["hours_saved"] == pytest.approx(len(above) * seconds / 3600)
        if settled:
            assert record["precision"] == pytest.approx(sum(settled) / len(settled))
            bounds = [float(bound) for bound in wilson(sum(settled), len(settled))]
            assert [record["precision_low"], record["precision_high"]] == pytest.approx(bounds)
        else:
            assert math.isnan(record["precision"]) and math.isnan(record["precision_low"])


def test_savings_table__saves_less_the_surer_one_wants_to_be() -> None:
    table = savings_table(calibrated(500, 0), HOUR)
    for column in ("adopted", "relabelled", "expected_wrong", "hours_saved", "checked"):
        assert (table[column].diff().dropna() <= 1e-9).all(), column


def test_savings_figures__by_hand() -> None:
    best = best_of([0.98, 0.9, 0.5, math.nan], [True, False, False, False], [1, 0, 1, 1])
    hours, changed, wrong, precision = savings_figures(best, 0.9, HOUR)
    assert (hours.value, hours.n, hours.unit) == (2.0, 4, "h")
    assert changed.value == 1 and wrong.value == 0.1 and wrong.n == 2  # 0.02 and 0.1, to a tenth
    assert (precision.value, precision.n) == (0.5, 2)
    assert "of 2 samples at or above 0.9 that people settled, 1 have" in precision.basis


def test_savings_figures__nothing_asked_or_nothing_settled() -> None:
    assert all(figure.value is None and figure.basis for figure in savings_figures(best_of([], [], []), 0.9, HOUR))
    *_, precision = savings_figures(best_of([0.99], [True], [math.nan]), 0.9, HOUR)
    assert precision.value is None and precision.n == 0 and "none" in precision.basis


def test_savings_figures__nothing_sure_enough_saves_nothing() -> None:
    figures = savings_figures(best_of([0.6], [True], [1]), 0.9, HOUR)
    assert all(figure.value is None and "none of 1 asked samples" in figure.basis for figure in figures)


def test_savings_figures__expected_wrong_covers_what_a_calibrated_critic_gets_wrong() -> None:
    covered = 0
    for seed in range(200):
        best = calibrated(150, seed)
        figure = savings_figures(best, 0.8, HOUR)[2]
        truly = float((1 - best.right[best.adopted(0.8)]).sum())
        covered += figure.low <= truly <= figure.high
    assert covered / 200 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 200)


def test_pace__takes_peoples_own_median_where_there_are_enough() -> None:
    measured = timed([2.0, 3.0, 4.0, 5.0, 5_000.0, math.nan, 0.0])
    assert pace(12.0, measured).seconds == 4.0 and "5 answers on pairs" in pace(12.0, measured).basis
    assert pace(12.0, measured.take(np.arange(4))) == Pace(12.0, "an assumed 12 s a decision")


def test_pace__a_skip_is_no_decision() -> None:
    answered, skipped = timed([2.0, 3.0, 4.0, 5.0, 6.0]), timed([0.1] * 9, said="none")
    assert pace(12.0, together([answered, skipped])) == pace(12.0, answered)
    assert pace(12.0, skipped).seconds == 12.0


def test_calibration_figure__tells_a_calibrated_critic_from_a_boastful_one() -> None:
    honest, boastful = calibration_figure(calibrated(4_000, 1)), calibration_figure(calibrated(4_000, 1, claimed_more=0.2))
    assert honest.value == pytest.approx(0.0, abs=0.03)
    assert boastful.value == pytest.approx(0.2, abs=0.03)


def test_calibration_figure__too_few_say_nothing() -> None:
    figure = calibration_figure(calibrated(FEWEST_TO_CALIBRATE - 1, 0))
    assert figure.value is None and figure.n == FEWEST_TO_CALIBRATE - 1 and "too few" in figure.basis


@given(st.lists(rows, max_size=30))
def test_calibration_table__counts_as_a_loop_does(held: list[tuple[float, bool, float]]) -> None:
    best = best_of(*(list(column) for column in zip(*held, strict=True))) if held else best_of([], [], [])
    settled = [(p, right) for p, _, right in held if not math.isnan(p) and not math.isnan(right)]
    table = calibration_table(best)
    assert table["n"].sum() == len(settled)
    for record in table.to_dict("records"):
        first = record["p_from"] == 0
        edges = [k / CALIBRATION_BINS for k in range(CALIBRATION_BINS + 1)]
        assert record["p_from"] in edges and record["p_to"] in edges
        inside = [(p, right) for p, right in settled if (record["p_from"] < p or (first and p == 0)) and p <= record["p_to"]]
        assert record["n"] == len(inside)
        assert record["mean_p"] == pytest.approx(np.mean([p for p, _ in inside]))
        assert record["right"] == pytest.approx(np.mean([right for _, right in inside]))

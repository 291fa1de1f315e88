"""Ratings by who is right: what is given, and why the rest is not."""

import numpy as np

from analysis.answers.glicko import samples_against
from analysis.answers.ratings import rated_by_sources, rated_by_votes, with_ratings
from analysis.context import Context

RIGHT = (np.random.default_rng(0).random((30, 6)) < 0.7).astype(np.uint8)
NAMES = list("abcdef")


def test_rated_by_sources__too_few_say_how_many_are_needed():
    rated = rated_by_sources(NAMES, RIGHT, "1PL", 7, Context())
    assert np.isnan(rated.difficulty).all() and "needs 7 label sources" in rated.why_not[0]
    assert rated.respondents["right"].tolist() == RIGHT.mean(axis=0).tolist()


def test_rated_by_sources__none_asked_for_is_no_failure():
    rated = rated_by_sources(NAMES, RIGHT, "none", 2, Context())
    assert np.isnan(rated.difficulty).all() and not rated.why_not


def test_rated_by_votes__too_few_votes():
    rated = rated_by_votes(RIGHT.sum(axis=1).astype(np.int64), 6, "votes", ("1PL", 10), Context())
    assert np.isnan(rated.difficulty).all() and any("needs 10 votes" in why for why in rated.why_not)


def test_with_ratings__adds_glickos_to_samples_and_respondents():
    bare = rated_by_sources(NAMES, RIGHT, "none", 2, Context())
    rated = with_ratings(bare, RIGHT, (5, 3, 0.5), Context())
    samples, people = samples_against(iter(RIGHT.T > 0), 30, 6, 3, Context())
    np.testing.assert_array_equal(rated.rating, samples.rating)
    np.testing.assert_array_equal(rated.respondents["rating_deviation"], people.deviation)
    assert np.isnan(with_ratings(bare, RIGHT, (7, 3, 0.5), Context()).rating).all()

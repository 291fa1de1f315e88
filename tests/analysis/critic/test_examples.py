from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.critic.examples import Examples, spread
from analysis.critic.montage import MOST_EXAMPLES, TILE_PX
from data.errors import ImpossibleRequest
from tests.analysis.made_sets import made_set


@pytest.fixture(scope="module")
def both():
    """A set with a reference, and the same without."""
    whole = made_set(n_per_class=(4, 9, 1, 0))
    return whole, replace(whole, reference=None)


def test_of__real_images_where_there_are_any(both):
    whole, _ = both
    shown = Examples(whole, 3).of(1, 5)
    real = whole.reference.images.viewable(np.flatnonzero(whole.reference.labels == 1))
    assert len(shown) == 3
    assert all(any(np.array_equal(example, image) for image in real) for example in shown)


def test_of__own_images_without_the_sample_itself(both):
    _, bare = both
    images = bare.images.viewable(np.arange(len(bare)))
    examples = Examples(bare, MOST_EXAMPLES)
    for sample_id in range(4):
        shown = examples.of(0, sample_id)
        others = [images[i] for i in range(4) if i != sample_id]
        assert len(shown) == 3 and all(np.array_equal(*pair) for pair in zip(shown, others, strict=True))


def test_of__class_of_one_has_none_of_its_own(both):
    _, bare = both
    assert Examples(bare, 3).of(2, 13) == []
    assert Examples(bare, 3).of(3, 0) == []
    assert len(Examples(bare, 3).of(2, 0)) == 1


@pytest.mark.parametrize("sample_id", range(13))
def test_of__as_many_as_asked_for_whoever_is_left_out(both, sample_id):
    assert len(Examples(both[1], 5).of(1, sample_id)) == 5


def test_of__same_every_time(both):
    for opened in both:
        first, second = (Examples(opened, 2).of(1, 0) for _ in range(2))
        assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


def test_of__large_images_are_kept_small():
    large = made_set(n_per_class=(3, 3), size=300, teachers=0)
    assert {example.shape for example in Examples(large, 2).of(0, 0)} == {(TILE_PX, TILE_PX, 3)}


def test_identity__follows_the_choice(both):
    whole, bare = both
    moved = replace(bare, labels=np.roll(bare.labels, 1))
    kinds = {Examples(opened, n).identity for opened in (whole, bare, moved) for n in (1, 2)}
    assert len(kinds) == 6
    assert Examples(whole, 1).identity == Examples(whole, 1).identity


@pytest.mark.parametrize("count", [-1, MOST_EXAMPLES + 1])
def test_examples__impossible_number(both, count):
    with pytest.raises(ImpossibleRequest, match="examples of a class"):
        Examples(both[0], count)


def test_examples__set_without_images(both):
    with pytest.raises(ImpossibleRequest, match="no image to show"):
        Examples(replace(both[0], images=None), 2)


@given(st.integers(0, 60), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_spread__even_and_without_repeats(n, most, seed):
    ids = np.arange(n) * 3
    chosen = spread(ids, most, seed)
    assert len(chosen) == min(n, most) and np.isin(chosen, ids).all()
    gaps = np.diff(chosen) / 3
    assert (gaps >= 1).all() and (n <= most or (np.abs(gaps - n / most) < 1).all())


def test_spread__all_have_the_same_chance():
    drawn = np.bincount(np.concatenate([spread(np.arange(10), 3, seed) for seed in range(2_000)]), minlength=10)
    assert np.abs(drawn / 2_000 - 0.3).max() < 0.05

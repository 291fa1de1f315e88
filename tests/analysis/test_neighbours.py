import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from analysis import neighbours
from analysis.context import Cancelled, Context
from analysis.neighbours import nearest, unit_rows

CPU = Context(device="cpu")


def random_vectors(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d)).astype(np.float32)


@pytest.fixture(params=["faiss", "products in chunks"])
def search(request, monkeypatch):
    """Both ways to search; the second as on a GPU whose memory holds 7 rows of the base."""
    if request.param != "faiss":
        monkeypatch.setattr(neighbours, "rows_that_fit", lambda *_: 7)
        monkeypatch.setattr(neighbours, "_faiss_search", neighbours._matrix_search(torch.device("cpu")))


def test_nearest__agrees_with_scikit_learn(search, monkeypatch):
    monkeypatch.setattr(neighbours, "QUERIES_A_CHUNK", 23)
    vectors = random_vectors(120, 16)
    ids, similarity = nearest(vectors, 5, CPU)
    distance, expected = NearestNeighbors(n_neighbors=5, metric="cosine").fit(vectors).kneighbors()
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_allclose(similarity, 1 - distance, atol=1e-6)
    assert (ids.dtype, similarity.dtype) == (np.int64, np.float32)


def test_nearest__other_queries_keep_identical_rows(search):
    vectors = random_vectors(40, 8)
    ids, similarity = nearest(vectors, 3, CPU, queries=3 * vectors[[7, 2]])
    assert ids[:, 0].tolist() == [7, 2]
    np.testing.assert_allclose(similarity[:, 0], 1, atol=1e-6)


def test_nearest__self_can_stay(search):
    ids, _ = nearest(random_vectors(12, 8), 2, CPU, exclude_self=False)
    assert ids[:, 0].tolist() == list(range(12))


def test_nearest__duplicates_find_each_other_and_never_themselves(search):
    vectors = np.repeat(random_vectors(1, 8), 20, axis=0)
    ids, similarity = nearest(vectors, 3, CPU)
    assert not (ids == np.arange(20)[:, None]).any()
    assert all(len(set(row)) == 3 for row in ids.tolist())
    np.testing.assert_allclose(similarity, 1, atol=1e-6)


@pytest.mark.parametrize(("n", "columns"), [(1, 0), (2, 1), (4, 3)])
def test_nearest__fewer_rows_than_asked_for(search, n, columns):
    ids, similarity = nearest(random_vectors(n, 4), 9, CPU)
    assert ids.shape == similarity.shape == (n, columns)


def test_nearest__zero_vector_is_similar_to_nothing(search):
    vectors = random_vectors(10, 4)
    vectors[3] = 0
    _, similarity = nearest(vectors, 2, CPU)
    assert (similarity[3] == 0).all()


def test_nearest__leaves_its_input_alone():
    vectors = random_vectors(10, 4)
    before = vectors.copy()
    nearest(vectors, 2, CPU)
    np.testing.assert_array_equal(vectors, before)


def test_nearest__can_be_cancelled():
    def stop(fraction: float, message: str) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        nearest(random_vectors(10, 4), 2, Context(device="cpu", report=stop))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 12), st.integers(0, 1_000))
def test_nearest__similarities_are_the_best_there_are(n, d, k, seed):
    vectors = random_vectors(n, d, seed)
    products = unit_rows(vectors).astype(np.float64) @ unit_rows(vectors).T.astype(np.float64)
    np.fill_diagonal(products, -np.inf)
    expected = -np.sort(-products, axis=1)[:, : min(k, n - 1)]
    _, similarity = nearest(vectors, k, CPU)
    np.testing.assert_allclose(similarity, expected, atol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_nearest__cuda_agrees_with_cpu():
    vectors = random_vectors(2_000, 64)
    _, on_cpu = nearest(vectors, 5, CPU)
    _, on_cuda = nearest(vectors, 5, Context(device="cuda"))
    np.testing.assert_allclose(on_cuda, on_cpu, atol=1e-5)

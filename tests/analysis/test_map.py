from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.manifold import trustworthiness as oracle
from sklearn.metrics import silhouette_score

from analysis import map as module
from analysis.context import Cancelled, Context
from analysis.neighbours import nearest, unit_rows
from analysis.registry import run
from data.images import Images, TensorStore
from tests.analysis.made_sets import made_set

CPU = Context(device="cpu")
QUICK = {"embedding": "pixels", "method": "pca"}


def vectors_of(distilled_set):
    return unit_rows(distilled_set.images.unit(np.arange(len(distilled_set))).flatten(1).numpy())


def relabelled(distilled_set, changes):
    labels = distilled_set.labels.copy()
    labels[list(changes)] = list(changes.values())
    return replace(distilled_set, labels=labels)


def figure(findings, label):
    return next(f for f in findings.summary if f.label.startswith(label))


def test_map__principal_components_are_scikit_learns():
    made = made_set((15, 15))
    places = run("map", made, CPU, **QUICK).per_sample[["x", "y"]].to_numpy()
    np.testing.assert_allclose(places, PCA(2, svd_solver="full").fit_transform(vectors_of(made)), atol=1e-4)


def test_map__moved_labels_are_flagged_and_nothing_else():
    found = run("map", relabelled(made_set((20, 20, 20)), {3: 2, 45: 0}), CPU, **QUICK)
    assert np.flatnonzero(found.per_sample["flag"]).tolist() == [3, 45]
    assert found.per_sample["score"].drop(index=[3, 45]).min() > 0.8
    per_class = [*found.per_sample["score"][:20].drop(index=3), 0.0]  # sample 45 now belongs to class 0
    assert found.per_class["label_agreement"][0] == pytest.approx(np.mean(per_class))
    assert figure(found, "Neighbours").value == pytest.approx(found.per_sample["score"].mean())


def test_map__agreement_is_of_as_many_as_could_agree():
    made = made_set((3, 30))
    score = run("map", made, CPU, **QUICK).per_sample["score"]
    np.testing.assert_allclose(score, 1)  # two of 15 neighbours are all that class 0 has


@pytest.mark.parametrize(("n", "k"), [(40, 5), (41, 12)])
def test_trustworthiness__is_scikit_learns(n, k):
    rng = np.random.default_rng(n)
    unit, places = unit_rows(rng.standard_normal((n, 8))), rng.standard_normal((n, 2))
    shares = module.trustworthiness(unit, places, k, np.arange(n))
    assert shares.mean() == pytest.approx(oracle(unit, places, n_neighbors=k, metric="cosine"), abs=1e-6)


def test_trustworthiness__does_not_depend_on_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    unit, places, rows = unit_rows(rng.standard_normal((30, 8))), rng.standard_normal((30, 2)), np.arange(3, 30, 4)
    whole = module.trustworthiness(unit, places, 4, rows)
    monkeypatch.setattr(module, "TRUST_ROWS_A_CHUNK", 2)
    np.testing.assert_array_equal(module.trustworthiness(unit, places, 4, rows), whole)


def test_trust_figure__sample_gives_an_interval_that_holds_the_whole(monkeypatch):
    rng = np.random.default_rng(0)
    unit, places = unit_rows(rng.standard_normal((300, 8))), rng.standard_normal((300, 2))
    whole = module.trust_figure(unit, places, 5, seed=0)
    assert whole.low is None and whole.n == 300
    monkeypatch.setattr(module, "TRUST_SAMPLES", 100)
    sampled = [module.trust_figure(unit, places, 5, seed) for seed in range(60)]
    assert np.mean([f.low <= whole.value <= f.high for f in sampled]) > 0.85
    assert sampled[0].n == 100 and "100 of 300" in sampled[0].basis


@pytest.mark.parametrize("counts", [(1,), (1, 1), (2, 1)])
def test_map__too_few_for_umap(counts):
    found = run("map", made_set(counts, teachers=0), CPU, embedding="pixels")
    assert np.isfinite(found.per_sample[["x", "y"]].to_numpy()).all()
    assert any("too few for UMAP" in caveat for caveat in found.caveats)
    if sum(counts) < 3:
        assert figure(found, "Trust").value is None and figure(found, "Neighbours").value is None


def test_map__only_image_of_a_class_has_no_score():
    found = run("map", made_set((1, 9)), CPU, **QUICK)
    assert np.isnan(found.per_sample["score"][0]) and not found.per_sample["flag"][0]
    assert np.isnan(found.per_class["label_agreement"][0])
    assert any("1 of 2 classes have one image" in caveat for caveat in found.caveats)


def test_map__identical_images():
    made = made_set((4, 4))
    made = replace(made, images=Images(TensorStore(torch.full((8, 3, 8, 8), 0.5)), made.pixel_space))
    found = run("map", made, CPU, **QUICK)
    np.testing.assert_allclose(found.per_sample[["x", "y"]], 0, atol=1e-6)


def test_map__progress_rises():
    fractions = []
    run("map", made_set((5, 5)), Context("cpu", report=lambda f, _: fractions.append(f)), **QUICK)
    assert fractions == sorted(fractions) and fractions[-1] <= 1


class TestUmap:
    """Grouped, so that the 20 seconds which UMAP compiles for are spent once."""

    def test_map__classes_stay_together_the_same_way_every_time(self):
        made = made_set((20, 15, 10))
        first, again, other = (run("map", made, CPU, embedding="pixels", seed=s).per_sample for s in (1, 1, 2))
        places = first[["x", "y"]].to_numpy()
        np.testing.assert_array_equal(places, again[["x", "y"]])
        assert not np.array_equal(places, other[["x", "y"]])
        assert silhouette_score(places, made.labels) > 0.5

    @pytest.mark.slow
    def test_umap_layout__our_neighbours_give_its_own_graph(self, monkeypatch):
        import umap

        made, fitted = made_set((30, 30)), []

        class Recorded(umap.UMAP):
            def fit_transform(self, *args, **kwargs):
                fitted.append(self)
                return super().fit_transform(*args, **kwargs)

        unit = vectors_of(made)
        plain = umap.UMAP(n_neighbors=11, metric="cosine", random_state=0, n_jobs=1).fit(unit)
        monkeypatch.setattr(umap, "UMAP", Recorded)
        run("map", made, CPU, embedding="pixels", n_neighbors=10)
        np.testing.assert_allclose(fitted[0].graph_.toarray(), plain.graph_.toarray(), atol=1e-3)

    @pytest.mark.slow
    @pytest.mark.parametrize("counts", [(2, 2), (3, 2), (9, 8)])
    def test_map__few_images(self, counts):
        found = run("map", made_set(counts), CPU, embedding="pixels")
        assert np.isfinite(found.per_sample[["x", "y"]].to_numpy()).all()

    @pytest.mark.slow
    def test_map__identical_images(self):
        made = made_set((4, 4))
        made = replace(made, images=Images(TensorStore(torch.full((8, 3, 8, 8), 0.5)), made.pixel_space))
        found = run("map", made, CPU, embedding="pixels")
        assert np.isfinite(found.per_sample[["x", "y"]].to_numpy()).all()

    @pytest.mark.slow
    def test_umap_layout__can_be_cancelled_while_it_works(self):
        unit = vectors_of(made_set((400, 400)))
        ids, similarity = nearest(unit, 15, CPU)
        seen = []

        def report(fraction, message):
            seen.append(fraction)
            if fraction > 0.2:
                raise Cancelled

        with pytest.raises(Cancelled):
            module.umap_layout(unit, ids, similarity, min_dist=0.1, seed=0, context=Context(report=report))
        assert max(seen) < 0.9

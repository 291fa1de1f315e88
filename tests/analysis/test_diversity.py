from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from analysis import diversity as module
from analysis.context import Cancelled, Context
from analysis.diversity import diversity
from analysis.registry import find, run
from data.errors import ImpossibleRequest
from data.images import Images, TensorStore
from data.pixels import PROFILES
from tests.analysis.made_sets import made_set

CPU = Context(device="cpu")


def pixels_of(distilled_set):
    return distilled_set.images.unit(np.arange(len(distilled_set))).flatten(1).numpy()


def figure(findings, label):
    return next(f for f in findings.summary if f.label == label)


def with_pixels(distilled_set, pixels: torch.Tensor):
    return replace(distilled_set, images=Images(TensorStore(pixels), distilled_set.pixel_space))


def test_diversity__per_class_is_the_mean_cosine_of_its_pairs():
    made = made_set((12, 5, 3), seed=1)
    found = run("diversity", made, CPU, embedding="pixels")
    for c, similarity in enumerate(found.per_class["similarity"]):
        products = cosine_similarity(pixels_of(made)[made.labels == c].astype(float))
        n = len(products)
        assert similarity == pytest.approx((products.sum() - n) / (n * (n - 1)), abs=1e-6)
    assert figure(found, "Mean similarity within a class").value == pytest.approx(found.per_class["similarity"].mean())
    assert figure(found, "Mean similarity within a class").n == 20


def test_diversity__nearest_is_of_the_same_class():
    made = made_set((6, 9), seed=2)
    found = diversity(made, CPU, embedding="pixels").per_sample
    products = cosine_similarity(pixels_of(made))
    products[made.labels[:, None] != made.labels] = -2
    np.fill_diagonal(products, -2)
    np.testing.assert_array_equal(found["nearest_id"], products.argmax(axis=1))
    np.testing.assert_allclose(found["similarity"], products.max(axis=1), atol=1e-6)


def test_diversity__planted_duplicates_are_flagged_and_nothing_else():
    made = made_set((8, 8), size=16, seed=3)
    pixels = torch.rand(16, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    pixels[5] = pixels[2]
    pixels[12] = pixels[1]  # a copy in another class is not this analysis's business
    found = diversity(with_pixels(made, pixels), CPU, embedding="pixels", duplicate_similarity=0.95)
    assert np.flatnonzero(found.per_sample["flag"]).tolist() == [2, 5]
    assert found.per_sample["nearest_id"][2] == 5
    assert found.per_sample["score"][[2, 5]].tolist() == pytest.approx([0, 0], abs=1e-5)
    assert (found.per_sample["score"][~found.per_sample["flag"]] > 0.5).all()
    assert found.per_class["near_duplicates"].tolist() == [2, 0]
    assert figure(found, "Near duplicates").value == 2


def drawn_from_reference(seed: int):
    """Ten reference images of each of three classes, as if they were a distilled set."""
    made = made_set((10, 10, 10), seed=4)
    rng = np.random.default_rng(seed)
    ids = np.concatenate([30 * c + rng.permutation(30)[:10] for c in range(3)])
    return replace(made, images=Images(made.reference.images.store.take(ids), made.pixel_space))


def test_diversity__range_of_real_images_holds_sets_of_real_images_as_often_as_it_says():
    inside = 0
    for seed in range(100):
        found = diversity(drawn_from_reference(seed), CPU, embedding="pixels", seed=seed)
        own, beside = figure(found, "Mean similarity within a class"), figure(found, "The same for random real images")
        more = figure(found, "More alike than random real images")
        assert (beside.low <= own.value <= beside.high) == (more.low <= 0 <= more.high)
        inside += beside.low <= own.value <= beside.high
    assert 87 <= inside <= 99


def test_diversity__collapsed_set_stands_out_from_real_images():
    found = diversity(made_set((10, 10, 10), seed=4), CPU, embedding="pixels")
    assert figure(found, "More alike than random real images").low > 0
    assert figure(found, "MMD² to the reference").value > figure(found, "MMD² of random real images").high
    assert (found.per_class["similarity_low"] > found.per_class["real_similarity_high"]).all()


def test_diversity__deterministic_for_a_seed():
    made = made_set((6, 6))
    tables = [diversity(made, CPU, embedding="pixels", seed=s).per_class["real_similarity"].tolist() for s in (1, 1, 2)]
    assert tables[0] == tables[1] != tables[2]


def test_diversity__too_few_images_say_nothing():
    found = diversity(made_set((1, 4, 0, 1)), CPU, embedding="pixels")
    alone = found.per_sample.iloc[[0, 5]]
    assert alone["score"].isna().all() and not alone["flag"].any() and (alone["nearest_id"] == -1).all()
    assert found.per_class["similarity"].isna().tolist() == [True, False, True, True]
    assert any("3 of 4 classes have fewer than 2 images" in caveat for caveat in found.caveats)
    assert "1 of 4 classes" in figure(found, "Mean similarity within a class").basis


def test_diversity__one_image_a_class_has_no_figure_but_a_reason():
    found = diversity(made_set((1, 1)), CPU, embedding="pixels")
    assert all(f.value is None and f.basis for f in found.summary if f.n == 0)
    assert figure(found, "Mean similarity within a class").value is None
    assert figure(found, "Near duplicates").value is None


def test_diversity__no_reference_is_said():
    found = diversity(made_set((5, 5), reference=False), CPU, embedding="pixels")
    assert figure(found, "The same for random real images").value is None
    assert figure(found, "MMD² to the reference").value is None
    assert found.per_class["mmd2"].isna().all()
    assert any("without reference images" in caveat for caveat in found.caveats)


def test_diversity__small_reference_gives_no_baseline():
    found = diversity(made_set((16, 5)), CPU, embedding="pixels")
    assert found.per_class["real_similarity"].isna().tolist() == [True, False]
    assert any("1 of 2 classes" in caveat and "twice" in caveat for caveat in found.caveats)


@pytest.mark.parametrize("name", ["pixels", "random convnet"])
def test_diversity__reference_of_another_shape_is_not_compared(name):
    made = replace(made_set((5, 5)), reference=made_set((5, 5), channels=1).reference)
    assert any("differ in shape" in caveat for caveat in diversity(made, CPU, embedding=name).caveats)


def test_diversity__whitened_set_is_not_compared_with_plain_reference():
    made = made_set((5, 5)).with_pixel_space(PROFILES["zca"])
    assert any("differ in kind" in caveat for caveat in diversity(made, CPU, embedding="pixels").caveats)


def test_diversity__default_embedding_bridges_shapes():
    made = replace(made_set((4, 4)), reference=made_set((5, 5), channels=1, size=28).reference)
    found = diversity(made, CPU, reference_images=8)
    assert figure(found, "The same for random real images").value is not None
    assert not any("threshold" in caveat for caveat in found.caveats)


def test_diversity__identical_images_everywhere():
    made = made_set((4, 4))
    found = diversity(with_pixels(made, torch.full((8, 3, 8, 8), 0.5)), CPU, embedding="pixels")
    assert found.per_sample["flag"].all() and (found.per_sample["score"] < 1e-5).all()


def test_diversity__large_classes_are_sampled_for_mmd_and_that_is_said(monkeypatch):
    monkeypatch.setattr(module, "MMD_SAMPLES", 6)
    found = diversity(made_set((10, 5)), CPU, embedding="pixels")
    assert any("MMD² uses 6 random images" in caveat for caveat in found.caveats)
    assert found.per_class["mmd2"].notna().all()


def test_diversity__needs_images():
    with pytest.raises(ImpossibleRequest, match="needs images"):
        run("diversity", replace(made_set(), images=None), CPU)


def test_diversity__bounds_of_its_parameters():
    with pytest.raises(ImpossibleRequest, match="duplicate_similarity"):
        find("diversity").arguments({"duplicate_similarity": "1.0"})


def test_diversity__progress_rises_and_cancels():
    fractions = []
    diversity(made_set((4, 4)), Context("cpu", report=lambda f, _: fractions.append(f)), embedding="pixels")
    assert fractions == sorted(fractions) and fractions[-1] == pytest.approx(1)

    def stop(fraction, message):
        if fraction > 0.85:
            raise Cancelled

    with pytest.raises(Cancelled):
        diversity(made_set((4, 4)), Context("cpu", report=stop), embedding="pixels")

"""A model trained on the reference: what it sees, where it stops, how it is kept, and what it finds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import analysis
from analysis.context import Cancelled, Context
from analysis.probes.convnet_training import PATIENCE, ROUNDS, Split, TrainingSettings, augmented, convnet, train
from analysis.probes.label_evidence import ProbeSettings, gather
from analysis.probes.reference_model import judged_by_reference_model
from data.demo import DEMO
from data.demo.fashion import FOLDER, _load
from data.distilled_set import DistilledSet, Reference
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import open_set
from data.images import Images, TensorStore
from data.pixels import PROFILES
from tests.analysis.made_sets import made_set

CPU = torch.device("cpu")
QUICK = TrainingSettings(width=8, steps=48)
ENOUGH = TrainingSettings(width=8, steps=240)  # to learn the made sets


def split(made: DistilledSet, ids: np.ndarray) -> Split:
    images = (made.reference.images.unit(ids) * 255).round().to(torch.uint8)
    return Split(images, torch.from_numpy(made.reference.labels[ids]))


def halves(seed: int = 0) -> tuple[Split, Split]:
    made = made_set((4, 4, 4), seed=seed)
    ids = np.arange(len(made.reference.labels))
    return split(made, ids[ids % 3 > 0]), split(made, ids[ids % 3 == 0])


def stored_as(images: Images, space: str) -> Images:
    """The same pictures, saved in another pixel space."""
    target, pixels = PROFILES[space], images.unit(np.arange(len(images))).double()
    if target.kind == "uint8":
        saved = (pixels * 255).round().to(torch.uint8)
    else:
        mean, std = (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in (target.mean, target.std))
        saved = ((pixels - mean) / std).float()
    return Images(TensorStore(saved), target)


# --- the network and its training ---


def test_convnet__is_the_fields() -> None:
    network = convnet(3, (32, 32), 10, 128, 0)
    assert sum(p.numel() for p in network.parameters()) == 320_010, "the ConvNet-3 of DC and its descendants"
    assert network(torch.rand(2, 3, 32, 32)).shape == (2, 10)
    assert convnet(1, (28, 28), 7, 16, 0)(torch.rand(2, 1, 28, 28)).shape == (2, 7)


def test_train__learns_and_is_the_same_again() -> None:
    unseen = halves()[1]
    able = train(*halves(), 3, ENOUGH, CPU, Context())
    assert (able.logits(unseen.images).argmax(dim=1) == unseen.labels).float().mean() > 0.9
    first, again = (train(*halves(), 3, QUICK, CPU, Context()) for _ in range(2))
    assert torch.equal(first.logits(unseen.images), again.logits(unseen.images))
    other = train(*halves(), 3, replace(QUICK, seed=1), CPU, Context())
    assert not torch.equal(first.logits(unseen.images), other.logits(unseen.images))


@pytest.mark.parametrize("settings", [QUICK, replace(QUICK, elr_weight=3.0)], ids=["plain", "elr"])
def test_train__goes_on_after_a_break_as_if_there_had_been_none(settings: TrainingSettings) -> None:
    whole = train(*halves(), 3, settings, CPU, Context())
    kept: list[dict] = []

    def keep(state: dict) -> None:
        kept.append(state)
        if len(kept) == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        train(*halves(), 3, settings, CPU, Context(), keep=keep)
    resumed = train(*halves(), 3, settings, CPU, Context(), resume=kept[-1])
    images = halves()[1].images
    assert torch.equal(whole.logits(images), resumed.logits(images))
    assert (whole.best_round, whole.rounds, whole.temperature) == (resumed.best_round, resumed.rounds, resumed.temperature)


def test_train__takes_the_best_round_and_stops_when_none_gets_better() -> None:
    learn_from, stop_by = halves()
    contrary = Split(stop_by.images, (stop_by.labels + 1) % 3)  # the more it learns, the worse it judges these
    trained = train(learn_from, contrary, 3, ENOUGH, CPU, Context())
    assert trained.rounds == trained.best_round + PATIENCE < ROUNDS


def test_train__nothing_to_stop_by() -> None:
    learn_from, stop_by = halves()
    trained = train(learn_from, Split(stop_by.images[:0], stop_by.labels[:0]), 3, QUICK, CPU, Context())
    assert (trained.temperature, trained.best_round, trained.rounds) == (1.0, ROUNDS, ROUNDS)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU")
def test_train__devices_agree() -> None:
    images = halves()[1].images
    cpu, gpu = (train(*halves(), 3, QUICK, torch.device(name), Context()).logits(images) for name in ("cpu", "cuda"))
    np.testing.assert_allclose(torch.softmax(cpu, 1), torch.softmax(gpu, 1), atol=0.05)


def test_augmented__a_little_and_each_image_differently() -> None:
    images = torch.rand(1, 1, 1, 1).expand(6, 1, 16, 16).clone()
    images[:, :, 4:9, 6:12] += 0.4
    moved = augmented(images, torch.Generator().manual_seed(0))
    assert moved.shape == images.shape and 0.01 < float((moved - images).abs().mean()) < 0.3
    assert len({tuple(image.flatten().tolist()) for image in moved}) == 6


# --- on a set ---


def test_reference_model__judges_every_synthetic_image_and_says_how_well() -> None:
    made = made_set((6, 6, 6), size=16)
    judged = judged_by_reference_model(made, ENOUGH, Context())
    assert (judged.result.probabilities.argmax(dim=1).numpy() == made.labels).all()
    np.testing.assert_allclose(judged.result.probabilities.sum(dim=1), 1, atol=1e-5)
    accuracy, error = judged.figures
    assert accuracy.n == 12 and accuracy.value > 0.8 and accuracy.low < accuracy.value
    assert error.value is None and "fewer than 30" in error.basis
    assert "of 12 unseen reference images" in judged.caveats[0] and "trained on 66 reference images" in judged.basis


@pytest.mark.parametrize("spaces", [("cifar10", "uint8"), ("uint8", "imagenet")])
def test_reference_model__sees_the_same_pixels_however_they_are_stored(spaces: tuple[str, str]) -> None:
    made = made_set((4, 4, 4))
    plain = replace(made, images=stored_as(made.images, "uint8"))
    reference = Reference(stored_as(made.reference.images, spaces[1]), made.reference.labels)
    other = replace(made, images=stored_as(made.images, spaces[0]), reference=reference)
    expected, found = (judged_by_reference_model(s, QUICK, Context()).result.probabilities for s in (plain, other))
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_reference_model__the_reference_may_have_another_size_and_no_colour() -> None:
    made = made_set((4, 4, 4), size=16)
    grey = torch.nn.functional.interpolate(made.reference.images.unit(np.arange(90)), scale_factor=2.5)[:, :1]
    reference = Reference(Images(TensorStore(grey), PROFILES["unit"]), made.reference.labels)
    judged = judged_by_reference_model(replace(made, reference=reference), QUICK, Context())
    assert judged.result.probabilities.isfinite().all()


def test_reference_model__pixels_without_black_and_white_are_said_to_be_stretched() -> None:
    made = made_set((4, 4, 4))
    whitened = replace(made, images=replace(made.images, pixel_space=PROFILES["zca"]))
    assert any("stretched" in caveat for caveat in judged_by_reference_model(whitened, QUICK, Context()).caveats)


def test_reference_model__classes_the_reference_lacks_are_left_out() -> None:
    made = made_set((4, 4, 4))
    known = np.flatnonzero(made.reference.labels != 1)
    images = replace(made.reference.images, store=made.reference.images.store.take(known))
    made = replace(made, reference=Reference(images, made.reference.labels[known]))
    result = judged_by_reference_model(made, QUICK, Context()).result
    np.testing.assert_array_equal(result.left_out, np.flatnonzero(made.labels == 1))
    assert result.probabilities[4:8].isnan().all() and (result.probabilities[:4, 1] == 0).all()


def test_reference_model__one_or_two_images_a_class_only_teach() -> None:
    made = made_set((4, 4, 4))
    few = np.array([0, 1, 30, 31, 60])
    images = replace(made.reference.images, store=made.reference.images.store.take(few))
    judged = judged_by_reference_model(
        replace(made, reference=Reference(images, made.reference.labels[few])), QUICK, Context()
    )
    assert judged.figures[0].value is None and "trained to the end" in judged.caveats[0]
    assert "5 reference images" in judged.basis


def test_reference_model__needs_two_classes_and_a_reference() -> None:
    made = made_set((4, 4))
    alone = replace(made.reference, labels=np.zeros(60, np.int64))
    with pytest.raises(ImpossibleRequest, match="two classes"):
        judged_by_reference_model(replace(made, reference=alone), QUICK, Context())
    with pytest.raises(ImpossibleRequest, match="reference"):
        gather(replace(made, reference=None), "reference model", "", ProbeSettings("pixels"), Context())


# --- kept by content ---


def test_reference_model__trained_once_for_the_same_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, context = made_set((4, 4, 4)), Context(cache=tmp_path)
    first = judged_by_reference_model(made, QUICK, context)
    flipped = replace(made, labels=(made.labels + 1) % 3)
    monkeypatch.setattr("analysis.probes.reference_model.train", lambda *_: pytest.fail("trained again"))
    again = judged_by_reference_model(flipped, QUICK, context)
    assert torch.equal(first.result.probabilities, again.result.probabilities)
    assert (first.figures, first.basis) == (again.figures, again.basis)
    other = replace(made, reference=replace(made.reference, labels=(made.reference.labels + 1) % 3))
    with pytest.raises(pytest.fail.Exception):
        judged_by_reference_model(other, QUICK, context)
    with pytest.raises(pytest.fail.Exception):
        judged_by_reference_model(made, replace(QUICK, elr_weight=1.0), context)


def test_reference_model__a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    made, context = made_set((4, 4, 4)), Context(cache=tmp_path)
    first = judged_by_reference_model(made, QUICK, context)
    [kept] = tmp_path.glob("*.pt")
    kept.write_bytes(kept.read_bytes()[:100])
    again = judged_by_reference_model(made, QUICK, context)
    assert torch.equal(first.result.probabilities, again.result.probabilities)
    kept.write_bytes(b"not a torch file")
    assert torch.equal(first.result.probabilities, judged_by_reference_model(made, QUICK, context).result.probabilities)


def test_reference_model__goes_on_where_it_was_cancelled(tmp_path: Path) -> None:
    made, seen = made_set((4, 4, 4)), []

    def stop_halfway(fraction: float, message: str) -> None:
        if fraction > 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        judged_by_reference_model(made, QUICK, Context(cache=tmp_path, report=stop_halfway))
    finished = judged_by_reference_model(made, QUICK, Context(cache=tmp_path, report=lambda f, m: seen.append((f, m))))
    trained = [fraction for fraction, message in seen if message.startswith("training")]
    assert 0.4 < min(trained) < 0.6
    assert all(0 <= fraction <= 1 for fraction, _ in seen)
    plain = judged_by_reference_model(made, QUICK, Context())
    assert torch.equal(finished.result.probabilities, plain.result.probabilities)


# --- as evidence ---


def test_label_errors__takes_a_reference_model() -> None:
    made = made_set((12, 12, 12), size=16)
    labels = made.labels.copy()
    labels[[3, 17, 30]] = [1, 2, 0]
    chosen = {"probabilities_from": "reference model", "width": 8, "steps": 160}
    findings = analysis.run("label_errors", replace(made, labels=labels), **chosen)
    assert np.flatnonzero(findings.per_sample["flag"]).tolist() == [3, 17, 30]
    assert any(figure.label == "Accuracy of the reference model" for figure in findings.summary)


@pytest.mark.parametrize("probe", ["logistic", "linear SVM", "nearest neighbours"])
@pytest.mark.parametrize("probabilities_from", ["probe", "reference"])
def test_label_errors__takes_every_kind_of_probe(probabilities_from: str, probe: str) -> None:
    made = made_set((12, 12, 12))
    labels = made.labels.copy()
    labels[[3, 17, 30]] = [1, 2, 0]
    chosen = {"probabilities_from": probabilities_from, "probe": probe, "embedding": "pixels", "folds": 3}
    findings = analysis.run("label_errors", replace(made, labels=labels), **chosen)
    assert np.flatnonzero(findings.per_sample["flag"]).tolist() == [3, 17, 30]


# --- what it is for ---


def wrongness(made: DistilledSet, origin: str, settings: ProbeSettings, context: Context) -> np.ndarray:
    found = gather(made, origin, "", settings, context).probabilities.probabilities(np.arange(len(made)))
    return 1 - found.numpy()[np.arange(len(made)), made.labels]


@pytest.mark.slow
def test_reference_model__finds_planted_errors_better_than_the_cross_validated_probe(tmp_path: Path) -> None:
    """On the demo set, with three draws of flipped labels besides the recorded ones; the interval is over samples."""
    made, context = open_set(DEMO), Context(cache=tmp_path)
    truth = np.repeat(np.arange(10), 20)
    wrong, scores = [], {"probe": [], "reference model": []}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        labels, ids = truth.copy(), rng.choice(200, 24, replace=False)
        labels[ids] = (labels[ids] + rng.integers(1, 10, 24)) % 10
        wrong.append(labels != truth)
        for origin, rows in scores.items():
            rows.append(wrongness(replace(made, labels=labels), origin, ProbeSettings("pixels"), context))
    is_wrong = np.concatenate(wrong)
    probe, model = (np.concatenate(rows) for rows in scores.values())
    rng, gains = np.random.default_rng(0), []
    for _ in range(500):
        ids = rng.choice(len(is_wrong), len(is_wrong))
        gains.append(roc_auc_score(is_wrong[ids], model[ids]) - roc_auc_score(is_wrong[ids], probe[ids]))
    assert np.quantile(gains, 0.025) > 0, f"gain in AUC {np.mean(gains):.3f}"


@pytest.mark.slow
def test_train__a_noisy_reference_is_learnt_by_heart_unless_stopped_or_regularised() -> None:
    """200 real images, more than half of their labels drawn anew."""
    try:
        train_set, test = _load(FOLDER, "train"), _load(FOLDER, "t10k")
    except UnreadableInput as error:
        pytest.skip(str(error))
    rng = np.random.default_rng(0)
    ids = rng.choice(len(train_set), 350, replace=False)
    noisy, drawn = train_set.labels[ids].copy(), rng.random(350) < 0.6
    noisy[drawn] = rng.integers(0, 10, drawn.sum())

    def halved(images: np.ndarray) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(torch.from_numpy(images).float(), 2).round().to(torch.uint8)

    images, labels = halved(train_set.images[ids]), torch.from_numpy(noisy)
    learn_from, stop_by = Split(images[:200], labels[:200]), Split(images[200:], labels[200:])
    nothing = Split(images[:0], labels[:0])
    judged = Split(halved(test.images[:2_000]), torch.from_numpy(test.labels[:2_000]))

    def accuracies(stop: Split, weight: float) -> tuple[float, float]:
        """(of true labels of unseen images, of the labels learnt from)."""
        trained = train(learn_from, stop, 10, TrainingSettings(steps=800, elr_weight=weight), CPU, Context())
        shares = [(trained.logits(s.images).argmax(dim=1) == s.labels).float().mean() for s in (judged, learn_from)]
        return float(shares[0]), float(shares[1])

    plain, by_heart = accuracies(nothing, 0)
    stopped, _ = accuracies(stop_by, 0)
    regularised, still_by_heart = accuracies(nothing, 3)
    assert by_heart > 0.9 and still_by_heart < 0.7
    assert stopped > plain + 0.05
    assert regularised > plain

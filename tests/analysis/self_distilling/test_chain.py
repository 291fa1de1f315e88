"""What a stage teaches the next, and that nobody learns from what should be kept from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge as RidgeRegression

from analysis.context import Context
from analysis.self_distilling.chain import Chain, Pupils, Rules
from analysis.self_distilling.sharpness import sharpness
from analysis.self_distilling.solvers import Ridge
from analysis.self_distilling.stages import Stopping, distil

CLASSES, FOLDS, EACH, PENALTY = 3, 4, 9, 0.5


def pupils(seed: int = 0, flipped: tuple[int, int] | None = None) -> Pupils:
    """Three classes that overlap; ``flipped`` is the (fold, row) of an image whose label is another one."""
    rng = torch.Generator().manual_seed(seed)
    classes = [torch.arange(EACH) % CLASSES for _ in range(FOLDS)]
    inputs = [torch.randn(EACH, 6, generator=rng, dtype=torch.float64) + 0.7 * torch.eye(6)[held] for held in classes]
    if flipped is not None:
        fold, row = flipped
        classes[fold] = classes[fold].clone()
        classes[fold][row] = (classes[fold][row] + 1) % CLASSES
    return Pupils([part.double() for part in inputs], classes, classes.__getitem__, CLASSES)


def by_hand(inputs: np.ndarray, answers: np.ndarray, asked: np.ndarray) -> np.ndarray:
    return RidgeRegression(alpha=PENALTY * len(inputs)).fit(inputs, answers).predict(asked)


def test_next_stage__crossed_learns_what_models_without_each_fold_said_of_it():
    held = pupils()
    chain = Chain((Ridge(held.inputs, PENALTY),) * 2, held, (0, 1, 2), Rules())
    x, y = [part.numpy() for part in held.inputs], [np.eye(CLASSES)[part.numpy()] for part in held.classes]
    chain.next_stage(Context())
    taught = []
    for fold in (0, 1, 2):
        others = [other for other in (0, 1, 2) if other != fold]
        said = by_hand(np.concatenate([x[o] for o in others]), np.concatenate([y[o] for o in others]), x[fold])
        taught.append(np.eye(CLASSES)[said.argmax(axis=1)])
    expected = by_hand(np.concatenate(x[:3]), np.concatenate(taught), x[3])
    np.testing.assert_allclose(chain.next_stage(Context())(held.inputs[3]), expected, atol=1e-9)


def test_next_stage__soft_pseudo_labels_are_a_sharpened_softmax():
    held = pupils()
    rules = Rules("soft", 2.0, crossed=False)
    chain = Chain((Ridge(held.inputs, PENALTY),) * 2, held, (0, 1), rules)
    first = chain.next_stage(Context())
    scores = [first(held.inputs[fold]) for fold in (0, 1)]
    temperature, _ = sharpness(scores.__getitem__, held.classes[:2])
    answers = torch.softmax(2 * torch.cat(scores) / temperature, dim=1).numpy()
    expected = by_hand(torch.cat(held.inputs[:2]).numpy(), answers, held.inputs[3].numpy())
    np.testing.assert_allclose(chain.next_stage(Context())(held.inputs[3]), expected, atol=1e-9)


def test_next_stage__of_an_infinite_beta_is_that_of_hard_pseudo_labels():
    held = pupils()
    models = []
    for rules in (Rules("hard"), Rules("soft", 1e12)):
        chain = Chain((Ridge(held.inputs, PENALTY),) * 2, held, (0, 1, 2), rules)
        chain.next_stage(Context())
        models.append(chain.next_stage(Context()))
    np.testing.assert_allclose(models[0].weights, models[1].weights, atol=1e-9)


def test_next_stage__first_stages_bias_is_kept_and_the_others_move():
    held = pupils()
    biases = {}
    for bias in ("first stage's", "refitted", "none"):
        chain = Chain((Ridge(held.inputs, PENALTY),) * 2, held, (0, 1, 2), Rules(bias=bias))
        biases[bias] = [chain.next_stage(Context()).bias for _ in range(3)]
    assert all(torch.equal(bias, biases["first stage's"][0]) for bias in biases["first stage's"])
    assert torch.equal(biases["refitted"][0], biases["first stage's"][0])
    assert not torch.allclose(biases["refitted"][0], biases["refitted"][2])
    assert not any(bias.any() for bias in biases["none"])


def test_next_stage__the_last_image_of_its_class_keeps_its_label():
    rng = torch.Generator().manual_seed(0)
    classes = [torch.tensor([0, 1, 0, 1]), torch.tensor([0, 1, 0, 2])]
    inputs = [torch.randn(4, 3, generator=rng, dtype=torch.float64) for _ in classes]
    held = Pupils(inputs, classes, classes.__getitem__, CLASSES)
    chain = Chain((Ridge(inputs, PENALTY),) * 2, held, (0, 1), Rules())
    first = chain.next_stage(Context())
    second = chain.next_stage(Context())
    # Class 2 is taught by one image, which no other model can have known: without it the class would be gone.
    assert first.bias[2] != 0 and second.weights[2].abs().max() > 1e-3


@pytest.mark.parametrize("kind", ["hard", "soft", "scores"])
def test_distil__an_images_own_label_has_no_part_in_what_is_said_of_it(kind):
    """At no stage, not even through what it taught others: the labels could not be held against the stages otherwise."""
    said = []
    for flipped in (None, (2, 4)):
        held = pupils(flipped=flipped)
        done = distil((Ridge(held.inputs, PENALTY),) * 2, held, Rules(kind), Stopping(4, "never"), Context())
        said.append([stage.models[2](held.inputs[2])[4] for stage in done.stages])
        others = [stage.models[1](held.inputs[1]) for stage in done.stages]
        said[-1].append(others[-1])
    for one, two in zip(said[0][:-1], said[1][:-1], strict=True):
        assert torch.equal(one, two)
    assert not torch.equal(said[0][-1], said[1][-1]), "others do learn from it"


def test_distil__without_crossing_a_label_is_known_by_heart():
    said = []
    for flipped in (None, (2, 4)):
        held = pupils(flipped=flipped)
        rules = replace(Rules(), crossed=False)
        done = distil((Ridge(held.inputs, PENALTY),) * 2, held, rules, Stopping(0), Context())
        said.append(done.stages[0].models[2](held.inputs[2])[4])
    assert not torch.equal(said[0], said[1])

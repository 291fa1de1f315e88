"""The sets of the label critic's benchmark are the published ones, and what it measures is counted as by hand."""

from __future__ import annotations

import json
import tarfile

import numpy as np
import pandas as pd
import pytest

from analysis.findings import Findings, per_class_table, per_sample_table
from benchmarks.critic import measure, run_critic, tell
from benchmarks.critic_sets import CLASSES, MODELS, CrowdSet, cifar10, mnist
from data import open_set
from data.decisions import read_jsonl, states
from data.verdicts import verdicts
from tests.fixtures import fixture

IMAGES = 500


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> CrowdSet:
    fixture("mnist-test"), fixture("label-errors")
    return mnist(tmp_path_factory.mktemp("mnist"), IMAGES)


@pytest.fixture(scope="module")
def objects(tmp_path_factory) -> CrowdSet:
    fixture("cifar10"), fixture("label-errors")
    return cifar10(tmp_path_factory.mktemp("cifar10"), IMAGES)


def crowd(name: str) -> list[dict]:
    return sorted(json.loads(fixture("label-errors", f"{name}_mturk.json").read_text()), key=lambda item: item["id"])


@pytest.mark.parametrize("name", ["digits", "objects"])
def test_sets__open_with_the_crowds_verdicts(name: str, request) -> None:
    checked = request.getfixturevalue(name)
    items = crowd({"digits": "mnist", "objects": "cifar10"}[name])
    opened = open_set(checked.path)
    assert IMAGES - 10 < len(opened) <= IMAGES and opened.per_class.min() > 20
    np.testing.assert_array_equal(opened.labels[checked.sample_id], [item["given_original_label"] for item in items])
    said = verdicts(states(read_jsonl(checked.decisions)), opened.labels)
    expected = {
        int(i): item["given_original_label"] if item["mturk"]["given"] >= 3 else item["our_guessed_label"]
        for i, item in zip(checked.sample_id, items, strict=True)
        if max(item["mturk"]["given"], item["mturk"]["guessed"]) >= 3
    }
    assert dict(zip(said.ids.tolist(), said.labels.tolist(), strict=True)) == expected
    # Confident learning guessed the likeliest class, so rows in another order would show.
    given = opened.label_sources["given"].probabilities(checked.sample_id).numpy()
    np.testing.assert_array_equal(given.argmax(axis=1), checked.guessed)


def test_cifar10__pictures_votes_and_labels_are_of_the_same_image(objects: CrowdSet) -> None:
    published = np.load(fixture("label-errors", "cifar10_test_set_original_labels.npy"))
    votes = np.load(fixture("cifar10", "cifar10_test_30model_votes.npz"))["counts"]
    opened, items = open_set(objects.path), crowd("cifar10")
    assert opened.class_names == CLASSES
    found = opened.label_sources[MODELS].probabilities(objects.sample_id).numpy()
    np.testing.assert_allclose(found, votes[[item["id"] for item in items]] / 30, atol=1e-6)
    with tarfile.open(fixture("cifar10", "cifar10-jpeg.tar")) as packed:
        for item in (items[0], items[-1]):
            name, before = item["given_original_label_name"], published[: item["id"]]
            member = packed.extractfile(f"test/{name}/{int((before == item['given_original_label']).sum()):04d}.jpg")
            assert (objects.path / name / f"{item['id']:05d}.jpg").read_bytes() == member.read()


def test_mnist__pictures_are_of_their_labels(digits: CrowdSet) -> None:
    """The nearest other image mostly shows the same digit, among those that nobody doubted."""
    opened = open_set(digits.path)
    sure = np.setdiff1d(np.arange(len(opened)), digits.sample_id)
    pixels = opened.images.stored(sure).reshape(len(sure), -1).float()
    distances = ((pixels[:, None] - pixels[None]) ** 2).sum(dim=2).fill_diagonal_(float("inf"))
    assert (opened.labels[sure][distances.argmin(dim=1).numpy()] == opened.labels[sure]).mean() > 0.85


def made_findings(checked: CrowdSet, said: dict[str, np.ndarray], best: np.ndarray) -> Findings:
    """Each judge's preferred label of the crowd's pairs, asked in both orders; -1 is a judge that goes by the order."""
    parts = []
    for judge, label in said.items():
        for left, right in ((checked.given, checked.guessed), (checked.guessed, checked.given)):
            answer = np.where((label == left) | (label < 0), "left", "right")
            parts.append(
                pd.DataFrame({"sample_id": checked.sample_id, "left": left, "right": right, "said": answer, "judge": judge})
            )
    answers = pd.concat(parts).assign(confidence=np.nan, reason="", author="", seconds=np.nan, at="")
    answers = answers[answers["left"] != answers["right"]]
    n = int(checked.sample_id.max()) + 1
    suggested = np.full(n, -1)
    suggested[checked.sample_id] = best
    table = per_sample_table(np.full(n, np.nan), np.full(n, False), suggested_label=suggested)
    return Findings(table, per_class_table(("x",), np.array([n])), tables={"answers": answers})


def test_measure__by_hand(digits: CrowdSet, capsys) -> None:
    settled, ties = digits.settled >= 0, np.arange(len(digits.settled)) % 5 == 0
    good = np.where(ties, -1, np.where(settled, digits.settled, digits.given))
    bad = np.where(digits.settled == digits.given, digits.guessed, digits.given)
    measured = measure(digits, made_findings(digits, {"good": good, "bad": bad}, best=np.where(ties, -1, good)))
    table = measured.judges.set_index("judge")
    pairs = digits.pairs
    assert table["n"].tolist() == [pairs.sum()] * 3
    assert table.loc["good", "right"] == (pairs & ~ties).sum() + (pairs & ties).sum() / 2
    assert table.loc["bad", "right"] == 0 and table.loc["bad", "weight"] == 0
    assert measured.against is not None and measured.against.judge == "good" and measured.against.difference == 0
    kept = digits.settled == digits.given
    assert (measured.n, measured.given) == (settled.sum(), kept.sum())
    assert measured.best == (settled & (~ties | kept)).sum()
    tell("digits", measured)
    assert f"{pairs.sum():>7}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "objects"])
def test_critic__combined_is_at_least_as_good_as_the_best_judge(name: str, request, tmp_path) -> None:
    checked = request.getfixturevalue(name)
    measured = measure(checked, run_critic(checked, tmp_path / "found", []))
    assert measured.against is not None and measured.against.n >= 50
    assert measured.against.high >= 0, measured.against
    assert measured.judges["n"].iloc[-1] >= 0.75 * checked.pairs.sum()

"""Sets whose doubtful labels a crowd has checked, written in layouts that Stillroom opens: for the label critic.

CIFAR-10 and MNIST test images with the labels they were published with, cross-validated predictions as the given soft
labels, for CIFAR-10 the votes of 30 published models as a second source, and the crowd's verdicts (five people an image) on
the labels that confident learning doubted, as a log of decisions.
"""

from __future__ import annotations

import gzip
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.decisions import Decision, write_jsonl

FIXTURES = Path(__file__).resolve().parents[2] / "shared" / "fixtures"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MODELS = "30 models"
MAJORITY = 3
MNIST_PIXELS = 28
SEED = 0


@dataclass(frozen=True, eq=False)
class CrowdSet:
    """A written set at ``path`` and its log of ``decisions``. Parallel int64 arrays (n,) of what the crowd checked:
    ``sample_id`` in the set, the ``given`` label, the ``guessed`` one, and the label the crowd ``settled``, -1 where it said
    both, neither, or had no majority."""

    path: Path
    decisions: Path
    sample_id: np.ndarray
    given: np.ndarray
    guessed: np.ndarray
    settled: np.ndarray

    @property
    def pairs(self) -> np.ndarray:
        """Where the crowd settled a given label against another guessed one, bool (n,)."""
        return (self.settled >= 0) & (self.given != self.guessed)


@dataclass(frozen=True, eq=False)
class _Published:
    """A test set's labels int64 (N,), predictions float32 (N, C), and what the crowd checked, by its numbering."""

    labels: np.ndarray
    predicted: np.ndarray
    ids: np.ndarray
    guessed: np.ndarray
    settled: np.ndarray


def cifar10(folder: Path, images: int = 2_000, fixtures: Path = FIXTURES) -> CrowdSet:
    """A folder of JPEG files by class, soft labels and a manifest beside them: what the crowd checked and as many others of
    each class as make about ``images``. Raises FileNotFoundError where a fixture is not there."""
    published = _published("cifar10", fixtures)
    ids = _chosen(published, images)
    ids = ids[np.lexsort((ids, published.labels[ids]))]  # the order in which a folder of classes is read
    place = folder / "cifar10"
    _write_pictures(place, ids, published.labels, fixtures / "cifar10" / "cifar10-jpeg.tar")
    votes = np.load(fixtures / "cifar10" / "cifar10_test_30model_votes.npz")["counts"]
    np.save(place / "soft_labels.npy", published.predicted[ids])
    np.save(place / "models.npy", (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)[ids])
    said = {"class_names": CLASSES, "label_sources": {MODELS: {"file": "models.npy", "kind": "probabilities"}}}
    (place / "stillroom.json").write_text(json.dumps(said), encoding="utf-8")
    return _with_decisions(place, folder / "cifar10.jsonl", published, ids)


def mnist(folder: Path, images: int = 2_000, fixtures: Path = FIXTURES) -> CrowdSet:
    """One archive ``mnist.npz`` of images, labels and probabilities, chosen as ``cifar10`` chooses."""
    published = _published("mnist", fixtures)
    ids = _chosen(published, images)
    packed = (fixtures / "mnist-test" / "t10k-images-idx3-ubyte.gz").read_bytes()
    pixels = np.frombuffer(gzip.decompress(packed), np.uint8, offset=16).reshape(-1, 1, MNIST_PIXELS, MNIST_PIXELS)
    place = folder / "mnist.npz"
    np.savez(place, images=pixels[ids], labels=published.labels[ids], probabilities=published.predicted[ids])
    return _with_decisions(place, folder / "mnist.jsonl", published, ids)


def _published(name: str, fixtures: Path) -> _Published:
    place = fixtures / "label-errors"
    labels = np.load(place / f"{name}_test_set_original_labels.npy").astype(np.int64)
    predicted = np.load(place / f"{name}_test_set_pyx.npy").astype(np.float32)
    checked = sorted(json.loads((place / f"{name}_mturk.json").read_text()), key=lambda item: item["id"])
    ids, guessed = (np.array([item[key] for item in checked], np.int64) for key in ("id", "our_guessed_label"))
    backed, other = (np.array([item["mturk"][said] >= MAJORITY for item in checked]) for said in ("given", "guessed"))
    settled = np.where(backed, labels[ids], np.where(other, guessed, -1))
    return _Published(labels, predicted, ids, guessed, settled)


def _chosen(published: _Published, images: int) -> np.ndarray:
    """What the crowd checked, and others at random, equally many of each class, that make about ``images``; ascending."""
    rng, classes = np.random.default_rng(SEED), published.predicted.shape[1]
    others = rng.permutation(np.setdiff1d(np.arange(len(published.labels)), published.ids))
    a_class = max(images - len(published.ids), 0) // classes
    drawn = [others[published.labels[others] == k][:a_class] for k in range(classes)]
    return np.sort(np.concatenate([published.ids, *drawn]))


def _write_pictures(place: Path, ids: np.ndarray, labels: np.ndarray, archive: Path) -> None:
    """The archive numbers the images of each class by themselves, in the published order."""
    within = np.empty(len(labels), np.int64)
    for k in range(len(CLASSES)):
        within[labels == k] = np.arange((labels == k).sum())
    wanted = {f"test/{CLASSES[labels[i]]}/{within[i]:04d}.jpg": int(i) for i in ids}
    for name in CLASSES:
        (place / name).mkdir(parents=True)
    with tarfile.open(archive) as packed:
        for member in packed:
            if (i := wanted.get(member.name)) is not None and (file := packed.extractfile(member)) is not None:
                (place / CLASSES[labels[i]] / f"{i:05d}.jpg").write_bytes(file.read())


def _with_decisions(path: Path, log: Path, published: _Published, ids: np.ndarray) -> CrowdSet:
    """``ids`` (N,) are the published numbers of the set's samples, in its order."""
    order = np.argsort(ids)
    sample_id = order[np.searchsorted(ids, published.ids, sorter=order)]
    given = published.labels[published.ids]
    write_jsonl(map(_decision, sample_id.tolist(), given.tolist(), published.settled.tolist()), log)
    return CrowdSet(path, log, sample_id, given, published.guessed, published.settled)


def _decision(sample_id: int, given: int, settled: int) -> Decision:
    if settled < 0:
        return Decision(sample_id, "skip", annotator="crowd")
    if settled == given:
        return Decision(sample_id, "keep", annotator="crowd")
    return Decision(sample_id, "relabel", label=settled, annotator="crowd", reason="wrong label")

"""The pass over a tree: every sum against a row-by-row computation; interrupted passes; devices; hostile rows."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis.context import Cancelled, Context
from analysis.trees import checkpoint as crop_checkpoint
from analysis.trees import facts as crop_facts
from analysis.trees import sums as crop_sums
from analysis.trees.regions import Thresholds
from analysis.trees.scan import ScanOptions, evenly_spread, scan_crops
from analysis.trees.sums import VALUES, Votes
from data.errors import UnreadableInput
from data.relabelled.opening import open_tree
from data.relabelled.tree import RowImages
from tests.analysis.trees.crop_truth import true_images, true_rows
from tests.data.relabelled.reads import reads_of_batches
from tests.data.trees import make_tree

FAMILIES = ("sre2l", "sre2l-mixup", "sre2l-nomix", "lpqld", "edc", "short-last-batch")


def opened(made):
    return open_tree(made.tree, made.labels, made.num_classes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_tree("sre2l", tmp_path_factory.mktemp("tree"), noise=4.0, epochs=5)


@pytest.fixture
def read_positions(monkeypatch):
    return reads_of_batches(monkeypatch)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("temperature", [1.0, 20.0])
def test_scan_crops__per_image_is_what_its_rows_say(tmp_path, family, temperature):
    made = make_tree(family, tmp_path, noise=4.0)
    options = ScanOptions(temperature, thresholds=Thresholds(0.3, 0.5, 0.9), nearly_unmixed=0.8)
    scan = scan_crops(opened(made), made.labels, Context("cpu"), options)
    images = true_images(made, temperature=temperature)
    np.testing.assert_array_equal(scan.of_images("rows", "plain"), [len(image.rows) for image in images])
    for value, name in (("given", "given"), ("entropy", "entropy"), ("other", "other")):
        np.testing.assert_allclose(scan.mean(value), [image.mean(name) for image in images], atol=2e-5)
        np.testing.assert_allclose(scan.mean(value, "unmixed"), [image.mean(name, 0.8) for image in images], atol=2e-5)
    np.testing.assert_allclose(scan.spread, [image.spread for image in images], atol=5e-5)
    squared = [sum(row.share**2 * row.given**2 for row in image.rows) for image in images]
    np.testing.assert_allclose(scan.of_images("given squared", "own squared"), squared, atol=2e-5)
    if temperature == 1:
        assert 0 < scan.of_images("other", "plain").sum() < scan.of_images("rows", "plain").sum(), "nothing was put to test"


@pytest.mark.parametrize("family", ["sre2l", "lpqld"])
def test_scan_crops__per_batch_and_epoch_is_what_its_rows_say(tmp_path, family):
    made = make_tree(family, tmp_path, noise=4.0)
    scan = scan_crops(opened(made), made.labels, Context("cpu"))
    by_epoch: dict[int, list] = {}
    for place, file in enumerate(made.files):
        rows = true_rows(made, file)
        by_epoch.setdefault(file.epoch, []).extend(rows)
        assert scan.sums.own[place] == pytest.approx(file.own)
        assert scan.sums.distinct[place] == len({row.top for row in rows})
        for name in ("confidence", "margin", "entropy", "other", "given"):
            expected = sum(float(getattr(row, name)) for row in rows)
            assert scan.of_batches(name)[place] == pytest.approx(expected, abs=1e-4), name
    for place, rows in enumerate(by_epoch.values()):
        assert scan.sums.seen[place].sum() == len({row.top for row in rows})
        expected = sum(row.share * row.given for row in rows)
        assert scan.of_epochs("given")[place] == pytest.approx(expected, abs=1e-4)


def test_scan_crops__histogram_and_regions_count_every_row(made):
    thresholds = Thresholds(0.4, 0.6, 0.95)
    scan = scan_crops(opened(made), made.labels, Context("cpu"), ScanOptions(thresholds=thresholds))
    rows = [row for image in true_images(made) for row in image.rows]
    top = np.asarray([row.confidence for row in rows])
    np.testing.assert_array_equal(scan.sums.histogram, np.histogram(top, crop_sums.BINS, (0, 1))[0])
    counts = [
        (top < 0.4).sum(),
        ((top >= 0.4) & (top < 0.6)).sum(),
        ((top >= 0.6) & (top <= 0.95)).sum(),
        (top > 0.95).sum(),
    ]
    np.testing.assert_array_equal(scan.regions().sum(axis=0), counts)
    assert min(counts) > 0, "a region was not put to test"


def test_scan_crops__the_other_class_with_most_votes(made):
    scan = scan_crops(opened(made), made.labels, Context("cpu"))
    best, votes = scan.other_class
    for place, image in enumerate(true_images(made)):
        expected = image.votes()
        if not expected:
            assert (best[place], votes[place]) == (-1, 0)
            continue
        most = max(expected.values())
        assert votes[place] == pytest.approx(most)
        assert best[place] == min(name for name, share in expected.items() if share == pytest.approx(most))


def test_scan_crops__probabilities(tmp_path):
    made = make_tree("sre2l", tmp_path, dtype=torch.float32)
    for file in made.files:
        items = torch.load(file.path, weights_only=False)
        torch.save([*items[:5], items[5].softmax(dim=1)], file.path)
    tree = opened(made)
    assert tree.kind == "probabilities"
    scan = scan_crops(tree, made.labels, Context("cpu"))
    rows = [row for file in made.files for row in true_rows(made, file, probabilities=True)]
    for place in range(len(made.labels)):
        own = [row for row in rows if row.image == place]
        expected = sum(row.share * row.given for row in own) / sum(row.share for row in own)
        assert scan.mean("given")[place] == pytest.approx(expected, abs=2e-5)


def test_scan_crops__in_small_blocks_the_same(made, monkeypatch):
    whole = scan_crops(opened(made), made.labels, Context("cpu"))
    monkeypatch.setattr(crop_facts, "rows_a_chunk", lambda classes, device: 3)
    parts = scan_crops(opened(made), made.labels, Context("cpu"))
    np.testing.assert_array_equal(whole.sums.distinct, parts.sums.distinct)
    np.testing.assert_allclose(whole.sums.images, parts.sums.images, atol=1e-6)
    np.testing.assert_allclose(whole.spread, parts.spread, atol=1e-6)


def test_scan_crops__only_the_epochs_asked_for(made, read_positions):
    scan = scan_crops(opened(made), made.labels, Context("cpu"), ScanOptions(epochs=2))
    assert scan.epochs == (1, 3) and scan.epochs_there == 5
    files = [file for file in made.files if file.epoch in scan.epochs]
    images = true_images(made, files)
    np.testing.assert_allclose(scan.mean("given"), [image.mean("given") for image in images], atol=2e-5)
    assert [made.files[position].epoch in (1, 3) for position in read_positions] == [True] * len(files)


@pytest.mark.parametrize(
    ("count", "chosen"), [(0, range(7)), (9, range(7)), (7, range(7)), (1, [3]), (2, [1, 5]), (3, [1, 3, 5])]
)
def test_evenly_spread(count, chosen):
    assert evenly_spread(range(7), count) == tuple(chosen)


def test_scan_crops__images_of_unknown_class_say_nothing_but_count_in_batches(made):
    classes = np.where(np.arange(len(made.labels)) % 3 == 0, -1, made.labels)
    part, whole = (scan_crops(opened(made), known, Context("cpu")) for known in (classes, made.labels))
    assert not part.of_images("rows", "plain")[classes < 0].any() and np.isnan(part.spread[classes < 0]).all()
    known = classes >= 0
    np.testing.assert_allclose(part.mean("given")[known], whole.mean("given")[known])
    np.testing.assert_allclose(part.spread[known], whole.spread[known], atol=1e-6)
    np.testing.assert_allclose(part.of_batches("confidence"), whole.of_batches("confidence"))


def test_scan_crops__more_means_than_fit_are_kept_of_evenly_chosen_images(made, monkeypatch):
    whole = scan_crops(opened(made), made.labels, Context("cpu"))
    monkeypatch.setattr(crop_sums, "MOST_MEAN_BYTES", 12 * 4 * made.num_classes)
    part = scan_crops(opened(made), made.labels, Context("cpu"))
    kept = ~np.isnan(part.spread)
    assert np.flatnonzero(kept).tolist() == list(range(0, 30, 3))
    np.testing.assert_array_equal(part.spread[kept], whole.spread[kept])


def test_scan_crops__an_image_many_times_in_a_batch(made):
    class AllOfTheFirst(RowImages):
        def of_batch(self, file, batch=None):
            return np.zeros(file.rows, np.int64)

    tree = replace(opened(made), row_images=AllOfTheFirst())
    scan = scan_crops(tree, made.labels, Context("cpu"))
    assert scan.of_images("rows", "plain").tolist() == [tree.rows] + [0] * 29
    rows = [(row, file.own) for file in made.files for row in true_rows(made, file)]
    expected = sum(own * row.p[0] for row, own in rows) / sum(own for _, own in rows)
    assert scan.mean("given")[0] == pytest.approx(expected, abs=2e-5)
    middle = sum(own * row.p for row, own in rows) / sum(own for _, own in rows)
    entropy = sum(own * row.entropy for row, own in rows) / sum(own for _, own in rows)
    assert scan.spread[0] == pytest.approx(-(middle * np.log(middle)).sum() - entropy, abs=5e-5)


def test_scan_crops__rows_too_large_for_a_distribution_are_left_out_and_counted(tmp_path):
    made = make_tree("sre2l-nomix", tmp_path, dtype=torch.float32)
    tree, harmed = opened(made), made.files[4]
    items = torch.load(harmed.path, weights_only=False)
    items[5][2, 1] = items[5][5, 0] = 3e38
    torch.save(items, harmed.path)
    scan = scan_crops(tree, made.labels, Context("cpu"), ScanOptions(0.5))
    assert scan.sums.left_out.tolist() == [2 if place == 4 else 0 for place in range(len(made.files))]
    counts = np.full(30, 4)
    counts[harmed.images[[2, 5]]] -= 1
    np.testing.assert_array_equal(scan.of_images("rows", "plain"), counts)
    assert np.isfinite(scan.spread).all() and np.isfinite(scan.mean("entropy")).all()


def test_scan_crops__damaged_labels_are_refused_with_their_file(tmp_path):
    made = make_tree("sre2l", tmp_path)
    tree, items = opened(made), torch.load(made.files[3].path, weights_only=False)
    items[5][1, 0] = float("nan")
    torch.save(items, made.files[3].path)
    with pytest.raises(UnreadableInput, match=r"epoch_0/batch_3\.tar has NaN or infinity"):
        scan_crops(tree, made.labels, Context("cpu"))


class StopAfter:
    """A report that stops the run at its nth call."""

    def __init__(self, calls: int, error: type[BaseException] = Cancelled) -> None:
        self.left, self.error, self.fractions = calls, error, []

    def __call__(self, fraction: float, message: str) -> None:
        self.fractions.append(fraction)
        self.left -= 1
        if not self.left:
            raise self.error


def assert_same(first, second):
    """Bit for bit."""
    for name, values in first.sums.arrays().items():
        np.testing.assert_array_equal(values, second.sums.arrays()[name], err_msg=name)
    np.testing.assert_array_equal(first.spread, second.spread)


@pytest.mark.parametrize("calls", [1, 2, 9, 20])
def test_scan_crops__cancelled_goes_on_where_it_stopped(made, tmp_path, read_positions, calls):
    tree = opened(made)
    whole = scan_crops(tree, made.labels, Context("cpu"))
    with pytest.raises(Cancelled):
        scan_crops(tree, made.labels, Context("cpu", tmp_path, StopAfter(calls)))
    assert len(list(tmp_path.iterdir())) == 1
    read_positions.clear()
    resumed = scan_crops(tree, made.labels, Context("cpu", tmp_path))
    assert read_positions == list(range(calls - 1, len(tree))), "a file was read again"
    assert_same(whole, resumed)
    assert not list(tmp_path.iterdir()), "what was kept for a resumed run is not needed any more"


def test_scan_crops__killed_goes_on_from_the_last_save(made, tmp_path, read_positions, monkeypatch):
    monkeypatch.setattr(crop_checkpoint, "SECONDS_BETWEEN_SAVES", 0)
    monkeypatch.setattr(crop_checkpoint, "SAVE_SHARE", 0)
    tree = opened(made)
    whole = scan_crops(tree, made.labels, Context("cpu"))
    with pytest.raises(SystemExit):
        scan_crops(tree, made.labels, Context("cpu", tmp_path, StopAfter(8, SystemExit)))
    read_positions.clear()
    resumed = scan_crops(tree, made.labels, Context("cpu", tmp_path))
    assert read_positions == list(range(7, len(tree)))
    assert_same(whole, resumed)


def test_scan_crops__a_resumed_run_reports_from_where_it_is(made, tmp_path):
    first, second = StopAfter(10), StopAfter(10_000)
    with pytest.raises(Cancelled):
        scan_crops(opened(made), made.labels, Context("cpu", tmp_path, first))
    scan_crops(opened(made), made.labels, Context("cpu", tmp_path, second))
    assert first.fractions[0] == 0 and second.fractions[0] == first.fractions[-1] and second.fractions[-1] == 1


@pytest.mark.parametrize("change", ["temperature", "labels", "a file", "damage"])
def test_scan_crops__nothing_is_taken_from_a_run_of_something_else(tmp_path, change):
    made = make_tree("sre2l", tmp_path)
    tree, labels, options, cache = opened(made), made.labels, ScanOptions(), tmp_path / "cache"
    with pytest.raises(Cancelled):
        scan_crops(tree, labels, Context("cpu", cache, StopAfter(9)), options)
    if change == "temperature":
        options = ScanOptions(2.0)
    elif change == "labels":
        labels = labels[::-1]
    elif change == "a file":
        os.utime(made.files[0].path, ns=(1, 1))
    else:
        (kept,) = cache.iterdir()
        kept.write_bytes(kept.read_bytes()[:-200])
    fresh = StopAfter(10_000)
    scan = scan_crops(tree, labels, Context("cpu", cache, fresh), options)
    assert fresh.fractions[0] == 0
    assert_same(scan, scan_crops(tree, labels, Context("cpu"), options))


def test_votes__merged_in_parts_are_those_merged_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    images, classes, weights = rng.integers(0, 9, 400), rng.integers(0, 5, 400), rng.integers(1, 4, 20) / 4.0
    parts = Votes(5)
    monkeypatch.setattr(crop_sums, "VOTES_AT_ONCE", 30)
    expected = np.zeros((9, 5))
    for place, weight in enumerate(weights):
        rows = slice(20 * place, 20 * place + 20)
        parts.add(images[rows], classes[rows], weight)
        np.add.at(expected, (images[rows], classes[rows]), weight)
    best, votes = parts.first(9)
    np.testing.assert_array_equal(best, expected.argmax(axis=1))
    np.testing.assert_array_equal(votes, expected.max(axis=1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("family", ["sre2l", "lpqld"])
def test_scan_crops__devices_agree(tmp_path, family):
    made = make_tree(family, tmp_path)
    here, there = (scan_crops(opened(made), made.labels, Context(device)) for device in ("cpu", "cuda"))
    for value in VALUES:
        np.testing.assert_allclose(here.of_images(value), there.of_images(value), atol=1e-4)
    np.testing.assert_allclose(here.spread, there.spread, atol=1e-4)

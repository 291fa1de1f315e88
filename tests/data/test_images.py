"""Stores and what is asked of them."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from data.errors import ImpossibleRequest
from data.images import DifferentSizes, Images, ImageStore, TensorStore, batches, reduction
from data.pixels import PROFILES


@dataclass(frozen=True)
class Listed(ImageStore):
    """Images in a list, which may differ in size."""

    images: list

    def __len__(self):
        return len(self.images)

    @property
    def shape(self):
        return None

    @property
    def dtype(self):
        return torch.uint8

    def read(self, sample_id):
        return self.images[sample_id]

    def take(self, ids):
        return Listed([self.images[i] for i in ids])


def different_sizes():
    return Listed([torch.zeros(3, 4, 5, dtype=torch.uint8), torch.full((3, 6, 2), 255, dtype=torch.uint8)])


def test_tensor_store__take_of_a_take_reads_the_right_rows():
    store = TensorStore(torch.arange(10).view(10, 1, 1, 1).float())
    again = store.take([9, 3, 5]).take(np.array([2, 0]))
    assert again.read_many([0, 1]).flatten().tolist() == [5, 9]
    assert again.read(1).item() == 9 and len(again) == 2


def test_read_many__different_sizes_are_refused_in_a_sentence():
    with pytest.raises(DifferentSizes, match="3x4x5 and 3x6x2") as raised:
        different_sizes().read_many([0, 1])
    assert isinstance(raised.value, ImpossibleRequest) and isinstance(raised.value, ValueError)


def test_read_many__nothing_asked():
    assert different_sizes().read_many([]).shape[0] == 0


def test_viewable__images_of_different_sizes():
    shown = Images(different_sizes(), PROFILES["uint8"]).viewable([1, 0])
    assert [image.shape for image in shown] == [(6, 2, 3), (4, 5, 3)]
    assert shown[0].min() == 255 and shown[1].max() == 0


def test_out_of_range__bytes_are_never_read():
    class Unreadable(Listed):
        def read(self, sample_id):
            raise AssertionError("read")

    assert Images(Unreadable([None] * 5), PROFILES["uint8"]).out_of_range == (0.0, 5)


def test_out_of_range__counts_values_outside():
    images = Images(TensorStore(torch.tensor([0.5, 1.5, -1.0, 0.0]).view(1, 1, 2, 2)), PROFILES["unit"])
    assert images.out_of_range == (0.5, 1)


def test_sample_ids__spread_over_all_without_repeats():
    images = Images(TensorStore(torch.zeros(1000, 1, 1, 1)), PROFILES["unit"])
    ids = images.sample_ids(10)
    assert len(ids) == 10 and ids[0] == 0 and ids[-1] == 999 and len(images.sample_ids()) == 1000


def test_batches__cover_every_id_once():
    images = Images(TensorStore(torch.zeros(7, 1, 1, 1)), PROFILES["unit"])
    assert np.concatenate(list(batches(images, 3))).tolist() == list(range(7))


def test_viewable__may_come_reduced_only_where_contrast_allows():
    class Asked(Listed):
        def stacks(self, ids, most_px=None):
            asked.append(most_px)
            return super().stacks(ids, most_px)

    asked = []
    images = Images(Asked([torch.zeros(3, 4, 4, dtype=torch.uint8)]), PROFILES["uint8"])
    for contrast in ("as trained", "stretched", "2.5 std"):
        images.viewable([0], contrast, most_px=2)
    assert asked == [2, None, None]


@pytest.mark.parametrize(("longer", "factor"), [(1, 1), (128, 1), (129, 2), (224, 2), (256, 2), (257, 3), (1024, 8)])
def test_reduction__smallest_whole_factor(longer, factor):
    assert reduction(longer, 128) == factor

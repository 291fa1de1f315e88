from pathlib import Path

import pytest

from data.known_datasets import class_count_of, guess_dataset


@pytest.mark.parametrize(
    ("path", "dataset"),
    [
        ("logged_files/CIFAR10/10/ConvNet/run/Normal/images_best.pt", "cifar10"),
        ("results/fashion/conv3in_grad_l1_nd500_cut_factor2_ipc1/data.pt", "fashion-mnist"),
        ("cifar10/refashioned/data.pt", "cifar10"),
        ("cl_DM_CIFAR100_ConvNet_20ipc_5steps_seed0.pt", "cifar100"),
        ("mine/images.pt", None),
    ],
)
def test_guess_dataset(path, dataset):
    assert guess_dataset(Path(path)) == dataset


@pytest.mark.parametrize(
    ("dataset", "count"), [("cifar100", 100), ("tiny-imagenet", 200), ("mnist", 10), ("imagenet", None)]
)
def test_class_count_of(dataset, count):
    assert class_count_of(dataset) == count

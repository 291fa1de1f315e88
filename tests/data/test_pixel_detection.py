from pathlib import Path

import pytest
import torch

from data.formats import open_set
from data.pixel_detection import detect_pixel_space
from tests.fixtures import fixture

NOISE = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
GREY = torch.randn(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("sample", "path", "profile"),
    [
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), "cifar10_zca/images.pt", "uint8"),
        (NOISE, "result/res_DC_CIFAR10_ConvNet_10ipc.pt", "cifar10"),
        (NOISE, "result/res_DC_CIFAR100_ConvNet_10ipc.pt", "cifar100"),
        (NOISE, "CIFAR100/run/images_best.pt", "cifar10"),
        (NOISE, "CIFAR100/run/ema_images_500.pt", "cifar10"),
        (NOISE, "submission/cifar100.pt", "cifar100"),
        (NOISE, "svhn/images_best.pt", "svhn"),
        (NOISE[:, :, :8, :8], "tinyimagenet/images_best.pt", "imagenet"),
        (GREY, "res_DC_FashionMNIST_ConvNet_1ipc.pt", "fashion-mnist"),
        (GREY, "res_DC_MNIST_ConvNet_1ipc.pt", "mnist"),
        (GREY, "CIFAR10/images.pt", "mnist"),
        (NOISE, "images_best.pt", "cifar10"),
        (NOISE[:, :, :7, :7], "images_best.pt", "unknown"),
        (NOISE, "CIFAR10_zca/images_best.pt", "zca"),
        (NOISE, "kip_cifar10_ConvNet3_ssize10_zca_nol.npz", "zca"),
        (NOISE, "CIFAR10_zca/images_zca_500.pt", "unit"),
        (NOISE.clamp(0, 1), "CIFAR10/data.pt", "unit"),
        (NOISE.clamp(-0.3, 1.3).half(), "CIFAR10/data.pt", "unit"),
        ((NOISE.clamp(0, 1) * 255).round(), "CIFAR10/data.pt", "unknown"),
    ],
)
def test_detect(sample, path, profile):
    space = detect_pixel_space(sample, Path("/sets") / path)
    assert space.name == profile and not space.chosen and space.evidence


def test_detect__assumption_is_said_to_be_one():
    evidence = detect_pixel_space(NOISE, Path("/sets/images_best.pt")).evidence
    assert "assumed" in evidence and "choose the profile" in evidence and f"{float(NOISE.min()):.2f}" in evidence


def test_detect__whitened_by_its_neighbour(tmp_path):
    path = tmp_path / "images_best.pt"
    path.touch()
    assert detect_pixel_space(NOISE, path).name == "cifar10"
    (tmp_path / "images_zca_100.pt").touch()
    space = detect_pixel_space(NOISE, path)
    assert space.name == "zca" and "beside it" in space.evidence


def test_detect__published_sets_and_their_range():
    """FORMATS.md §0.5: most MNIST pixels of DC lie below 0, a tenth of CIFAR's outside [0, 1]."""
    mnist = open_set(fixture("distilled", "res_DC_MNIST_ConvNet_1ipc.pt"))
    share, n = mnist.images.out_of_range
    assert n == 10 and share > 0.5
    cifar = open_set(fixture("distilled", "DC_CIFAR100_ConvNet_1ipc.pt"))
    assert 0.01 < cifar.images.out_of_range[0] < 0.3
